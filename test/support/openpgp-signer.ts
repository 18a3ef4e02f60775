/**
 * OpenPGP keys and signatures of version 4, made piece by piece, so that every piece can be a wrong one (RFC 4880 section 5.2, RFC 9580).
 *
 * @module
 */

import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto"

const uint32 = (value: number): Buffer => {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(value)
  return octets
}

const uint16 = (value: number): Buffer => uint32(value).subarray(2)

/** A number with its length in bits. */
const mpi = (octets: Uint8Array): Buffer => {
  const start = octets.findIndex((octet) => octet !== 0)
  const short = Buffer.from(octets.subarray(Math.max(start, 0)))
  return Buffer.concat([uint16(short.length * 8 - (Math.clz32(short[0] ?? 0) - 24)), short])
}

/** A packet with a length in the new form. */
export const packet = (tag: number, body: Uint8Array): Buffer => {
  const { length } = body
  const header = length < 192 ? [length] : [((length - 192) >> 8) + 192, (length - 192) & 0xff]
  return Buffer.concat([Buffer.of(0xc0 | tag, ...header), body])
}

/** A part of a signature. */
export const subpacket = (type: number, content: Uint8Array | number[], isCritical = false): Buffer =>
  Buffer.concat([Buffer.of(content.length + 1, type | (isCritical ? 0x80 : 0)), Buffer.from(content)])

/** A notation; RFC 9580 section 5.2.3.24. */
export const notation = (name: string, value: string, isCritical: boolean): Buffer =>
  subpacket(
    20,
    Buffer.concat([uint32(0x80000000), uint16(name.length), uint16(value.length), Buffer.from(name + value)]),
    isCritical,
  )

/** A private key. */
export interface PgpSigner {
  readonly body: Buffer
  readonly created: number
  readonly algorithm: number
  /** Upper-case hex. */
  readonly fingerprint: string
  /** The numbers of a signature over data. */
  readonly sign: (data: Uint8Array, digest: string) => Buffer
}

function pgpSigner(created: number, algorithm: number, fields: Buffer, one: PgpSigner["sign"]): PgpSigner {
  const body = Buffer.concat([Buffer.of(4), uint32(created), Buffer.of(algorithm), fields])
  const fingerprint = createHash("sha1").update(hashed(body)).digest("hex").toUpperCase()
  return { body, created, algorithm, fingerprint, sign: one }
}

/** The form in which a key is signed and hashed. */
const hashed = (body: Uint8Array): Buffer => Buffer.concat([Buffer.of(0x99), uint16(body.length), body])

const jwk = (key: KeyObject): Record<string, string> => key.export({ format: "jwk" }) as Record<string, string>

/** EdDSA as gpg makes it (algorithm 22). */
export function eddsa(created: number): PgpSigner {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519")
  const point = Buffer.concat([Buffer.of(0x40), Buffer.from(jwk(publicKey).x ?? "", "base64url")])
  const fields = Buffer.concat([Buffer.of(9), Buffer.from("2b06010401da470f01", "hex"), mpi(point)])
  return pgpSigner(created, 22, fields, (data, digest) => {
    const raw = sign(undefined, createHash(digest).update(data).digest(), privateKey)
    return Buffer.concat([mpi(raw.subarray(0, 32)), mpi(raw.subarray(32))])
  })
}

/** RSA (algorithm 1). */
export function rsaPgp(created: number, bits = 2048): PgpSigner {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: bits })
  const { n = "", e = "" } = jwk(publicKey)
  const fields = Buffer.concat([mpi(Buffer.from(n, "base64url")), mpi(Buffer.from(e, "base64url"))])
  return pgpSigner(created, 1, fields, (data, digest) => mpi(sign(digest, data, privateKey)))
}

const DIGESTS: Readonly<Record<number, string>> = {
  1: "md5",
  2: "sha1",
  3: "ripemd160",
  8: "sha256",
  9: "sha384",
  10: "sha512",
  11: "sha224",
  12: "sha3-256",
  14: "sha3-512",
}

/** Pieces of a signature. */
export interface PgpSignatureOptions {
  readonly type?: number
  readonly version?: number
  readonly hash?: number
  readonly algorithm?: number
  readonly created?: number
  /** In place of the time and the fingerprint. */
  readonly hashed?: readonly Buffer[]
  /** Behind the time and the fingerprint. */
  readonly more?: readonly Buffer[]
  /** In place of the key id. */
  readonly unhashed?: readonly Buffer[]
  readonly changeNumbers?: (numbers: Buffer) => Buffer
  readonly trailing?: Buffer
}

export const time = (seconds: number): Buffer => subpacket(2, uint32(seconds))
export const fingerprintOf = (key: PgpSigner): Buffer =>
  subpacket(33, Buffer.concat([Buffer.of(4), Buffer.from(key.fingerprint, "hex")]))
export const keyIdOf = (key: PgpSigner): Buffer => subpacket(16, Buffer.from(key.fingerprint, "hex").subarray(-8))

/** The content of a signature packet over data. */
export function signatureBody(key: PgpSigner, data: Uint8Array, options: PgpSignatureOptions = {}): Buffer {
  const { type = 0, version = 4, hash = 8, algorithm = key.algorithm, created = key.created + 1000 } = options
  const area = Buffer.concat(options.hashed ?? [time(created), fingerprintOf(key), ...(options.more ?? [])])
  const signed = Buffer.concat([Buffer.of(version, type, algorithm, hash), uint16(area.length), area])
  const unhashed = Buffer.concat(options.unhashed ?? [keyIdOf(key)])
  const digest = DIGESTS[hash] ?? "sha256"
  const all = Buffer.concat([data, signed, Buffer.of(version, 0xff), uint32(signed.length)])
  const numbers = key.sign(all, digest)
  return Buffer.concat([
    signed,
    uint16(unhashed.length),
    unhashed,
    createHash(digest).update(all).digest().subarray(0, 2),
    options.changeNumbers?.(numbers) ?? numbers,
    options.trailing ?? Buffer.alloc(0),
  ])
}

/** A signature packet over data. */
export const signaturePacket = (key: PgpSigner, data: Uint8Array, options: PgpSignatureOptions = {}): Buffer =>
  packet(2, signatureBody(key, data, options))

/** Armors a signature or a key, without a checksum. */
export const armorPgp = (label: "SIGNATURE" | "PUBLIC KEY BLOCK", bytes: Uint8Array): string => {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN PGP ${label}-----\n\n${lines.join("\n")}\n-----END PGP ${label}-----\n`
}

/** What is made for a user id. */
export interface CertificationOptions extends PgpSignatureOptions {
  readonly flags?: number | undefined
}

/** A user id and its self-signature; flags 3: may certify and sign. */
export function userId(
  key: PgpSigner,
  name: string,
  { flags = 3, more = [], ...rest }: CertificationOptions = {},
  by = key,
): Buffer {
  const octets = Buffer.from(name)
  const data = Buffer.concat([hashed(key.body), Buffer.of(0xb4), uint32(octets.length), octets])
  const certification = signaturePacket(by, data, {
    type: 0x13,
    created: key.created,
    more: [subpacket(27, [flags]), ...more],
    ...rest,
  })
  return Buffer.concat([packet(13, octets), certification])
}

/** A subkey with its binding; `backSignature`: who signs for the subkey that it belongs, nobody when undefined. */
export function subkey(
  primary: PgpSigner,
  key: PgpSigner,
  backSignature: PgpSigner | undefined,
  { flags = 2, more = [], ...rest }: CertificationOptions = {},
  by = primary,
): Buffer {
  const data = Buffer.concat([hashed(primary.body), hashed(key.body)])
  const back =
    backSignature === undefined
      ? []
      : [signatureBody(backSignature, data, { type: 0x19, created: key.created, unhashed: [keyIdOf(backSignature)] })]
  const embedded = back.map((body) => subpacket(32, body))
  const binding = signaturePacket(by, data, {
    type: 0x18,
    created: key.created,
    more: [subpacket(27, [flags]), ...embedded, ...more],
    ...rest,
  })
  return Buffer.concat([packet(14, key.body), binding])
}

/** A revocation of a primary key, or of a subkey. */
export function revocation(primary: PgpSigner, reason: number, created: number, of?: PgpSigner, by = primary): Buffer {
  const data = Buffer.concat([hashed(primary.body), ...(of === undefined ? [] : [hashed(of.body)])])
  return signaturePacket(by, data, { type: of === undefined ? 0x20 : 0x28, created, more: [subpacket(29, [reason])] })
}

/** A public key block. */
export const publicKey = (key: PgpSigner, ...parts: Uint8Array[]): string =>
  armorPgp("PUBLIC KEY BLOCK", Buffer.concat([packet(6, key.body), ...parts]))
