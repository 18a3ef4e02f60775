/**
 * The verification that every command shares: the signature by itself, and when only the log has its entry, with that entry.
 *
 * @module
 */

import type { VerificationSummary } from "../verify/summary.ts"
import { type Signed, type VerifyOptions, verifySignature } from "../verify/verify.ts"

/** Where a log entry is looked for that is not in the signature. */
export interface EntrySources {
  /** The address of the log. */
  readonly rekor: string
  /** Names the cache directory, proxies and private authorities. */
  readonly env: NodeJS.ProcessEnv
}

/**
 * Verifies one signature, with a search for its log entry where it does not carry one. Never throws on untrusted input and
 * services; what is wrong is in the summary.
 */
export async function verifyWithLog(
  signed: Signed,
  options: VerifyOptions,
  sources: EntrySources,
): Promise<VerificationSummary> {
  const alone = verifySignature(signed, options)
  if (alone.error?.code !== "ERR_LOG_ENTRY_UNAVAILABLE") return alone
  // Most signatures carry their entry, and need nothing of the network code.
  const { verifyOnline } = await import("./online-verification.ts")
  return verifyOnline(signed, options, alone, sources)
}
