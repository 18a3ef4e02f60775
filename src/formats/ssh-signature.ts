/**
 * SSH signatures over files (OpenSSH's PROTOCOL.sshsig), as git stores them, and the signature blobs inside (RFC 4253 section 6.6,
 * RFC 5656, RFC 8332, RFC 8709, PROTOCOL.u2f).
 *
 * @module
 */

import { createHash } from "node:crypto"
import { decodeBase64 } from "./base64.ts"
import { latin1 } from "./der.ts"
import { malformed, parseSshPublicKey, type SshPublicKey, SshReader, sshString } from "./ssh-key.ts"

const BEGIN = "-----BEGIN SSH SIGNATURE-----\n"
const END = "\n-----END SSH SIGNATURE-----"
const MAGIC = "SSHSIG"
const VERSION = 1

/** Bytes; real ones have a few hundred, with a certificate a few thousand. */
const MAX_ARMOR = 256 * 1024

/** A signature taken apart. */
export interface SshSignature {
  readonly publicKey: SshPublicKey
  /** What the signature is for; `git` for commits and tags. */
  readonly namespace: string
  readonly hashAlgorithm: "sha256" | "sha512"
  readonly signature: SshSignatureBlob
}

/** The signature itself. */
export interface SshSignatureBlob {
  /** Such as `ssh-ed25519` or `rsa-sha2-512`. */
  readonly type: string
  readonly octets: Buffer
  /** What a security key adds; undefined for other keys. Both are signed. */
  readonly securityKey: { readonly flags: number; readonly counter: number } | undefined
}

/**
 * Takes an armored signature apart. The caller MUST compare the namespace: a signature for something else is none here.
 *
 * Stricter than ssh-keygen where its leniency would give one signature several texts: nothing but line feeds may follow, base64 has to be
 * canonical, the version has to be 1, and what is reserved has to be empty.
 *
 * @throws ERR_SIGNATURE_FORMAT when it is not exactly one
 */
export function parseSshSignature(armored: Uint8Array): SshSignature {
  const reader = new SshReader(dearmor(armored), "the SSH signature")
  if (latin1(reader.bytes(MAGIC.length)) !== MAGIC) throw malformed("the SSH signature does not begin with SSHSIG")
  const version = reader.uint32()
  if (version !== VERSION) throw malformed(`the SSH signature is of version ${version}`)
  const publicKey = parseSshPublicKey(reader.string())
  const namespace = reader.string().toString("latin1")
  if (reader.string().length > 0) throw malformed("the SSH signature has something where nothing is defined yet")
  const hashAlgorithm = reader.name()
  if (hashAlgorithm !== "sha256" && hashAlgorithm !== "sha512") {
    throw malformed(`the SSH signature is over a digest by ${JSON.stringify(hashAlgorithm)}`)
  }
  const signature = parseSshSignatureBlob(reader.string())
  reader.end()
  return { publicKey, namespace, hashAlgorithm, signature }
}

function dearmor(armored: Uint8Array): Buffer {
  if (armored.length > MAX_ARMOR) throw malformed("the SSH signature is larger than any real one")
  const text = latin1(armored)
  const end = text.indexOf(END)
  if (!text.startsWith(BEGIN) || end < BEGIN.length) throw malformed("the SSH signature is not one armored block")
  if (!/^\n*$/.test(text.slice(end + END.length))) throw malformed("something follows the SSH signature")
  const body = text.slice(BEGIN.length, end)
  const blob = /^\n|\n\n/.test(body) ? undefined : decodeBase64(body.replaceAll("\n", ""))
  if (blob === undefined) throw malformed("the SSH signature is not canonical base64")
  return blob
}

/**
 * Takes a signature blob apart.
 *
 * @throws ERR_SIGNATURE_FORMAT when it is none
 */
export function parseSshSignatureBlob(blob: Uint8Array): SshSignatureBlob {
  const reader = new SshReader(blob, "the SSH signature's inner part")
  const type = reader.name()
  const octets = reader.string()
  const securityKey = type.startsWith("sk-") ? { flags: reader.byte(), counter: reader.uint32() } : undefined
  reader.end()
  return { type, octets, securityKey }
}

/** What is signed for a message: the namespace and the algorithm are part of it, the key is not. */
export const sshSignedData = (
  { namespace, hashAlgorithm }: Pick<SshSignature, "namespace" | "hashAlgorithm">,
  message: Uint8Array,
): Buffer =>
  Buffer.concat([
    Buffer.from(MAGIC, "latin1"),
    sshString(namespace),
    sshString(""),
    sshString(hashAlgorithm),
    sshString(createHash(hashAlgorithm).update(message).digest()),
  ])
