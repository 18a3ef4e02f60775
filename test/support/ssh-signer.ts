/**
 * SSH keys, certificates and signatures, made piece by piece, so that every piece can be a wrong one (PROTOCOL.sshsig,
 * PROTOCOL.certkeys, PROTOCOL.u2f).
 *
 * @module
 */

import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { sshString } from "../../src/formats/ssh-key.ts"

/** A private key. */
export interface SshSigner {
  readonly type: string
  /** The public key without the type: what stands in a certificate behind the nonce. */
  readonly fields: Buffer
  readonly blob: Buffer
  /** A line of allowed signers without its principal. */
  readonly line: string
  /** The signature blob over data. */
  readonly sign: (data: Uint8Array, options?: { type?: string; digest?: string; flags?: number }) => Buffer
}

const fromJwk = (key: KeyObject, name: "x" | "y" | "n" | "e"): Buffer => {
  const value = (key.export({ format: "jwk" }) as Record<string, string>)[name]
  return Buffer.from(value ?? "", "base64url")
}

/** A positive integer with its sign octet. */
const mpint = (octets: Uint8Array): Buffer => {
  const start = octets.findIndex((octet) => octet !== 0)
  const short = Buffer.from(octets.subarray(Math.max(start, 0)))
  return sshString((short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), short]) : short)
}

function signer(type: string, fields: Buffer, one: SshSigner["sign"]): SshSigner {
  const blob = Buffer.concat([sshString(type), fields])
  return { type, fields, blob, line: `${type} ${blob.toString("base64")}`, sign: one }
}

const securityKeyData = (application: string, flags: number, data: Uint8Array): Buffer => {
  const sha256 = (bytes: Uint8Array | string): Buffer => createHash("sha256").update(bytes).digest()
  return Buffer.concat([sha256(application), Buffer.of(flags, 0, 0, 0, 7), sha256(data)])
}

/** Ed25519; with an application that of a security key. */
export function ed25519(application?: string): SshSigner {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519")
  const plain = application === undefined
  const type = plain ? "ssh-ed25519" : "sk-ssh-ed25519@openssh.com"
  const fields = Buffer.concat([sshString(fromJwk(publicKey, "x")), ...(plain ? [] : [sshString(application)])])
  return signer(type, fields, (data, { type: other = type, flags = 1 } = {}) => {
    const signed = plain ? data : securityKeyData(application, flags, data)
    const extra = plain ? [] : [Buffer.of(flags, 0, 0, 0, 7)]
    return Buffer.concat([sshString(other), sshString(sign(undefined, signed, privateKey)), ...extra])
  })
}

/** ECDSA; with an application that of a security key. */
export function ecdsa(curve: "P-256" | "P-384" | "P-521" = "P-256", application?: string): SshSigner {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: curve })
  const name = `nistp${curve.slice(2)}`
  const plain = application === undefined
  const type = plain ? `ecdsa-sha2-${name}` : "sk-ecdsa-sha2-nistp256@openssh.com"
  const point = Buffer.concat([Buffer.of(4), fromJwk(publicKey, "x"), fromJwk(publicKey, "y")])
  const fields = Buffer.concat([sshString(name), sshString(point), ...(plain ? [] : [sshString(application)])])
  const own = { "P-256": "sha256", "P-384": "sha384", "P-521": "sha512" }[curve]
  return signer(type, fields, (data, { type: other = type, digest = own, flags = 1 } = {}) => {
    const signed = plain ? data : securityKeyData(application, flags, data)
    const raw = sign(digest, signed, { key: privateKey, dsaEncoding: "ieee-p1363" })
    const half = raw.length / 2
    const both = Buffer.concat([mpint(raw.subarray(0, half)), mpint(raw.subarray(half))])
    return Buffer.concat([sshString(other), sshString(both), ...(plain ? [] : [Buffer.of(flags, 0, 0, 0, 7)])])
  })
}

/** RSA. */
export function rsa(bits = 2048): SshSigner {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: bits })
  const fields = Buffer.concat([mpint(fromJwk(publicKey, "e")), mpint(fromJwk(publicKey, "n"))])
  return signer("ssh-rsa", fields, (data, { type = "rsa-sha2-512", digest = "sha512" } = {}) =>
    Buffer.concat([sshString(type), sshString(sign(digest, data, privateKey))]),
  )
}

const uint64 = (value: bigint): Buffer => {
  const octets = Buffer.alloc(8)
  octets.writeBigUInt64BE(value)
  return octets
}

const uint32 = (value: number): Buffer => {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(value)
  return octets
}

/** What a certificate says. */
export interface CertificateOptions {
  readonly type?: number
  readonly principals?: readonly string[]
  readonly validAfter?: bigint
  readonly validBefore?: bigint
  readonly criticalOptions?: readonly (readonly [name: string, value: string])[]
  readonly authorityBlob?: Buffer
  readonly sign?: { type?: string; digest?: string }
  /** Changes what was signed. */
  readonly tamper?: (certificate: Buffer) => Buffer
}

/** The certificate of an authority over a key, as a key blob. */
export function certificate(key: SshSigner, authority: SshSigner, options: CertificateOptions = {}): Buffer {
  const { type = 1, principals = ["a@example.com"], validAfter = 0n, validBefore = 0xffff_ffff_ffff_ffffn } = options
  const list = (parts: readonly Buffer[]): Buffer => sshString(Buffer.concat(parts))
  const critical = (options.criticalOptions ?? []).flatMap(([name, value]) => [
    sshString(name),
    sshString(value === "" ? "" : sshString(value)),
  ])
  const signed = Buffer.concat([
    sshString(`${key.type.replace(/@openssh\.com$/, "")}-cert-v01@openssh.com`),
    sshString(Buffer.alloc(32, 7)),
    key.fields,
    uint64(1n),
    uint32(type),
    sshString("key id"),
    list(principals.map((name) => sshString(name))),
    uint64(validAfter),
    uint64(validBefore),
    list(critical),
    list([]),
    list([]),
    sshString(options.authorityBlob ?? authority.blob),
  ])
  const whole = Buffer.concat([signed, sshString(authority.sign(signed, options.sign ?? {}))])
  return options.tamper?.(whole) ?? whole
}

/** Pieces of a signature that differ from what is right. */
export interface SignatureOptions {
  readonly keyBlob?: Buffer
  readonly version?: number
  readonly namespace?: string
  /** The namespace in the blob, if it is to differ from the one that is signed. */
  readonly claimedNamespace?: string
  readonly reserved?: string
  readonly hash?: string
  readonly claimedHash?: string
  readonly trailing?: Buffer
  readonly sign?: { type?: string; digest?: string; flags?: number }
  readonly changeBlob?: (signature: Buffer) => Buffer
}

/** The bytes of a signature. */
export function sshsig(key: SshSigner, message: Uint8Array, options: SignatureOptions = {}): Buffer {
  const { namespace = "git", hash = "sha512", version = 1 } = options
  const magic = Buffer.from("SSHSIG")
  const digest = createHash(hash).update(message).digest()
  const signed = Buffer.concat([magic, sshString(namespace), sshString(""), sshString(hash), sshString(digest)])
  const signature = key.sign(signed, options.sign ?? {})
  return Buffer.concat([
    magic,
    uint32(version),
    sshString(options.keyBlob ?? key.blob),
    sshString(options.claimedNamespace ?? namespace),
    sshString(options.reserved ?? ""),
    sshString(options.claimedHash ?? hash),
    sshString(options.changeBlob?.(signature) ?? signature),
    options.trailing ?? Buffer.alloc(0),
  ])
}

/** Armors a signature as ssh-keygen does. */
export const armor = (blob: Uint8Array): string => {
  const lines =
    Buffer.from(blob)
      .toString("base64")
      .match(/.{1,70}/g) ?? []
  return `-----BEGIN SSH SIGNATURE-----\n${lines.join("\n")}\n-----END SSH SIGNATURE-----\n`
}
