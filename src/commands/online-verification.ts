/**
 * Verification of a signature whose log entry only the log has (online mode): the entry from the cache, or found in the log,
 * is verified like an embedded one.
 *
 * @module
 */

import { join } from "node:path"
import { GitsignError, isGitsignError } from "../errors.ts"
import type { TransparencyLogEntry } from "../formats/log-entry.ts"
import { type CachedEntryQuery, createLogEntryCache, type LogEntryCache } from "../services/log-entry-cache.ts"
import { createRekorClient } from "../services/rekor.ts"
import type { VerificationSummary } from "../verify/summary.ts"
import { onlineDigests, type Signed, type VerifyOptions, verifySignature } from "../verify/verify.ts"
import { httpClientOf } from "./network.ts"
import type { EntrySources } from "./verification.ts"

/** How long the search for one entry may take, all requests together. */
const SEARCH_TIMEOUT_MS = 20_000

/**
 * Verifies again with the entry that belongs to the signature, and keeps that entry for the next time.
 *
 * @param alone what the verification without an entry came to
 */
export async function verifyOnline(
  signed: Signed,
  options: VerifyOptions,
  alone: VerificationSummary,
  sources: EntrySources,
): Promise<VerificationSummary> {
  const { payload, signature } = signed
  if (alone.signer === undefined || payload === undefined) return alone
  let digestCandidates: Uint8Array[]
  try {
    digestCandidates = onlineDigests(payload, signature)
  } catch (error) {
    // Only objects of git have an id that a log could have an entry for.
    if (isGitsignError(error)) return { ...alone, verdict: "failed", error }
    throw error
  }
  const query: CachedEntryQuery = {
    objectId: Buffer.from(digestCandidates[0] ?? new Uint8Array()).toString("hex"),
    digestCandidates,
    certificateDer: alone.signer.certificate.der,
  }
  const cache = logEntryCacheOf(sources.env)
  const cached = cache?.read(query)
  if (cached !== undefined) {
    const summary = verifySignature(signed, { ...options, logEntry: cached })
    // A bad entry in the cache says nothing about the log; one that is refused for who signed it says it all.
    if (summary.verdict === "verified" || summary.notAllowed) return summary
  }
  const host = new URL(sources.rekor).host
  try {
    const judge = (logEntry: TransparencyLogEntry): VerificationSummary =>
      verifySignature(signed, { ...options, logEntry })
    const logEntry = await search(sources, query, (entry) => {
      const { verdict, notAllowed } = judge(entry)
      return verdict === "verified" || notAllowed
    })
    if (logEntry === undefined) return notInLog(alone, host)
    const summary = judge(logEntry)
    if (summary.verdict === "verified" || summary.notAllowed) cache?.write(query, logEntry)
    return summary
  } catch (error) {
    if (!isGitsignError(error)) throw error
    const message =
      error.code === "ERR_CANCELLED" ? `${host} did not answer within ${SEARCH_TIMEOUT_MS / 1000} s` : error.message
    const code = error.code === "ERR_CONFIG" ? "ERR_CONFIG" : "ERR_REKOR"
    return {
      ...alone,
      error: new GitsignError(code, `${message}, and this signature keeps its proof only there`, {
        cause: error,
        hint: "try again when the log can be reached; signatures made in offline mode need no network",
      }),
    }
  }
}

async function search(
  sources: EntrySources,
  query: CachedEntryQuery,
  accept: (entry: TransparencyLogEntry) => boolean,
): Promise<TransparencyLogEntry | undefined> {
  const http = httpClientOf(sources.env)
  try {
    const signal = AbortSignal.timeout(SEARCH_TIMEOUT_MS)
    return await createRekorClient({ url: sources.rekor, http, signal }).findLogEntry(query, accept)
  } finally {
    http.close()
  }
}

/** The log answered, and has no entry: nobody promised ever to have seen this signature. */
const notInLog = (summary: VerificationSummary, host: string): VerificationSummary => ({
  ...summary,
  verdict: "failed",
  error: new GitsignError("ERR_LOG_ENTRY", `${host} has no entry for this signature`, {
    hint: "if it is in another log, name that with: git config gitsign.rekor URL; else do not trust it",
  }),
  steps: summary.steps.map((one) => (one.step === "log entry" ? { ...one, outcome: "failed" } : one)),
})

/** The cache of log entries in the user's cache directory; undefined where there is no such directory. */
function logEntryCacheOf(env: NodeJS.ProcessEnv): LogEntryCache | undefined {
  const base = env.XDG_CACHE_HOME || env.LOCALAPPDATA || (env.HOME && join(env.HOME, ".cache"))
  return base ? createLogEntryCache(join(base, "gitsign", "log-entries")) : undefined
}
