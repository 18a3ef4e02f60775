/**
 * The Sigstore part of a verification through @sigstore/verify: certificate chain at the proven times, SCT, signed entry
 * timestamp, checkpoint signature, inclusion proof, RFC 3161 token and artifact signature.
 *
 * The engine is lenient where bytes are concerned, so it only ever sees values that the strict readers in `formats/`
 * have taken apart and the steps in `verify.ts` have compared.
 *
 * @module
 */

import { createHash, createPublicKey, type KeyObject, verify as verifySignatureBytes } from "node:crypto"
import type { TransparencyLogEntry as EngineEntry } from "@sigstore/bundle"
import { RFC3161Timestamp } from "@sigstore/core"
import { type SignedEntity, type TrustMaterial, VerificationError, Verifier } from "@sigstore/verify"
import { type ErrorCode, GitsignError, messageOf } from "../errors.ts"
import type { TransparencyLogEntry } from "../formats/log-entry.ts"
import type { TrustedAuthority, TrustedLog, TrustedRoot, ValidFor } from "../formats/trusted-root.ts"
import { wrapTimeStampToken } from "../formats/tsp.ts"
import type { Certificate } from "../formats/x509.ts"
import { makeExact, trustedCertificate, withLeaf } from "./engine-certificate.ts"

/** A token that has passed `checkTimestamp`. */
export interface EngineTimestamp {
  readonly token: Uint8Array
  readonly genTime: Date
  readonly authority: TrustedAuthority
}

/** What the engine is asked to verify. Everything in it has passed the strict steps. */
export interface EngineRequest {
  readonly trustedRoot: TrustedRoot
  readonly certificate: Certificate
  /** The bytes that were signed, and the ECDSA-Sig-Value over them. */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
  /** The entry and the log it belongs to, or undefined to check the rest at `assumedTime`. */
  readonly logged:
    | { readonly entry: TransparencyLogEntry; readonly log: TrustedLog; readonly logName: string }
    | undefined
  /** RFC 3161 tokens, each with the authority that signed it. */
  readonly timestamps: readonly EngineTimestamp[]
  /** The time to check the chain at when neither a log nor a timestamp proves one. */
  readonly assumedTime: Date | undefined
  readonly requireSct: boolean
}

const END_OF_TIME = new Date(8_640_000_000_000_000)

const parsedKeys = new WeakMap<TrustedLog, KeyObject>()

/**
 * Proves the Sigstore part of a signature.
 *
 * @throws ERR_CERT_CHAIN, ERR_SCT_MISSING, ERR_SCT, ERR_LOG_PROMISE, ERR_CHECKPOINT, ERR_LOG_PROOF, ERR_LOG_ENTRY,
 * ERR_TIMESTAMP, ERR_NO_TIME or ERR_SIGNATURE
 */
export function verifyWithEngine(request: EngineRequest): void {
  const { logged, trustedRoot } = request
  let material: TrustMaterial
  try {
    material = {
      certificateAuthorities: trustedRoot.certificateAuthorities.map(toAuthority),
      timestampAuthorities: request.timestamps.map(({ authority }) => toAuthority(authority)),
      // The name is literal here: the engine takes a name from the checkpoint as a regular expression over the URL.
      tlogs: logged === undefined ? [] : [{ ...toLog(logged.log), baseURL: logged.logName }],
      ctlogs: trustedRoot.ctLogs.map(toLog),
      publicKey: () => {
        throw new GitsignError("ERR_BUG", "the engine asked for a managed key")
      },
    }
  } catch (cause) {
    throw new GitsignError(
      "ERR_TRUSTED_ROOT",
      `the trusted root holds a key or certificate that cannot be read: ${messageOf(cause)}`,
      {
        cause,
      },
    )
  }
  try {
    const entity = toSignedEntity(request)
    const verifier = new Verifier(material, {
      ctlogThreshold: request.requireSct ? 1 : 0,
      tlogThreshold: logged === undefined ? 0 : 1,
      timestampThreshold: 1,
    })
    withLeaf(request, (certificate) => {
      verifier.verify({ ...entity, key: { $case: "certificate", certificate } })
    })
  } catch (error) {
    throw translate(error)
  }
}

const toValidFor = ({ start, end }: ValidFor): { start: Date; end: Date } => ({ start, end: end ?? END_OF_TIME })

function toAuthority(authority: TrustedAuthority): TrustMaterial["certificateAuthorities"][number] {
  return { certChain: authority.certChain.map(trustedCertificate), validFor: toValidFor(authority.validFor) }
}

function toLog(log: TrustedLog): TrustMaterial["tlogs"][number] {
  let publicKey = parsedKeys.get(log)
  if (publicKey === undefined) {
    publicKey = createPublicKey({
      key: Buffer.from(log.publicKey),
      format: "der",
      type: /RSA/.test(log.keyDetails) && log.keyDetails.startsWith("PKCS1") ? "pkcs1" : "spki",
    })
    parsedKeys.set(log, publicKey)
  }
  return { logID: Buffer.from(log.logId), publicKey, baseURL: log.baseUrl, validFor: toValidFor(log.validFor) }
}

/** All but the certificate. */
function toSignedEntity(request: EngineRequest): Omit<SignedEntity, "key"> {
  const { logged } = request
  const digest = createHash("sha256").update(request.signed).digest()
  const signature = Buffer.from(request.signature)
  const timestamps: SignedEntity["timestamps"] = request.timestamps.map((timestamp) => ({
    $case: "timestamp-authority",
    timestamp: toTimestamp(timestamp),
  }))
  const entry = logged && toEngineEntry(logged.entry)
  if (entry !== undefined && entry.integratedTime !== "0")
    timestamps.push({ $case: "transparency-log", tlogEntry: entry })
  if (timestamps.length === 0 && request.assumedTime !== undefined) {
    timestamps.push({ $case: "transparency-log", tlogEntry: assumedEntry(request.assumedTime) })
  }
  return {
    signature: {
      signature,
      compareSignature: (other) => other.equals(signature),
      compareDigest: (other) => other.equals(digest),
      // One curve and one hash: the engine would take the hash from the bundle, and the curve from the certificate.
      verifySignature: (key) => verifySignatureBytes("sha256", request.signed, key as KeyObject, signature),
    },
    timestamps,
    tlogEntries: entry === undefined ? [] : [entry],
  }
}

/**
 * The engine's form of a token. The engine knows neither RSA nor fractions of a second; the strict reader has read both,
 * and has found the signature algorithm to go with the digest algorithm and the signer's key.
 */
export function toTimestamp({ token, genTime }: Omit<EngineTimestamp, "authority">): RFC3161Timestamp {
  const timestamp = RFC3161Timestamp.parse(Buffer.from(wrapTimeStampToken(token)))
  makeExact(timestamp.root)
  return Object.defineProperties(timestamp, {
    signatureAlgorithm: { value: timestamp.signerDigestAlgorithm },
    signingTime: { value: genTime },
  })
}

function toEngineEntry(entry: TransparencyLogEntry): EngineEntry {
  const { inclusionProof, inclusionPromise } = entry
  return {
    logIndex: String(entry.logIndex),
    logId: { keyId: Buffer.from(entry.logId) },
    kindVersion: { ...entry.kindVersion },
    integratedTime: String(entry.integratedTime),
    // The Go gitsign stores an empty promise for a log that makes none.
    inclusionPromise: inclusionPromise?.length ? { signedEntryTimestamp: Buffer.from(inclusionPromise) } : undefined,
    inclusionProof: inclusionProof && {
      logIndex: String(inclusionProof.logIndex),
      rootHash: Buffer.from(inclusionProof.rootHash),
      treeSize: String(inclusionProof.treeSize),
      hashes: inclusionProof.hashes.map((hash) => Buffer.from(hash)),
      checkpoint: { envelope: inclusionProof.checkpoint },
    },
    canonicalizedBody: Buffer.from(entry.canonicalizedBody),
  } as EngineEntry
}

/** An entry that only carries a time into the engine; it is not among the entries that are verified. */
const assumedEntry = (time: Date): EngineEntry =>
  ({
    integratedTime: String(Math.floor(time.getTime() / 1000)),
    inclusionPromise: { signedEntryTimestamp: Buffer.alloc(0) },
    logId: { keyId: Buffer.alloc(32) },
  }) as EngineEntry

/** The engine's codes, and where one code stands for several checks the words that tell them apart. */
function translate(error: unknown): GitsignError {
  if (!(error instanceof VerificationError)) {
    // The engine's ASN.1 reader throws plain errors on structures that it cannot take.
    return new GitsignError("ERR_CERTIFICATE", `the certificate or timestamp cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const [code, message] = codeOf(error)
  return new GitsignError(code, message, { cause: error })
}

function codeOf({ code, message, cause }: VerificationError): [ErrorCode, string] {
  switch (code as string) {
    case "CERTIFICATE_ERROR":
      if (/^expected \d+ SCTs/.test(message)) return ["ERR_SCT_MISSING", "the certificate carries no SCT"]
      if (message.includes("SCT"))
        return ["ERR_SCT", "no trusted certificate transparency log signed the SCT in the certificate"]
      return [
        "ERR_CERT_CHAIN",
        `the certificate does not lead to a trusted Fulcio root (${messageOf(cause ?? message)})`,
      ]
    case "TLOG_INCLUSION_PROMISE_ERROR":
      return ["ERR_LOG_PROMISE", "the signed entry timestamp is not the log's over this entry"]
    case "TLOG_INCLUSION_PROOF_ERROR":
      return message.includes("checkpoint")
        ? ["ERR_CHECKPOINT", "the checkpoint is not signed by the log"]
        : ["ERR_LOG_PROOF", `the inclusion proof does not hold (${message})`]
    case "TLOG_MISSING_INCLUSION_ERROR":
      return ["ERR_LOG_PROOF", "the log entry carries neither proof nor promise"]
    case "TLOG_BODY_ERROR":
      return ["ERR_LOG_ENTRY", `the log entry is for something else (${message})`]
    case "TIMESTAMP_ERROR":
      return /^expected \d+ timestamps/.test(message)
        ? ["ERR_NO_TIME", "neither the log nor a timestamp proves when the signature was made"]
        : ["ERR_TIMESTAMP", "the timestamp is not signed by a trusted timestamp authority"]
    case "SIGNATURE_ERROR":
      return ["ERR_SIGNATURE", "the signature was not made by the key in the certificate"]
    default:
      return ["ERR_CERTIFICATE", message]
  }
}
