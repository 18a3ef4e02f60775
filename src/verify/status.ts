/**
 * The one mapping from a verification's result to git's status lines.
 *
 * @module
 */

import { formatVerificationStatus, type SignatureStatus } from "../formats/gpg-status.ts"
import type { VerificationSummary } from "./summary.ts"

/** The status lines that tell git the truth about a signature. */
export function verificationStatus(summary: VerificationSummary): string {
  const { signer } = summary
  return formatVerificationStatus({
    outcome: outcomeOf(summary),
    fingerprint: signer?.fingerprint,
    userId:
      signer === undefined ? "" : signer.issuer === "" ? signer.identity : `${signer.identity} (${signer.issuer})`,
    signingTime: summary.logged?.time ?? summary.timestamps[0] ?? summary.claimedSigningTime,
  })
}

/** The status lines for a signature that was not even looked at, as when the configuration is wrong: git would show none as unsigned. */
export const uncheckedStatus = (): string =>
  formatVerificationStatus({ outcome: "unchecked", fingerprint: undefined, userId: "", signingTime: undefined })

function outcomeOf({ verdict, notAllowed }: VerificationSummary): SignatureStatus["outcome"] {
  if (verdict === "verified") return "good"
  if (notAllowed) return "stranger"
  return verdict === "failed" ? "bad" : "unchecked"
}
