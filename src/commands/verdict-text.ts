/**
 * The result of a verification as lines for people.
 *
 * @module
 */

import type { VerificationSummary } from "../verify/summary.ts"
import { describeError } from "./messages.ts"

/** Who signed, as people read it: identity and issuer. */
export const signerText = (signer: { readonly identity: string; readonly issuer: string }): string =>
  `${signer.identity || "nobody"} (${signer.issuer || "no issuer"})`

/** Two lines for a good signature; for any other the error and its hint. The caller MUST make them printable. */
export function verdictText(summary: VerificationSummary): string {
  const { verdict, error, signer } = summary
  if (verdict !== "verified" || signer === undefined) return describeError(error).text
  return `gitsign: good signature by ${signerText(signer)}\ngitsign: ${proofText(summary)}\n`
}

function proofText({ logged, timestamps, mode }: VerificationSummary): string {
  const entry =
    logged === undefined ? "" : `logged${logged.time ? ` ${utc(logged.time)}` : ""}, rekor index ${logged.index}; `
  const [stamp] = timestamps
  const stamped = stamp !== undefined && logged?.time === undefined ? `timestamped ${utc(stamp)}; ` : ""
  const parts = timestamps.length > 0 ? "certificate, log and timestamps" : "certificate and log"
  return `${entry}${stamped}${parts} verified ${mode === "offline" ? "offline" : "with the entry that the log keeps"}`
}

/** `2026-11-21 10:14:03 UTC`. */
const utc = (date: Date): string => `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`
