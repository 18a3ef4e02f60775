/**
 * Sigstore bundles with a message signature (sigstore/protobuf-specs sigstore_bundle.proto, JSON encoding), read strictly
 * and verified with the project's own steps, so that the published conformance cases speak about them.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError, isGitsignError, messageOf } from "../../src/errors.ts"
import { decodeBase64 } from "../../src/formats/base64.ts"
import type { InclusionProof, TransparencyLogEntry } from "../../src/formats/log-entry.ts"
import { signerOf } from "../../src/formats/signer.ts"
import type { TrustedRoot } from "../../src/formats/trusted-root.ts"
import { parseTimeStampResp } from "../../src/formats/tsp.ts"
import { type Certificate, parseCertificate } from "../../src/formats/x509.ts"
import type { Authorize } from "../../src/policy/identity.ts"
import { Progress } from "../../src/verify/progress.ts"
import { verifyP256Signature } from "../../src/verify/signature.ts"
import { verifySigstore } from "../../src/verify/sigstore.ts"
import type { VerificationSummary } from "../../src/verify/summary.ts"

const MEDIA_TYPE = /^application\/vnd\.dev\.sigstore\.bundle(\+json;version=0\.[123]|\.v0\.3\+json)$/

/** A bundle with a message signature. Nothing in it is proven. */
export interface MessageBundle {
  readonly certificate: Certificate
  /** SHA-256 of the artifact, as the bundle says; a hint only. */
  readonly messageDigest: Uint8Array | undefined
  readonly signature: Uint8Array
  readonly entry: TransparencyLogEntry
  /** TimeStampTokens, DER. */
  readonly timestamps: readonly Uint8Array[]
}

const fail = (message: string): never => {
  throw new GitsignError("ERR_BUNDLE", `bundle: ${message}`)
}

type Json = Readonly<Record<string, unknown>>

const object = (value: unknown, what: string): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : fail(`${what} is missing`)

const list = (value: unknown, what: string): readonly unknown[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : fail(`${what} is not a list`)

const text = (value: unknown, what: string): string => (typeof value === "string" ? value : fail(`${what} is not text`))

const bytes = (value: unknown, what: string): Buffer => decodeBase64(text(value, what)) ?? fail(`${what} is not base64`)

/** protojson writes int64 as a string and leaves zero out. */
function int64(value: unknown, what: string): bigint {
  if (value === undefined) return 0n
  return /^(0|[1-9]\d{0,18})$/.test(text(value, what)) ? BigInt(value as string) : fail(`${what} is not a number`)
}

/**
 * Reads a bundle.
 *
 * @throws ERR_BUNDLE when it is none with a certificate and a message signature; ERR_DER, ERR_CERTIFICATE
 */
export function parseMessageBundle(json: string): MessageBundle {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new GitsignError("ERR_BUNDLE", `bundle: ${messageOf(cause)}`, { cause })
  }
  const bundle = object(value, "bundle")
  if (!MEDIA_TYPE.test(text(bundle.mediaType, "mediaType"))) fail("unknown mediaType")
  const material = object(bundle.verificationMaterial, "verificationMaterial")
  const message = object(bundle.messageSignature, "messageSignature")
  const [entry, ...more] = list(material.tlogEntries, "tlogEntries")
  if (entry === undefined || more.length > 0) fail("not exactly one log entry")
  const timestamps = material.timestampVerificationData
  return {
    certificate: parseCertificate(leafOf(material)),
    messageDigest: message.messageDigest === undefined ? undefined : digestOf(message.messageDigest),
    signature: bytes(message.signature, "signature"),
    entry: readEntry(object(entry, "log entry")),
    timestamps:
      timestamps === undefined
        ? []
        : list(object(timestamps, "timestampVerificationData").rfc3161Timestamps, "rfc3161Timestamps").map(
            readTimestamp,
          ),
  }
}

function leafOf(material: Json): Uint8Array {
  const raw = (value: unknown): Uint8Array => bytes(object(value, "certificate").rawBytes, "rawBytes")
  if (material.certificate !== undefined) return raw(material.certificate)
  const chain = object(material.x509CertificateChain, "certificate")
  const [leaf] = list(chain.certificates, "certificates")
  return raw(leaf)
}

function digestOf(value: unknown): Uint8Array {
  const digest = object(value, "messageDigest")
  if (digest.algorithm !== "SHA2_256") fail("messageDigest is not SHA-256")
  return bytes(digest.digest, "digest")
}

function readTimestamp(value: unknown): Uint8Array {
  const { token } = parseTimeStampResp(bytes(object(value, "timestamp").signedTimestamp, "signedTimestamp"))
  return token ?? fail("a timestamp response without a token")
}

function readEntry(entry: Json): TransparencyLogEntry {
  const kindVersion = object(entry.kindVersion, "kindVersion")
  const promise = entry.inclusionPromise
  const proof = entry.inclusionProof
  return {
    logIndex: int64(entry.logIndex, "logIndex"),
    logId: bytes(object(entry.logId, "logId").keyId, "keyId"),
    kindVersion: { kind: text(kindVersion.kind, "kind"), version: text(kindVersion.version, "version") },
    integratedTime: int64(entry.integratedTime, "integratedTime"),
    inclusionPromise:
      promise === undefined
        ? undefined
        : bytes(object(promise, "inclusionPromise").signedEntryTimestamp, "signedEntryTimestamp"),
    inclusionProof: proof === undefined ? undefined : readProof(object(proof, "inclusionProof")),
    canonicalizedBody: bytes(entry.canonicalizedBody, "canonicalizedBody"),
  }
}

const readProof = (proof: Json): InclusionProof => ({
  logIndex: int64(proof.logIndex, "logIndex"),
  rootHash: bytes(proof.rootHash, "rootHash"),
  treeSize: int64(proof.treeSize, "treeSize"),
  hashes: list(proof.hashes, "hashes").map((hash) => bytes(hash, "hash")),
  // Older bundles leave the checkpoint out; then there is nothing that the log has signed.
  checkpoint: proof.checkpoint === undefined ? "" : text(object(proof.checkpoint, "checkpoint").envelope, "envelope"),
})

/** Verifies a bundle over an artifact, in the order of src/verify/verify.ts. Never throws on untrusted input. */
export function verifyBundle(
  json: string,
  artifact: Uint8Array,
  readTrustedRoot: () => TrustedRoot,
  authorize: Authorize,
): VerificationSummary {
  const progress = new Progress()
  try {
    const bundle = progress.step("signature form", () => parseMessageBundle(json))
    const { certificate, signature, entry, messageDigest, timestamps } = bundle
    const signer = progress.step("signer certificate", () => signerOf(certificate))
    progress.signer = signer
    progress.step("payload digest", () => {
      const digest = createHash("sha256").update(artifact).digest()
      if (messageDigest !== undefined && !digest.equals(messageDigest)) {
        throw new GitsignError("ERR_CONTENT", "the digest in the bundle is not the artifact's")
      }
    })
    progress.step("signature", () => verifyP256Signature(certificate.subjectPublicKeyInfo, artifact, signature))
    const claim = { certificate, signed: artifact, signature, timestamps }
    verifySigstore(
      { ...claim, logged: { entry, signature, signed: [artifact] } },
      { trustedRoot: readTrustedRoot() },
      progress,
    )
    progress.step("identity", () => {
      const refusal = authorize(signer)
      if (refusal !== undefined) throw refusal
    })
    return progress.summary(undefined)
  } catch (error) {
    if (!isGitsignError(error)) throw error
    return progress.summary(error)
  }
}
