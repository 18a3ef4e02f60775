/**
 * Strict DER (ITU-T X.690 §10, §11): one reading for every byte string.
 *
 * Lengths are definite and minimal, tags are low-number, nothing may be left over, and every primitive has its one
 * encoding. Whatever this module parses re-encodes to the same bytes, so a signature over a structure and a signature
 * over its bytes mean the same.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"

/** The identifier octets this program meets (X.690 §8.1.2); context tags come from {@link contextTag}. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** The identifier octet of `[number] CONSTRUCTED` in the context class. */
export const contextTag = (number: number): number => 0xa0 | number

/** The identifier octet of `[number] IMPLICIT` over a primitive type. */
export const primitiveContextTag = (number: number): number => 0x80 | number

/** One tag-length-value. All three are views on the parsed bytes, not copies. */
export interface DerValue {
  readonly tag: number
  readonly content: Uint8Array
  /** The whole encoding: identifier, length and content octets. */
  readonly raw: Uint8Array
}

const fail = (message: string): never => {
  throw new GitsignError("ERR_DER", message)
}

/** Reads the values of one constructed encoding in order; every read names what the standard expects there. */
export class DerReader {
  readonly #bytes: Uint8Array
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Whether every byte has been read. */
  get atEnd(): boolean {
    return this.#offset === this.#bytes.length
  }

  /** The identifier octet of the next value, or undefined at the end. */
  peekTag(): number | undefined {
    return this.#bytes[this.#offset]
  }

  /**
   * Reads the next value, whatever its tag.
   *
   * @throws ERR_DER when the encoding is not DER or is cut short
   */
  any(): DerValue {
    const bytes = this.#bytes
    const start = this.#offset
    const tag = bytes[start]
    if (tag === undefined) return fail("unexpected end of the structure")
    // Tag number 31 announces the high-tag-number form (X.690 §8.1.2.4), which no structure here uses.
    if ((tag & 0x1f) === 0x1f) return fail("high tag numbers are not used here")
    if (tag === 0) return fail("tag 0 is not a value (BER end-of-contents)")
    let offset = start + 1
    const first = bytes[offset++]
    if (first === undefined) return fail("the length is missing")
    let length = first
    if (first === 0x80) return fail("indefinite length is BER, not DER")
    if (first > 0x80) {
      const count = first & 0x7f
      // Four octets reach 4 GiB, beyond every object git can hand over.
      if (count > 4) return fail("the length is too large")
      length = 0
      for (let i = 0; i < count; i++) {
        const octet = bytes[offset++]
        if (octet === undefined) return fail("the length is cut short")
        length = length * 256 + octet
      }
      if (length < 0x80 || length < 256 ** (count - 1)) return fail("the length is not minimal")
    }
    if (length > bytes.length - offset) return fail("the content is cut short")
    this.#offset = offset + length
    return {
      tag,
      content: bytes.subarray(offset, this.#offset),
      raw: bytes.subarray(start, this.#offset),
    }
  }

  /**
   * Reads the next value and requires its tag.
   *
   * @throws ERR_DER when it has another tag
   */
  expect(tag: number, what: string): DerValue {
    const next = this.peekTag()
    if (next !== tag)
      fail(`${what}: expected tag 0x${hexByte(tag)}, found ${next === undefined ? "the end" : `0x${hexByte(next)}`}`)
    return this.any()
  }

  /** Reads the next value when it has this tag; undefined when it has not. */
  optional(tag: number): DerValue | undefined {
    return this.peekTag() === tag ? this.any() : undefined
  }

  /**
   * Reads a constructed value completely.
   *
   * @throws ERR_DER when bytes are left over after `read`
   */
  constructed<T>(tag: number, what: string, read: (reader: DerReader) => T): T {
    return readAll(this.expect(tag, what).content, what, read)
  }

  /** Reads a SEQUENCE completely; see {@link constructed}. */
  sequence<T>(what: string, read: (reader: DerReader) => T): T {
    return this.constructed(TAG.sequence, what, read)
  }

  /** Reads a BOOLEAN (X.690 §11.1: 0x00 or 0xff). */
  boolean(what: string): boolean {
    const { content } = this.expect(TAG.boolean, what)
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) return fail(`${what}: not a DER BOOLEAN`)
    return content[0] === 0xff
  }

  /** Reads an INTEGER's content octets: two's complement, minimal, at least one octet. */
  integerBytes(what: string): Uint8Array {
    const { content } = this.expect(TAG.integer, what)
    checkInteger(content, what)
    return content
  }

  /** Reads an INTEGER that fits a small non-negative number, such as a version. */
  smallInteger(what: string): number {
    const bytes = this.integerBytes(what)
    if (bytes.length > 6 || (bytes[0] ?? 0) & 0x80) return fail(`${what}: out of range`)
    return bytes.reduce((value, octet) => value * 256 + octet, 0)
  }

  /** Reads an OBJECT IDENTIFIER as dotted decimal. */
  oid(what: string): string {
    return decodeOid(this.expect(TAG.oid, what).content, what)
  }

  /** Reads an OCTET STRING's content. */
  octetString(what: string): Uint8Array {
    return this.expect(TAG.octetString, what).content
  }

  /** Reads a BIT STRING of whole octets, as keys and signatures are. */
  bitStringOctets(what: string): Uint8Array {
    const { content } = this.expect(TAG.bitString, what)
    if (content[0] !== 0) return fail(`${what}: not a whole number of octets`)
    return content.subarray(1)
  }

  /** Reads a UTCTime or GeneralizedTime in the form RFC 5280 §4.1.2.5 demands: UTC, whole seconds. */
  time(what: string): Date {
    const value = this.any()
    return decodeTime(value, what)
  }

  /**
   * @throws ERR_DER when anything is left
   */
  end(what: string): void {
    if (!this.atEnd) fail(`${what}: ${this.#bytes.length - this.#offset} bytes are left over`)
  }
}

/** Reads all of `bytes` with `read`. @throws ERR_DER when anything is left over */
export function readAll<T>(bytes: Uint8Array, what: string, read: (reader: DerReader) => T): T {
  const reader = new DerReader(bytes)
  const value = read(reader)
  reader.end(what)
  return value
}

function checkInteger(content: Uint8Array, what: string): void {
  const [first, second] = content
  if (first === undefined) fail(`${what}: empty INTEGER`)
  else if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    fail(`${what}: INTEGER is not minimal`)
  }
}

function decodeOid(content: Uint8Array, what: string): string {
  // 2.5.29.17 and its like are below 100 octets; a longer one is an attack: its arcs would grow without bound.
  if (content.length > 64) return fail(`${what}: OBJECT IDENTIFIER is too long`)
  const arcs: bigint[] = []
  let arc = 0n
  let started = false
  for (const octet of content) {
    if (!started && octet === 0x80) return fail(`${what}: OBJECT IDENTIFIER is not minimal`)
    started = true
    arc = (arc << 7n) | BigInt(octet & 0x7f)
    if (octet & 0x80) continue
    if (arcs.length === 0) {
      const root = arc < 80n ? arc / 40n : 2n
      arcs.push(root, arc - root * 40n)
    } else arcs.push(arc)
    arc = 0n
    started = false
  }
  if (started || arcs.length === 0) return fail(`${what}: OBJECT IDENTIFIER is cut short`)
  return arcs.join(".")
}

/** Decodes a UTCTime (years 1950 to 2049) or a GeneralizedTime with `Z` and no fraction. @throws ERR_DER otherwise */
function decodeTime(value: DerValue, what: string): Date {
  const text = latin1(value.content)
  let digits: string
  if (value.tag === TAG.utcTime && /^\d{12}Z$/.test(text)) digits = (Number(text.slice(0, 2)) < 50 ? "20" : "19") + text
  else if (value.tag === TAG.generalizedTime && /^\d{14}Z$/.test(text)) digits = text
  else return fail(`${what}: not a UTC time in whole seconds`)
  const iso = `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6, 8)}T${digits.slice(8, 10)}:${digits.slice(10, 12)}:${digits.slice(12, 14)}.000Z`
  const date = new Date(iso)
  // Date accepts 30 February and 24:00 by moving on; DER has one name for each moment.
  if (Number.isNaN(date.getTime()) || date.toISOString() !== iso) return fail(`${what}: no such moment`)
  return date
}

/** The text of octets that stand for themselves (ISO 8859-1). */
export const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")

const hexByte = (value: number): string => value.toString(16).padStart(2, "0")

/** Encodes one value. */
export function encode(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, part) => sum + part.length, 0)
  const header = [tag]
  if (length < 0x80) header.push(length)
  else {
    const octets: number[] = []
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
    header.push(0x80 | octets.length, ...octets)
  }
  return Buffer.concat([Buffer.from(header), ...contents])
}

/** Encodes a SEQUENCE of already encoded values. */
export const encodeSequence = (...values: readonly Uint8Array[]): Uint8Array => encode(TAG.sequence, ...values)

/** Encodes a SET OF: the values in ascending order of their encodings (X.690 §11.6). */
export const encodeSetOf = (...values: readonly Uint8Array[]): Uint8Array =>
  encode(TAG.set, ...[...values].sort(Buffer.compare))

/** Encodes an OCTET STRING. */
export const encodeOctetString = (content: Uint8Array): Uint8Array => encode(TAG.octetString, content)

/** Encodes a non-negative INTEGER from a small number. */
export function encodeSmallInteger(value: number): Uint8Array {
  const octets: number[] = []
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  if (octets.length === 0 || (octets[0] ?? 0) >= 0x80) octets.unshift(0)
  return encode(TAG.integer, Buffer.from(octets))
}

/** Encodes a non-negative INTEGER from big-endian octets of any length. */
export function encodeUnsignedInteger(bytes: Uint8Array): Uint8Array {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const magnitude = bytes.subarray(start)
  const pad = magnitude.length === 0 || (magnitude[0] ?? 0) >= 0x80
  return encode(TAG.integer, pad ? Buffer.concat([Buffer.of(0), magnitude]) : magnitude)
}

/** Encodes an OBJECT IDENTIFIER from dotted decimal. */
export function encodeOid(oid: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = oid.split(".").map(Number)
  const octets: number[] = []
  for (const arc of [first * 40 + second, ...rest]) {
    const group = [arc & 0x7f]
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128)) group.unshift((high & 0x7f) | 0x80)
    octets.push(...group)
  }
  return encode(TAG.oid, Buffer.from(octets))
}

/** Encodes a UTCTime, whole seconds, UTC. The year MUST be 1950 to 2049. */
export const encodeUtcTime = (date: Date): Uint8Array =>
  encode(TAG.utcTime, Buffer.from(`${date.toISOString().replace(/[-:T]/g, "").slice(2, 14)}Z`, "latin1"))
