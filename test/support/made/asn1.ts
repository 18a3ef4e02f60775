/**
 * A DER writer for tests (ITU-T X.690), apart from the one in src/: what one hand writes and reads proves little.
 *
 * @module
 */

const lengthOctets = (length: number): Buffer => {
  if (length < 0x80) return Buffer.of(length)
  const hex = length.toString(16)
  const octets = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex")
  return Buffer.concat([Buffer.of(0x80 + octets.length), octets])
}

/** One value: tag, length, contents. */
export const tlv = (tag: number, ...contents: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.of(tag), lengthOctets(content.length), content])
}

export const seq = (...values: readonly Uint8Array[]): Buffer => tlv(0x30, ...values)
/** SET in the given order; sort the values for a SET OF. */
export const set = (...values: readonly Uint8Array[]): Buffer => tlv(0x31, ...values)
/** `[n]` constructed. */
export const context = (n: number, ...values: readonly Uint8Array[]): Buffer => tlv(0xa0 + n, ...values)
export const octets = (content: Uint8Array): Buffer => tlv(0x04, content)
export const bits = (content: Uint8Array, unused = 0): Buffer => tlv(0x03, Buffer.of(unused), content)
export const utf8 = (text: string): Buffer => tlv(0x0c, Buffer.from(text, "utf8"))
export const ia5 = (tag: number, text: string): Buffer => tlv(tag, Buffer.from(text, "latin1"))
export const boolean = (value: boolean): Buffer => tlv(0x01, Buffer.of(value ? 0xff : 0))
export const nothing = tlv(0x05)

/** A non-negative INTEGER. */
export const integer = (value: bigint | number): Buffer => {
  const hex = BigInt(value).toString(16)
  const even = hex.length % 2 === 0 ? hex : `0${hex}`
  return tlv(0x02, Buffer.from(/^[89a-f]/.test(even) ? `00${even}` : even, "hex"))
}

export const oid = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number)
  const arcs = [first * 40 + second, ...rest].map((arc) => {
    const groups =
      arc
        .toString(2)
        .padStart(Math.ceil(arc.toString(2).length / 7) * 7, "0")
        .match(/.{7}/g) ?? []
    return Buffer.from(groups.map((group, i) => Number.parseInt(group, 2) + (i < groups.length - 1 ? 0x80 : 0)))
  })
  return tlv(0x06, ...arcs)
}

const digits = (time: Date): string => time.toISOString().replace(/\D/g, "").slice(0, 14)

export const utcTime = (time: Date): Buffer => tlv(0x17, Buffer.from(`${digits(time).slice(2)}Z`))
export const generalizedTime = (time: Date, fraction = ""): Buffer =>
  tlv(0x18, Buffer.from(`${digits(time)}${fraction}Z`))

/** AlgorithmIdentifier without parameters, or with the given ones. */
export const algorithm = (id: string, ...parameters: readonly Uint8Array[]): Buffer => seq(oid(id), ...parameters)

/** SET OF: sorted by encoding (§11.6). */
export const setOf = (...values: readonly Uint8Array[]): Buffer => set(...[...values].sort(Buffer.compare))
