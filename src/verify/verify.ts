/**
 * The verification procedure: is this payload signed, by whom, and when. Each step has a number that
 * docs/verification.md explains with its standard, its error codes and its fixture.
 *
 * Pure: no clock, no network, no files. "Now" plays no part, since a signature counts at the time its log or timestamp
 * proves.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError, isGitsignError, messageOf } from "../errors.ts"
import { CMS_OID, parseSignedData, type SignedData, single } from "../formats/cms.ts"
import { readAll, TAG } from "../formats/der.ts"
import { findForeignCertificates } from "../formats/foreign.ts"
import { loggedObjectIds, signatureMarker } from "../formats/git-object.ts"
import {
  decodeTransparencyLogEntry,
  type HashedRekord,
  hashedRekordBody,
  type TransparencyLogEntry,
} from "../formats/log-entry.ts"
import { decodeSignatureArmor, encodePem, SIGNATURE_LABEL } from "../formats/pem.ts"
import { type Signer, signerOf } from "../formats/signer.ts"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import { type Certificate, parseCertificate } from "../formats/x509.ts"
import { onlineDigest } from "./log-entry.ts"
import { Progress } from "./progress.ts"
import { verifyP256Signature } from "./signature.ts"
import { type SigstoreClaim, verifySigstore } from "./sigstore.ts"
import type { VerificationSummary } from "./summary.ts"

/** What is to be verified. Both are untrusted. */
export interface Signed {
  /** The bytes that were signed, as git has them. Undefined for a signature that carries its content. */
  readonly payload: Uint8Array | undefined
  /** PEM `SIGNED MESSAGE`, or the DER of the CMS. */
  readonly signature: Uint8Array
}

/** What a verification goes by. */
export interface VerifyOptions {
  readonly trustedRoot: TrustedRoot
  /** Accepts certificates without an SCT, or with one of an unknown log. */
  readonly ignoreSct?: boolean | undefined
  /** The log's entry for a signature that does not carry one (online mode), from anywhere: it is verified. */
  readonly logEntry?: TransparencyLogEntry | undefined
  /** Says why a signer is not the one asked for; undefined when it is. */
  readonly authorize?: ((signer: Signer) => GitsignError | undefined) | undefined
}

/**
 * Verifies one signature over one payload. Never throws on untrusted input: what is wrong with it is in the summary.
 *
 * When everything but the missing log entry of an online-mode signature was found in order, the verdict is
 * `unavailable` with ERR_LOG_ENTRY_UNAVAILABLE; the caller finds the entry and calls again with it.
 */
export function verifySignature(signed: Signed, options: VerifyOptions): VerificationSummary {
  const progress = new Progress()
  try {
    run(signed, options, progress)
    return progress.summary(undefined)
  } catch (error) {
    if (isGitsignError(error)) return progress.summary(error)
    // Whatever a library throws on hostile bytes, the signature is not verified.
    return progress.summary(
      new GitsignError("ERR_CERTIFICATE", `the signature cannot be checked: ${messageOf(error)}`, { cause: error }),
    )
  }
}

function run(signed: Signed, options: VerifyOptions, progress: Progress): void {
  // 1. The signature is CMS of the one form that gitsign writes.
  const { cms, evidence } = progress.step("signature form", () => {
    const cms = readSignature(signed.signature, options.trustedRoot)
    return { cms, evidence: readEvidence(cms) }
  })
  const { signerInfo } = cms
  progress.claimedSigningTime = signerInfo.signingTime
  progress.mode = evidence.entry === undefined ? "online" : "offline"

  // 2. It names one of the certificates that it carries.
  const signer = progress.step("signer certificate", () => findSigner(cms, options.trustedRoot))
  const { certificate } = signer
  progress.signer = signer

  // 3. It is over this payload.
  const payload = progress.step("payload digest", () => checkPayload(signed.payload, cms))

  // 4. The key in the certificate made it.
  progress.step("signature", () =>
    verifyP256Signature(certificate.subjectPublicKeyInfo, signerInfo.signedAttrs, signerInfo.signature),
  )

  // 5. to 10. Certificate, log and timestamps.
  verifySigstore(sigstoreClaim(cms, certificate, payload, signed.signature, evidence, options), options, progress)

  // 11. The signer is the one asked for.
  progress.step("identity", () => {
    const refusal = options.authorize?.(signer)
    if (refusal !== undefined) throw refusal
  })
}

/** Bytes; real ones have up to 5,000. A bound here bounds every list in it. */
const MAX_SIGNATURE_BYTES = 256 * 1024

/** Step 1. */
function readSignature(signature: Uint8Array, trustedRoot: TrustedRoot): SignedData {
  if (signature.length > MAX_SIGNATURE_BYTES)
    throw new GitsignError("ERR_CMS", "the signature is larger than any real one")
  const marker = signatureMarker(signature)
  if (marker !== undefined && !marker.includes(SIGNATURE_LABEL)) {
    const kind = marker.includes("SSH") ? "an SSH" : "an OpenPGP"
    throw new GitsignError("ERR_SIGNATURE_FORMAT", `this is ${kind} signature, not one of Sigstore`)
  }
  const der = signature[0] === 0x30 ? signature : decodeSignatureArmor(signature)
  try {
    return parseSignedData(der)
  } catch (error) {
    throw isGitsignError(error) ? (explainForeign(der, trustedRoot) ?? error) : error
  }
}

/** Says whose a signature is that gitsign did not make, when it is plainly of another certificate authority. */
function explainForeign(der: Uint8Array, trustedRoot: TrustedRoot): GitsignError | undefined {
  const trusted = trustedRoot.certificateAuthorities.flatMap(({ certChain }) =>
    certChain.map((c) => parseCertificate(c).subject),
  )
  const [foreign] = findForeignCertificates(der)
  if (foreign === undefined || trusted.some((subject) => Buffer.compare(subject, foreign.issuerName) === 0))
    return undefined
  return new GitsignError(
    "ERR_UNTRUSTED_CA",
    `signed with a certificate of ${foreign.subject}, issued by ${foreign.issuer}, which is not a Sigstore certificate authority`,
  )
}

/** Step 2: by issuer and serial number, never by position; the leaf is often not first. */
function findSigner({ certificates, signerInfo }: SignedData, trustedRoot: TrustedRoot): Signer {
  const parsed = certificates.map(parseCertificate)
  const matching = parsed.filter(
    ({ issuer, serialNumber }) =>
      Buffer.compare(issuer, signerInfo.issuer) === 0 && Buffer.compare(serialNumber, signerInfo.serialNumber) === 0,
  )
  const [certificate] = matching
  if (certificate === undefined || matching.length !== 1) {
    throw new GitsignError(
      "ERR_SIGNER",
      "issuer and serial number of the signer do not name one certificate in the signature",
    )
  }
  // A certificate that is neither the signer's nor trusted is covered by no signature: anyone could have changed it.
  const trusted = trustedRoot.certificateAuthorities.flatMap(({ certChain }) => certChain)
  for (const { der } of parsed) {
    if (der !== certificate.der && !trusted.some((authority) => Buffer.compare(authority, der) === 0))
      throw new GitsignError("ERR_CERT_CHAIN", "the signature carries a certificate that is not in the trusted chain")
  }
  return signerOf(certificate)
}

/** Step 3. */
function checkPayload(payload: Uint8Array | undefined, { eContent, signerInfo }: SignedData): Uint8Array {
  const content = payload ?? eContent
  if (content === undefined)
    throw new GitsignError("ERR_CONTENT", "the signature is detached and there is nothing to verify it against")
  if (payload !== undefined && eContent !== undefined && Buffer.compare(payload, eContent) !== 0) {
    throw new GitsignError("ERR_CONTENT", "the signature carries another content than the one given")
  }
  if (Buffer.compare(sha256(content), signerInfo.messageDigest) !== 0) {
    throw new GitsignError("ERR_CONTENT", "the object was changed after it was signed (the digest differs)")
  }
  return content
}

type StoredEntry = Omit<TransparencyLogEntry, "canonicalizedBody">

/** What stands beside the signature and proves it. */
interface Evidence {
  readonly entry: StoredEntry | undefined
  /** TimeStampTokens, DER. */
  readonly timestamps: readonly Uint8Array[]
}

/**
 * The unsigned attributes: the log entry in 57264.3.1 and the timestamp, if there are any.
 *
 * A prototype of 2023 used the number of the log entry and its neighbours for other encodings; its signatures are verified
 * like those in online mode.
 */
function readEvidence({ signerInfo: { unsignedAttrs } }: SignedData): Evidence {
  const ofPrototype = unsignedAttrs.get(CMS_OID.transparencyLogEntry)?.[0]?.[0] === TAG.printableString
  for (const type of unsignedAttrs.keys()) {
    const known = type === CMS_OID.transparencyLogEntry || type === CMS_OID.timeStampToken
    if (!known && !(ofPrototype && PROTOTYPE_ATTRIBUTES.has(type))) {
      throw new GitsignError("ERR_CMS", `unexpected unsigned attribute ${type}`)
    }
  }
  const timestamps = unsignedAttrs.has(CMS_OID.timeStampToken)
    ? [single(unsignedAttrs, CMS_OID.timeStampToken, "timestamp attribute")]
    : []
  if (ofPrototype || !unsignedAttrs.has(CMS_OID.transparencyLogEntry)) return { entry: undefined, timestamps }
  const value = single(unsignedAttrs, CMS_OID.transparencyLogEntry, "log entry attribute")
  const stored = readAll(value, "log entry attribute", (r) => r.octetString("log entry attribute"))
  return { entry: decodeTransparencyLogEntry(stored), timestamps }
}

const PROTOTYPE_ATTRIBUTES = new Set([0, 2, 3, 4, 5, 6, 7, 8].map((n) => `1.3.6.1.4.1.57264.3.${n}`))

/** Steps 5 to 10 as they are asked for a git signature. */
function sigstoreClaim(
  { signerInfo: { signedAttrs, signature } }: SignedData,
  certificate: Certificate,
  payload: Uint8Array,
  signatureFile: Uint8Array,
  evidence: Evidence,
  options: VerifyOptions,
): SigstoreClaim {
  const claim = { certificate, signed: signedAttrs, signature, timestamps: evidence.timestamps }
  if (evidence.entry !== undefined) {
    const rekord = { signature, certificateDer: certificate.der, digest: sha256(signedAttrs) }
    return { ...claim, logged: { entry: withBody(evidence.entry, rekord), signature, signed: [signedAttrs] } }
  }
  if (options.logEntry === undefined) return { ...claim, logged: undefined }
  // Online mode logs a second signature by the same key, over the object id. The prototype of 2023 logged the signature
  // itself, as offline mode does, and kept the entry in attributes that nothing reads any more.
  const objectIds = loggedObjectIds(payload, armorOf(signatureFile)).map((id) => Buffer.from(id, "ascii"))
  return {
    ...claim,
    logged: { entry: options.logEntry, signature: undefined, signed: [...objectIds, signedAttrs] },
  }
}

/**
 * The entry with its body, which is not stored but rebuilt from the signature.
 *
 * The Go gitsign stores version 0.0.1 also for Rekor v2, whose checkpoints alone tell: only v1 origins end in a tree id.
 */
function withBody(stored: StoredEntry, rekord: HashedRekord): TransparencyLogEntry {
  const { kind, version: storedVersion } = stored.kindVersion
  const sharded = /^\S+ - \d+\n/.test(stored.inclusionProof?.checkpoint ?? "")
  const version = sharded ? "0.0.1" : "0.0.2"
  const kindVersion = kind === "hashedrekord" && storedVersion === "0.0.1" ? { kind, version } : stored.kindVersion
  return { ...stored, kindVersion, canonicalizedBody: hashedRekordBody(rekord, version) }
}

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest()

/** The armored form of a signature, which is what object ids are made of. */
const armorOf = (signature: Uint8Array): Uint8Array =>
  signature[0] === 0x30 ? Buffer.from(encodePem(SIGNATURE_LABEL, signature), "latin1") : signature

/**
 * SHA-256 digests under which a log may hold the entry of an online-mode signature, likeliest first.
 *
 * @throws ERR_GIT_OBJECT when the payload is neither a commit nor a tag; ERR_PEM, ERR_DER, ERR_CMS when the signature is not one
 */
export function onlineDigests(payload: Uint8Array, signature: Uint8Array): Uint8Array[] {
  const der = signature[0] === 0x30 ? signature : decodeSignatureArmor(signature)
  const { signedAttrs } = parseSignedData(der).signerInfo
  return [
    ...loggedObjectIds(payload, armorOf(signature)).map(onlineDigest),
    createHash("sha256").update(signedAttrs).digest(),
  ]
}
