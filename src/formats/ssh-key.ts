/**
 * SSH public keys and certificates on the wire (RFC 4251 section 5, RFC 4253 section 6.6, RFC 5656, RFC 8709, and OpenSSH's
 * PROTOCOL.u2f and PROTOCOL.certkeys), read strictly: one encoding for every key.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError } from "../errors.ts"

/** The bytes are not what they should be; the caller says of what. */
export const malformed = (what: string): GitsignError => new GitsignError("ERR_SIGNATURE_FORMAT", what)

/** Reads the values of RFC 4251 section 5 one after the other. All methods throw ERR_SIGNATURE_FORMAT when the bytes end too early. */
export class SshReader {
  readonly #bytes: Buffer
  readonly #what: string
  #offset = 0

  /** @param what what is read, for messages */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#what = what
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length
  }

  /** The next `length` bytes; a view, not a copy. */
  bytes(length: number): Buffer {
    const end = this.#offset + length
    if (end > this.#bytes.length) throw malformed(`${this.#what} is cut short`)
    const taken = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return taken
  }

  byte(): number {
    return this.bytes(1).readUInt8()
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE()
  }

  uint64(): bigint {
    return this.bytes(8).readBigUInt64BE()
  }

  string(): Buffer {
    return this.bytes(this.uint32())
  }

  /** A string of printable ASCII: names have no other characters, and a NUL would end them in C. */
  name(): string {
    const text = this.string().toString("latin1")
    if (!/^[\x20-\x7e]*$/.test(text)) throw malformed(`${this.#what} has a name that is not printable ASCII`)
    return text
  }

  /** A positive integer without its sign octet; it has to be in the shortest form. */
  positiveInteger(): Buffer {
    const octets = this.string()
    const [first = 0, second = 0] = octets
    const isPadded = first === 0
    if (octets.length === 0 || first >= 0x80 || (isPadded && (octets.length === 1 || second < 0x80))) {
      throw malformed(`${this.#what} has a number that is not positive or not in its shortest form`)
    }
    return isPadded ? octets.subarray(1) : octets
  }

  /** @throws ERR_SIGNATURE_FORMAT when something is left over */
  end(): void {
    if (!this.atEnd) throw malformed(`${this.#what} has ${this.#bytes.length - this.#offset} bytes too many`)
  }
}

/** The NIST curves of RFC 5656, and how many octets a coordinate has. */
const CURVES: Readonly<Record<string, { readonly crv: "P-256" | "P-384" | "P-521"; readonly octets: number }>> = {
  nistp256: { crv: "P-256", octets: 32 },
  nistp384: { crv: "P-384", octets: 48 },
  nistp521: { crv: "P-521", octets: 66 },
}

const ED25519 = "ssh-ed25519"
const RSA = "ssh-rsa"
const SK_ED25519 = "sk-ssh-ed25519@openssh.com"
const SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"

/** The types of plain keys that can be read; DSA is not among them. */
const PLAIN_TYPES = [
  ED25519,
  RSA,
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  SK_ED25519,
  SK_ECDSA,
]

const CERTIFICATE_SUFFIX = "-cert-v01@openssh.com"

/** The type of a certificate for keys of a plain type, such as `ssh-ed25519-cert-v01@openssh.com`. */
const certificateType = (plain: string): string => `${plain.replace(/@openssh\.com$/, "")}${CERTIFICATE_SUFFIX}`

/** Numbers of a public key. */
export type SshKeyMaterial =
  | { readonly kind: "ed25519"; readonly publicKey: Buffer }
  | {
      readonly kind: "ecdsa"
      readonly crv: "P-256" | "P-384" | "P-521"
      readonly octets: number
      readonly point: Buffer
    }
  | { readonly kind: "rsa"; readonly exponent: Buffer; readonly modulus: Buffer }

/** A public key, or a certificate over one. */
export interface SshPublicKey {
  /** The first string in it, such as `ssh-ed25519` or `ssh-ed25519-cert-v01@openssh.com`. */
  readonly type: string
  /** The type of the key itself: for certificates that of the certified key. */
  readonly plainType: string
  readonly material: SshKeyMaterial
  /** What a security key signs for, mostly `ssh:`; undefined for other keys. */
  readonly application: Buffer | undefined
  /** The whole encoding. */
  readonly blob: Buffer
  /** The encoding of the key without a certificate. */
  readonly plainBlob: Buffer
  readonly certificate: SshCertificate | undefined
}

/** What an authority says about a key (PROTOCOL.certkeys). Nothing in it is proven until its signature is verified. */
export interface SshCertificate {
  readonly isUser: boolean
  readonly keyId: string
  readonly principals: readonly string[]
  /** Seconds since 1970. */
  readonly validAfter: bigint
  /** Seconds since 1970, not included. */
  readonly validBefore: bigint
  /** Names of the critical options, in their order. */
  readonly criticalOptions: readonly string[]
  /** A plain key. */
  readonly authority: SshPublicKey
  /** What the authority signed. */
  readonly signed: Buffer
  /** Its signature: a type and octets, as in {@link parseSshSignatureBlob}. */
  readonly signature: Buffer
}

/** `SHA256:` and the base64 of the digest of the plain key, as ssh-keygen prints it. */
export const sshFingerprint = ({ plainBlob }: SshPublicKey): string =>
  `SHA256:${createHash("sha256").update(plainBlob).digest("base64").replace(/=+$/, "")}`

/**
 * Reads one public key or certificate. The caller MUST verify a certificate's signature and what it says before it counts.
 *
 * @throws ERR_SIGNATURE_FORMAT when it is none, is of an unknown type, or has more than one reading
 */
export function parseSshPublicKey(blob: Uint8Array): SshPublicKey {
  const reader = new SshReader(blob, "the SSH key")
  const type = reader.name()
  const plainType = PLAIN_TYPES.find((plain) => plain === type || certificateType(plain) === type)
  if (plainType === undefined) throw malformed(`the SSH key is of the type ${JSON.stringify(type)}`)
  const isCertificate = plainType !== type
  if (isCertificate) reader.string() // nonce
  const start = reader.offset
  const { material, application } = readMaterial(reader, plainType)
  const whole = Buffer.from(blob.buffer, blob.byteOffset, blob.length)
  const fields = whole.subarray(start, reader.offset)
  const certificate = isCertificate ? readCertificate(reader, whole) : undefined
  reader.end()
  return {
    type,
    plainType,
    material,
    application,
    blob: whole,
    plainBlob: isCertificate ? Buffer.concat([sshString(plainType), fields]) : whole,
    certificate,
  }
}

/** Encodes a string of RFC 4251 section 5. */
export function sshString(content: Uint8Array | string): Buffer {
  const octets = typeof content === "string" ? Buffer.from(content, "latin1") : content
  const length = Buffer.alloc(4)
  length.writeUInt32BE(octets.length)
  return Buffer.concat([length, octets])
}

function readMaterial(
  reader: SshReader,
  type: string,
): { readonly material: SshKeyMaterial; readonly application: Buffer | undefined } {
  if (type === RSA) {
    const exponent = reader.positiveInteger()
    return { material: { kind: "rsa", exponent, modulus: reader.positiveInteger() }, application: undefined }
  }
  const isSecurityKey = type === SK_ED25519 || type === SK_ECDSA
  if (type === ED25519 || type === SK_ED25519) {
    const publicKey = reader.string()
    if (publicKey.length !== 32) throw malformed("the Ed25519 key has not 32 bytes")
    return { material: { kind: "ed25519", publicKey }, application: isSecurityKey ? reader.string() : undefined }
  }
  const name = isSecurityKey ? "nistp256" : type.slice("ecdsa-sha2-".length)
  const curve = CURVES[name]
  if (curve === undefined || reader.name() !== name) throw malformed("the ECDSA key names another curve than its type")
  const point = reader.string()
  if (point.length !== 1 + 2 * curve.octets || point[0] !== 4) throw malformed("the ECDSA key is not one whole point")
  return { material: { kind: "ecdsa", ...curve, point }, application: isSecurityKey ? reader.string() : undefined }
}

const USER_CERTIFICATE = 1
const HOST_CERTIFICATE = 2

function readCertificate(reader: SshReader, whole: Buffer): SshCertificate {
  reader.uint64() // serial
  const type = reader.uint32()
  if (type !== USER_CERTIFICATE && type !== HOST_CERTIFICATE) {
    throw malformed(`the SSH certificate is of the type ${type}`)
  }
  const keyId = reader.string().toString("utf8")
  const principals = readPrincipals(reader.string())
  const validAfter = reader.uint64()
  const validBefore = reader.uint64()
  const criticalOptions = readOptions(reader.string())
  readOptions(reader.string()) // extensions
  reader.string() // reserved
  const authority = parseAuthority(reader.string())
  const signed = whole.subarray(0, reader.offset)
  const signature = reader.string()
  return {
    isUser: type === USER_CERTIFICATE,
    keyId,
    principals,
    validAfter,
    validBefore,
    criticalOptions,
    authority,
    signed,
    signature,
  }
}

function parseAuthority(blob: Buffer): SshPublicKey {
  // A certificate here would be a chain, which OpenSSH has not; a reader that follows it never ends.
  if (new SshReader(blob, "the SSH authority's key").name().endsWith(CERTIFICATE_SUFFIX)) {
    throw malformed("the SSH certificate is signed by another certificate")
  }
  return parseSshPublicKey(blob)
}

/** More than OpenSSH reads in one certificate (SSHKEY_CERT_MAX_PRINCIPALS). */
const MAX_PRINCIPALS = 256

function readPrincipals(list: Buffer): string[] {
  const reader = new SshReader(list, "the SSH certificate's list of principals")
  const principals: string[] = []
  while (!reader.atEnd) {
    const octets = reader.string()
    // C ends a text at a NUL: it would be another principal there than here
    if (octets.includes(0) || principals.length >= MAX_PRINCIPALS) throw malformed("the SSH certificate's principals")
    principals.push(octets.toString("latin1"))
  }
  return principals
}

function readOptions(list: Buffer): string[] {
  const reader = new SshReader(list, "the SSH certificate's options")
  const names: string[] = []
  while (!reader.atEnd) {
    const name = reader.name()
    reader.string()
    // They have to be in order, each once (PROTOCOL.certkeys)
    if (name <= (names.at(-1) ?? "")) throw malformed("the SSH certificate's options are not in order")
    names.push(name)
  }
  return names
}
