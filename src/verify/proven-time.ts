/**
 * A signature counts when its certificate was valid at the times that the log and timestamps state (RFC 5280 §4.1.2.5).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import type { TransparencyLogEntry } from "../formats/log-entry.ts"
import { isWithin, type TrustedLog } from "../formats/trusted-root.ts"
import { type Certificate, isValidAt } from "../formats/x509.ts"
import type { CheckedTimestamp } from "./timestamp.ts"

const iso = (date: Date): string => `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`

/**
 * Proves that every stated time lies in the certificate's validity. The times themselves are proven by the signatures
 * of the log and of the timestamp authority, which the caller MUST verify.
 *
 * @param logged an entry and its log, found by `findLog`
 * @throws ERR_LOG_PROMISE when a log's time is stated without its signature; ERR_LOG_TIME, ERR_TIMESTAMP_TIME when a time lies
 * outside; ERR_LOG_UNKNOWN when an entry without a time is of a log that was not in use at the timestamp's
 */
export function checkProvenTime(
  certificate: Certificate,
  logged: { readonly entry: TransparencyLogEntry; readonly log: TrustedLog } | undefined,
  timestamps: readonly CheckedTimestamp[],
): void {
  const entry = logged?.entry
  const validity = `${iso(certificate.notBefore)} to ${iso(certificate.notAfter)}`
  if (entry !== undefined && entry.integratedTime !== 0n) {
    // Only the signed entry timestamp covers time and index; the checkpoint covers neither.
    if (entry.inclusionPromise === undefined || entry.inclusionPromise.length === 0) {
      throw new GitsignError("ERR_LOG_PROMISE", "the log entry states a time that the log has not signed")
    }
    const time = new Date(Number(entry.integratedTime) * 1000)
    if (!isValidAt(certificate, time))
      throw new GitsignError("ERR_LOG_TIME", `logged at ${iso(time)}, but the certificate was valid from ${validity}`)
  }
  for (const { genTime } of timestamps) {
    if (!isValidAt(certificate, genTime)) {
      throw new GitsignError(
        "ERR_TIMESTAMP_TIME",
        `timestamped at ${iso(genTime)}, but the certificate was valid from ${validity}`,
      )
    }
    if (entry?.integratedTime === 0n && logged !== undefined && !isWithin(logged.log.validFor, genTime))
      throw new GitsignError("ERR_LOG_UNKNOWN", "the log's key was not in use when the signature was timestamped")
  }
}
