/**
 * Log entries of the kind hashedrekord 0.0.1: what Rekor accepts, its canonical body, and what it can be found by.
 *
 * Source: sigstore/rekor pkg/types/hashedrekord/v0.0.1, RFC 8785 for the body.
 *
 * @module
 */

import {
  constants,
  createHash,
  createPublicKey,
  type KeyObject,
  publicDecrypt,
  timingSafeEqual,
  X509Certificate,
} from "node:crypto"
import { messageOf } from "../errors.ts"
import { encodePem } from "../formats/pem.ts"
import { verifyEcdsaDigest } from "./ecdsa-digest.ts"
import { decodePem } from "./pem.ts"

/** An entry that may be logged. */
export interface HashedRekord {
  /** RFC 8785 JSON, the bytes of the leaf. */
  readonly body: Buffer
  /** What the search index knows it by: the key's hash, the artifact's hash, the names in the certificate. */
  readonly indexKeys: readonly string[]
}

/** Digest sizes in hex digits. */
const HASH_DIGITS: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 }

/** The DER before the digest in an RSA PKCS #1 v1.5 signature (RFC 8017 §9.2). */
const DIGEST_INFO: Readonly<Record<string, string>> = {
  sha256: "3031300d060960864801650304020105000420",
  sha384: "3041300d060960864801650304020205000430",
  sha512: "3051300d060960864801650304020305000440",
}

type JsonObject = Readonly<Record<string, unknown>>

/**
 * Checks a proposed entry as Rekor does: its form, and that the signature is the key's over the digest.
 *
 * @throws Error with Rekor's text
 */
export function checkEntry(proposed: unknown): HashedRekord {
  const entry = objectOf(proposed)
  if (entry.kind !== "hashedrekord") throw new Error(`unsupported entry kind: ${String(entry.kind)}`)
  if (entry.apiVersion !== "0.0.1") {
    const version = String(entry.apiVersion)
    throw new Error(
      `hashedrekord implementation for version '${version}' not found: unable to locate entry for version ${version}`,
    )
  }
  const spec = objectOf(entry.spec)
  const missing = ["data", "signature"].filter((name) => typeof spec[name] !== "object" || spec[name] === null)
  if (missing.length > 0) {
    throw new Error(["validation failure list:", ...missing.map((name) => `${name} in body is required`)].join("\n"))
  }
  const { algorithm, value } = readHash(objectOf(objectOf(spec.data).hash))
  const signature = objectOf(spec.signature)
  const key = parseVerifier(bytesOf(objectOf(signature.publicKey).content))
  const content = bytesOf(signature.content)
  verifySignature(key.publicKey, algorithm, Buffer.from(value, "hex"), content)
  return encodeEntry(algorithm, value, content, key)
}

function readHash(hash: JsonObject): { algorithm: string; value: string } {
  const algorithm = typeof hash.algorithm === "string" ? hash.algorithm : ""
  const value = typeof hash.value === "string" ? hash.value : ""
  const digits = HASH_DIGITS[algorithm]
  if (digits === undefined) throw new Error("data.hash.algorithm in body should be one of [sha256 sha384 sha512]")
  if (value.length !== digits || !/^[0-9a-fA-F]+$/.test(value)) throw new Error("invalid value for hash")
  return { algorithm, value }
}

/** A public key as an entry holds it. */
interface Verifier {
  readonly publicKey: KeyObject
  /** As Rekor writes it again, whatever stood around the block. */
  readonly pem: string
  /** The names in the certificate; none for a bare key. */
  readonly subjects: readonly string[]
}

/**
 * Reads the PEM of one certificate or public key.
 *
 * @throws Error with Rekor's text
 */
export function parseVerifier(content: Buffer): Verifier {
  const blocks = decodePem(content.toString("latin1"))
  const [block] = blocks
  if (block === undefined) throw new Error("invalid public key: failure decoding PEM")
  if (blocks.length > 1) throw new Error("invalid public key: the sandbox takes one certificate, not a chain")
  const pem = encodePem(block.label, block.der)
  try {
    if (block.label === "PUBLIC KEY") {
      return { publicKey: createPublicKey({ key: block.der, format: "der", type: "spki" }), pem, subjects: [] }
    }
    if (block.label === "CERTIFICATE") {
      // From the text: not every runtime takes DER here.
      const certificate = new X509Certificate(pem)
      return { publicKey: certificate.publicKey, pem, subjects: subjectsOf(certificate) }
    }
  } catch (error) {
    throw new Error(`invalid public key: ${messageOf(error)}`)
  }
  throw new Error(`invalid public key: cannot handle type ${block.label}`)
}

/** The e-mail addresses and URIs of the certificate, from OpenSSL's text of the extension. */
const subjectsOf = (certificate: X509Certificate): string[] =>
  (certificate.subjectAltName ?? "")
    .split(", ")
    .map((name) => /^(?:email|URI):(.+)$/.exec(name)?.[1])
    .filter((name) => name !== undefined)

function verifySignature(key: KeyObject, algorithm: string, digest: Buffer, signature: Buffer): void {
  const wrong = (): never => {
    throw new Error("verifying signature: invalid signature when validating ASN.1 encoded signature")
  }
  switch (key.asymmetricKeyType) {
    case "ec": {
      const { x = "", y = "" } = key.export({ format: "jwk" })
      const point = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")])
      if (!verifyEcdsaDigest(key.asymmetricKeyDetails?.namedCurve ?? "", point, digest, signature)) wrong()
      return
    }
    case "rsa":
      if (!verifyRsaDigest(key, algorithm, digest, signature)) wrong()
      return
    default:
      throw new Error("checking if algorithm is permitted: unsupported public key type")
  }
}

function verifyRsaDigest(key: KeyObject, algorithm: string, digest: Buffer, signature: Buffer): boolean {
  const expected = Buffer.concat([Buffer.from(DIGEST_INFO[algorithm] ?? "", "hex"), digest])
  try {
    const found = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature)
    return found.length === expected.length && timingSafeEqual(found, expected)
  } catch {
    return false
  }
}

function encodeEntry(algorithm: string, value: string, signature: Buffer, key: Verifier): HashedRekord {
  const publicKey = Buffer.from(key.pem)
  // The members are in RFC 8785's order and the text is ASCII without escapes, so this is its canonical form.
  const body = JSON.stringify({
    apiVersion: "0.0.1",
    kind: "hashedrekord",
    spec: {
      data: { hash: { algorithm, value } },
      signature: { content: signature.toString("base64"), publicKey: { content: publicKey.toString("base64") } },
    },
  })
  return {
    body: Buffer.from(body),
    indexKeys: [
      keyIndex(publicKey),
      `${algorithm}:${value}`.toLowerCase(),
      ...key.subjects.map((name) => name.toLowerCase()),
    ],
  }
}

/** What the index knows a key by: the hash of its PEM. */
export const keyIndex = (pem: Uint8Array): string => createHash("sha256").update(pem).digest("hex")

const objectOf = (value: unknown): JsonObject =>
  typeof value === "object" && value !== null ? (value as JsonObject) : {}

const bytesOf = (value: unknown): Buffer => Buffer.from(typeof value === "string" ? value : "", "base64")
