/**
 * OpenPGP public keys taken apart, one behind the other (RFC 9580 section 10.1), and what tells them from each other: fingerprints (RFC 4880
 * section 12.2, RFC 9580 section 5.5.4) and kinds. Nothing in them is verified.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { type ErrorCode, GitsignError } from "../errors.ts"
import { decodeOpenPgpKeys } from "./openpgp-armor.ts"

/** One primary key with everything that follows it. */
export interface OpenPgpKey {
  /** Of the primary key, upper-case hex. */
  readonly fingerprint: string
  /** The last (version 4) or first (version 6) 16 digits of it. */
  readonly keyId: string
  readonly created: Date
  /** Why nobody can verify its signatures here, such as `it is of the unknown algorithm 99`; undefined when it is of a known kind. */
  readonly unknown: string | undefined
  /** The packets. */
  readonly bytes: Buffer
}

const SECRET_KEY = 5
const PUBLIC_KEY = 6
const SECRET_SUBKEY = 7

/**
 * Reads all keys of armored blocks; at least one.
 *
 * @param code what to throw, since these texts come from policies and from files
 * @throws `code` when there is none, what is there is no OpenPGP, or there is a secret key
 */
export function readOpenPgpKeys(text: string, code: ErrorCode, source: string): readonly OpenPgpKey[] {
  const packets = decodeOpenPgpKeys(text, code, source)
  const starts: { readonly at: number; readonly body: Buffer }[] = []
  for (let at = 0; at < packets.length; ) {
    const packet = readPacket(packets, at)
    if (packet === undefined) throw unreadable(code, source)
    if (packet.tag === SECRET_KEY || packet.tag === SECRET_SUBKEY) {
      throw new GitsignError(code, `${source} has a secret key in it: publish the public one only, and revoke this one`)
    }
    if (packet.tag === PUBLIC_KEY) starts.push({ at, body: packet.body })
    at = packet.end
  }
  if (starts.length === 0) throw unreadable(code, source)
  return starts.map(({ at, body }, index) => {
    const fingerprint = fingerprintOf(body)
    if (fingerprint === undefined) throw unreadable(code, source)
    return {
      fingerprint,
      keyId: body[0] === 6 ? fingerprint.slice(0, 16) : fingerprint.slice(-16),
      created: new Date(body.readUInt32BE(1) * 1000),
      unknown: unknownKind(body),
      bytes: packets.subarray(at, starts[index + 1]?.at),
    }
  })
}

const unreadable = (code: ErrorCode, source: string): GitsignError =>
  new GitsignError(code, `${source} has an OpenPGP key that cannot be read`)

/** Undefined for version 3, whose MD5 anybody can match, and 5, which never became a standard; and for what is too short to be a key. */
function fingerprintOf(body: Buffer): string | undefined {
  const prefix = Buffer.alloc(body[0] === 4 ? 3 : 5)
  if ((body[0] !== 4 && body[0] !== 6) || (body[0] === 4 && body.length > 0xffff) || body.length < 6) return undefined
  prefix[0] = body[0] === 4 ? 0x99 : 0x9b
  prefix.writeUIntBE(body.length, 1, prefix.length - 1)
  const hash = createHash(body[0] === 4 ? "sha1" : "sha256")
  return hash.update(prefix).update(body).digest("hex").toUpperCase()
}

/** Public-key algorithms (RFC 9580 section 9.1): RSA, Elgamal, DSA, ECDH, ECDSA, EdDSA, X25519, X448, Ed25519, Ed448. */
const ALGORITHMS: readonly number[] = [1, 2, 3, 16, 17, 18, 19, 22, 25, 26, 27, 28]
const NAMES_A_CURVE: readonly number[] = [18, 19, 22]
/** NIST's, secp256k1, Brainpool's, and the older names of Ed25519 and X25519 (RFC 9580 section 9.2), hex. */
const CURVES: readonly string[] = [
  ...["2a8648ce3d030107", "2b81040022", "2b81040023", "2b8104000a"],
  ...["2b2403030208010107", "2b240303020801010b", "2b240303020801010d"],
  ...["2b06010401da470f01", "2b060104019755010501"],
]

function unknownKind(body: Buffer): string | undefined {
  const algorithm = body[5] ?? 0
  if (!ALGORITHMS.includes(algorithm)) return `it is of the unknown algorithm ${algorithm}`
  if (!NAMES_A_CURVE.includes(algorithm)) return undefined
  const at = body[0] === 6 ? 10 : 6
  const curve = body.toString("hex", at + 1, at + 1 + (body[at] ?? 0))
  return CURVES.includes(curve) ? undefined : "it is on an unknown curve"
}

interface Packet {
  readonly tag: number
  readonly body: Buffer
  readonly end: number
}

/** One packet (RFC 9580 section 4.2); undefined for what is none, or has a length that no key needs. */
function readPacket(bytes: Buffer, offset: number): Packet | undefined {
  const at = (index: number): number => bytes[offset + index] ?? 0
  const isThere = (octets: number): boolean => offset + octets <= bytes.length
  const header = at(0)
  let size: readonly [start: number, length: number]
  if ((header & 0xc0) === 0xc0) {
    if (!isThere(6)) return undefined
    const first = at(1)
    if (first >= 224 && first < 255) return undefined
    if (first < 192) size = [2, first]
    else size = first < 224 ? [3, ((first - 192) << 8) + at(2) + 192] : [6, bytes.readUInt32BE(offset + 2)]
  } else {
    const octets = [1, 2, 4][header & 3]
    if ((header & 0x80) === 0 || octets === undefined || !isThere(1 + octets)) return undefined
    size = [1 + octets, bytes.readUIntBE(offset + 1, octets)]
  }
  const [start, length] = size
  if (!isThere(start + length)) return undefined
  const tag = (header & 0xc0) === 0xc0 ? header & 0x3f : (header >> 2) & 0x0f
  return { tag, body: bytes.subarray(offset + start, offset + start + length), end: offset + start + length }
}
