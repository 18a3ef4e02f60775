/**
 * Steps 5 to 10 of verification, which are the same for every Sigstore signature: the certificate, the log entry, the
 * timestamps, and the times they prove (Sigstore client specification).
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError } from "../errors.ts"
import type { TransparencyLogEntry } from "../formats/log-entry.ts"
import type { TrustedLog, TrustedRoot } from "../formats/trusted-root.ts"
import type { Certificate } from "../formats/x509.ts"
import { checkCertificateUsage } from "./certificate.ts"
import { verifyWithEngine } from "./engine.ts"
import { checkInclusionProof, findLog, matchEntry } from "./log-entry.ts"
import type { Progress } from "./progress.ts"
import { checkProvenTime } from "./proven-time.ts"
import { checkTimestamp } from "./timestamp.ts"

/** What a signature brings along to prove itself. All of it is untrusted. */
export interface SigstoreClaim {
  readonly certificate: Certificate
  /** The bytes that were signed, and the ECDSA-Sig-Value over them. */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
  /** RFC 3161 tokens over `signature`. */
  readonly timestamps: readonly Uint8Array[]
  /** The log entry; undefined when it is kept elsewhere. */
  readonly logged:
    | {
        readonly entry: TransparencyLogEntry
        /** The signature that the entry must hold; undefined when it may hold any by the same key. */
        readonly signature: Uint8Array | undefined
        /** What the logged signature may be over. */
        readonly signed: readonly Uint8Array[]
      }
    | undefined
}

/** What it is judged by. */
export interface SigstoreOptions {
  readonly trustedRoot: TrustedRoot
  readonly ignoreSct?: boolean | undefined
}

/**
 * Proves that the holder of the certificate made the signature while the certificate was valid, and that the log knows.
 *
 * @throws the code of the step that failed; ERR_LOG_ENTRY_UNAVAILABLE when all but the missing log entry is in order
 */
export function verifySigstore(claim: SigstoreClaim, options: SigstoreOptions, progress: Progress): void {
  const { certificate } = claim
  const { trustedRoot } = options

  // 5. The certificate is one for signing.
  progress.step("certificate usage", () => checkCertificateUsage(certificate))

  // 6. The log entry is for this signature, or in online mode for this object.
  const claimed = claim.logged
  const logged = claimed && progress.step("log entry", () => checkLogged(claimed, certificate, trustedRoot))

  // 7. The entry is in the tree of a checkpoint, all fields of the proof agreeing.
  const proof = logged && progress.step("inclusion proof", () => checkInclusionProof(logged.entry, logged.log))
  if (logged !== undefined && proof !== undefined) {
    const { integratedTime, logIndex } = logged.entry
    const time = integratedTime === 0n ? undefined : new Date(Number(integratedTime) * 1000)
    progress.logged = { origin: proof.origin, index: logIndex, time }
  }

  // 8. A timestamp, where there is one, is over this signature.
  const timestamps = progress.step("timestamp", () =>
    claim.timestamps.map((token) => checkTimestamp(token, claim.signature, trustedRoot)),
  )
  progress.timestamps = timestamps.map(({ genTime }) => genTime)

  // 9. The certificate was valid at every time that is stated.
  if (logged !== undefined || timestamps.length > 0) {
    progress.step("proven time", () => checkProvenTime(certificate, logged, timestamps))
  }

  // 10. The certificate leads to Fulcio at those times, its SCT to a CT log, the entry's signatures to the log.
  progress.step("certificate chain, SCT, log signatures", () => {
    const request = { trustedRoot, certificate, requireSct: options.ignoreSct !== true }
    const own = { ...request, signed: claim.signed, signature: claim.signature, timestamps }
    if (logged === undefined || proof === undefined) {
      // No time is proven yet, but a wrong certificate is wrong at any time; its own beginning will do.
      verifyWithEngine({ ...own, logged: undefined, assumedTime: certificate.notBefore })
      throw new GitsignError(
        "ERR_LOG_ENTRY_UNAVAILABLE",
        "the signature is good, but its log entry is not in it and was not found elsewhere",
      )
    }
    const inLog = { entry: proof.entry, log: logged.log, logName: proof.logName }
    if (logged.signature === claim.signature) {
      verifyWithEngine({ ...own, logged: inLog, assumedTime: undefined })
      return
    }
    // The log holds another signature than the timestamp is over: each is verified with what belongs to it.
    const { signed, signature } = logged
    verifyWithEngine({ ...request, signed, signature, timestamps: [], logged: inLog, assumedTime: undefined })
    if (timestamps.length > 0) verifyWithEngine({ ...own, logged: undefined, assumedTime: undefined })
  })
}

interface CheckedLogged {
  readonly entry: TransparencyLogEntry
  readonly log: TrustedLog
  /** What was signed for the log, and the signature in the log. */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

/** Step 6. */
function checkLogged(
  logged: NonNullable<SigstoreClaim["logged"]>,
  certificate: Certificate,
  trustedRoot: TrustedRoot,
): CheckedLogged {
  const { entry } = logged
  const log = findLog(entry, trustedRoot)
  const digests = logged.signed.map((bytes) => createHash("sha256").update(bytes).digest())
  const matched = matchEntry(entry, { certificateDer: certificate.der, digests, signature: logged.signature })
  const signed = logged.signed[matched.index] ?? new Uint8Array()
  return { entry, log, signed, signature: matched.signature }
}
