/**
 * The one signature packet over a commit or tag (RFC 9580 section 5.2, RFC 4880 section 5.2), read strictly before any program library
 * sees it: what kind of signature it is, when it says that it was made, and by which key.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"

/** What is in the packet that the decision rests on. */
export interface OpenPgpSignature {
  readonly version: 4 | 6
  /** Over the bytes as they are, or over a text with its line ends normalised. */
  readonly type: "binary" | "text"
  /** RFC 9580 section 9.1. */
  readonly publicKeyAlgorithm: number
  /** RFC 9580 section 9.5. */
  readonly hashAlgorithm: number
  /** When it was made, as the signer's clock said; nothing proves it. */
  readonly created: Date
  /** Fingerprints and key ids of its maker, upper-case hex; all of them have to fit the key. At least one. */
  readonly issuers: readonly { readonly form: "fingerprint" | "key id"; readonly hex: string }[]
  /** The packet's content without its header. */
  readonly body: Buffer
}

const malformed = (what: string): GitsignError => new GitsignError("ERR_SIGNATURE_FORMAT", what)
const refuse = (what: string): GitsignError => new GitsignError("ERR_SIGNATURE", what)

const SIGNATURE_PACKET = 2
const BINARY = 0x00
const TEXT = 0x01

/** Of the hash algorithms: SHA-256, SHA-384, SHA-512, SHA3-256, SHA3-512. */
const STRONG_HASHES: readonly number[] = [8, 9, 10, 12, 14]
const WEAK_HASHES: Readonly<Record<number, string>> = { 1: "MD5", 2: "SHA-1", 3: "RIPEMD-160", 11: "SHA-224" }

const SUBPACKET = { created: 2, expires: 3, issuer: 16, notation: 20, embedded: 32, issuerFingerprint: 33 } as const

/** What may stand in the hashed part marked as critical, since it is understood: RFC 9580 section 5.2.3.7. */
const UNDERSTOOD: readonly number[] = [
  SUBPACKET.created,
  SUBPACKET.expires,
  SUBPACKET.issuer,
  SUBPACKET.issuerFingerprint,
  26, // policy URI
  28, // signer's user id
]

/**
 * Takes the decoded armor apart.
 *
 * @throws ERR_SIGNATURE_FORMAT when it is not exactly one signature packet in one of the forms that programs write
 * @throws ERR_SIGNATURE when it is one that must not count: not over a document, by a weak hash, ending by itself, or with something
 * critical that nobody here understands
 */
export function parseOpenPgpSignature(bytes: Uint8Array): OpenPgpSignature {
  const body = onlyPacket(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  const [version, type, publicKeyAlgorithm = 0, hashAlgorithm = 0] = body
  if (version !== 4 && version !== 6) throw malformed(`the OpenPGP signature is of version ${version ?? "none"}`)
  if (type !== BINARY && type !== TEXT) {
    throw refuse(`the OpenPGP signature is of type 0x${(type ?? 0).toString(16).padStart(2, "0")}, not over a document`)
  }
  if (!STRONG_HASHES.includes(hashAlgorithm)) {
    const name = WEAK_HASHES[hashAlgorithm]
    throw refuse(
      name === undefined
        ? `the OpenPGP signature uses the unknown hash algorithm ${hashAlgorithm}`
        : `the OpenPGP signature uses ${name}, which is too weak`,
    )
  }
  const hashed = subpacketsAt(body, 4, version)
  const unhashed = subpacketsAt(body, hashed.end, version)
  checkHashed(hashed.subpackets)
  checkUnhashed(unhashed.subpackets)
  checkNumbers(body, unhashed.end, version, publicKeyAlgorithm)
  const created = hashed.subpackets.find((subpacket) => subpacket.type === SUBPACKET.created)
  if (created?.content.length !== 4) throw malformed("the OpenPGP signature does not say when it was made")
  const issuers = [...hashed.subpackets, ...unhashed.subpackets].flatMap(issuerOf)
  if (issuers.length === 0) throw malformed("the OpenPGP signature does not say by which key it was made")
  return {
    version,
    type: type === BINARY ? "binary" : "text",
    publicKeyAlgorithm,
    hashAlgorithm,
    created: new Date(created.content.readUInt32BE() * 1000),
    issuers,
    body,
  }
}

/** The content of the only packet. Lengths have to be given at once: a packet of unknown or partial length could hide another. */
function onlyPacket(bytes: Buffer): Buffer {
  const [header = 0, first = 0, second = 0] = bytes
  let tag = header & 0x3f
  let start: number
  let length: number
  if ((header & 0xc0) === 0xc0) {
    if (first < 192) [start, length] = [2, first]
    else if (first < 224) [start, length] = [3, ((first - 192) << 8) + second + 192]
    else if (first === 255 && bytes.length >= 6) [start, length] = [6, bytes.readUInt32BE(2)]
    else throw malformed("the OpenPGP signature's packet has no definite length")
  } else if ((header & 0x80) !== 0) {
    tag = (header >> 2) & 0x0f
    const octets = [1, 2, 4][header & 0x03]
    if (octets === undefined || bytes.length < 1 + octets) {
      throw malformed("the OpenPGP signature's packet has no definite length")
    }
    ;[start, length] = [1 + octets, bytes.readUIntBE(1, octets)]
  } else throw malformed("the OpenPGP signature is no packet")
  if (tag !== SIGNATURE_PACKET) throw malformed(`there is an OpenPGP packet of type ${tag} in place of a signature`)
  if (start + length < bytes.length) throw malformed("something follows the first OpenPGP signature packet")
  if (start + length > bytes.length) throw malformed("the OpenPGP signature is cut short")
  return bytes.subarray(start)
}

interface Subpacket {
  readonly type: number
  readonly isCritical: boolean
  readonly content: Buffer
}

function subpacketsAt(body: Buffer, offset: number, version: 4 | 6): { subpackets: Subpacket[]; end: number } {
  const octets = version === 4 ? 2 : 4
  if (offset + octets > body.length) throw malformed("the OpenPGP signature is cut short")
  let at = offset + octets
  const end = at + body.readUIntBE(offset, octets)
  if (end > body.length) throw malformed("the OpenPGP signature is cut short")
  const subpackets: Subpacket[] = []
  while (at < end) {
    const first = body[at] ?? 0
    const size = first < 192 ? 1 : first < 255 ? 2 : 5
    if (at + size >= end) throw malformed("a part of the OpenPGP signature has no content")
    const second = body[at + 1] ?? 0
    const length = size === 1 ? first : size === 2 ? ((first - 192) << 8) + second + 192 : body.readUInt32BE(at + 1)
    const start = at + size
    at = start + length
    if (length === 0 || at > end) throw malformed("a part of the OpenPGP signature is longer than the whole")
    const kind = body[start] ?? 0
    const isShort = size === 1 || (size === 2 && length >= 192) || (size === 5 && length >= 8384)
    if (!isShort) throw malformed("a part of the OpenPGP signature has its length in a longer form")
    subpackets.push({ type: kind & 0x7f, isCritical: kind >= 0x80, content: body.subarray(start + 1, at) })
  }
  return { subpackets, end }
}

function checkHashed(subpackets: readonly Subpacket[]): void {
  for (const { type, isCritical, content } of subpackets) {
    if (isCritical && type === SUBPACKET.notation) {
      throw refuse(
        `the OpenPGP signature has a critical notation that nobody here understands: ${notationName(content)}`,
      )
    }
    if (isCritical && !UNDERSTOOD.includes(type)) {
      throw refuse(`the OpenPGP signature has a critical part of type ${type} that nobody here understands`)
    }
    // It belongs to keys; here it would only be a way to nest signatures without end
    if (type === SUBPACKET.embedded) throw refuse("the OpenPGP signature has another one inside")
    // Without a clock nobody can say whether it has ended; and what is in history should not stop to hold
    if (type === SUBPACKET.expires && content.some((octet) => octet !== 0)) {
      throw refuse("the OpenPGP signature says of itself that it ends")
    }
  }
  // With two of them it would depend on the reader which one counts
  for (const type of [SUBPACKET.created, SUBPACKET.expires, SUBPACKET.issuer, SUBPACKET.issuerFingerprint]) {
    const count = subpackets.filter((subpacket) => subpacket.type === type).length
    if (count > 1) throw malformed(`the OpenPGP signature says the same twice (type ${type})`)
  }
}

/** Everybody can change what is not hashed: only what is checked against the key may stand there. */
function checkUnhashed(subpackets: readonly Subpacket[]): void {
  const allowed: readonly number[] = [SUBPACKET.issuer, SUBPACKET.issuerFingerprint]
  for (const { type, isCritical } of subpackets) {
    if (isCritical || !allowed.includes(type)) {
      throw malformed(`the OpenPGP signature has a part of type ${type} that is not signed`)
    }
  }
  if (new Set(subpackets.map(({ type }) => type)).size < subpackets.length) {
    throw malformed("the OpenPGP signature names its key twice")
  }
}

/** How many numbers of variable length a signature has, by algorithm: RSA, ECDSA, EdDSA of RFC 4880bis. */
const NUMBERS: Readonly<Record<number, number>> = { 1: 1, 3: 1, 19: 2, 22: 2 }

/** How many octets a signature has in its own form, by algorithm: Ed25519, Ed448. */
const OCTETS: Readonly<Record<number, number>> = { 27: 64, 28: 114 }

/** Checks the end of the packet: with numbers in several forms, one signature would have many texts. */
function checkNumbers(body: Buffer, offset: number, version: 4 | 6, algorithm: number): void {
  const numbers = NUMBERS[algorithm]
  const octets = OCTETS[algorithm]
  if (numbers === undefined && octets === undefined) {
    throw refuse(`the OpenPGP signature is by the public key algorithm ${algorithm}, which is not accepted`)
  }
  // The first two octets of the digest; in version 6 the salt behind them
  let at = offset + 2
  if (version === 6) at += 1 + (body[at] ?? 0)
  if (octets !== undefined) at += octets
  for (let count = 0; count < (numbers ?? 0); count++) {
    if (at + 2 >= body.length) throw malformed("the OpenPGP signature is cut short")
    const bits = body.readUInt16BE(at)
    const length = Math.ceil(bits / 8)
    const first = body[at + 2] ?? 0
    const exact = length * 8 - (Math.clz32(first) - 24)
    // GitHub counts whole octets (its library did so), the standard counts bits
    if (first === 0 || (bits !== exact && bits !== length * 8)) {
      throw malformed("the OpenPGP signature has a number that is not in its shortest form")
    }
    at += 2 + length
  }
  if (at !== body.length) throw malformed("the OpenPGP signature is longer or shorter than its numbers")
}

const notationName = (content: Buffer): string =>
  JSON.stringify(content.length < 8 ? "" : content.subarray(8, 8 + content.readUInt16BE(4)).toString("latin1"))

const hexOf = (octets: Buffer): string => octets.toString("hex").toUpperCase()

function issuerOf({ type, content }: Subpacket): OpenPgpSignature["issuers"][number][] {
  if (type === SUBPACKET.issuer) return [{ form: "key id", hex: hexOf(content) }]
  if (type === SUBPACKET.issuerFingerprint) return [{ form: "fingerprint", hex: hexOf(content.subarray(1)) }]
  return []
}
