/**
 * What git calls to verify: a signature file, a payload, status lines for git, and text for people.
 *
 * @module
 */

import type { Config } from "../config.ts"
import { uncheckedStatus, verificationStatus } from "../verify/status.ts"
import type { VerificationSummary } from "../verify/summary.ts"
import type { GitCall } from "./git-arguments.ts"
import { type CommandIo, readInput, writeAll } from "./io.ts"
import type { Messages } from "./messages.ts"
import { trustOf } from "./trust.ts"
import { verdictText } from "./verdict-text.ts"
import { verifyWithLog } from "./verification.ts"

/**
 * Verifies what git hands over and returns the exit status. git reads the status lines from `--status-fd`; stderr becomes
 * the text of `git log --show-signature`. git names no identity; gitsign.policy may.
 *
 * @throws ERR_IO when an input cannot be read or the status cannot be written; ERR_CONFIG, ERR_TRUSTED_ROOT, ERR_GIT
 */
export async function gitVerify(
  call: Extract<GitCall, { verb: "verify" }>,
  io: CommandIo,
  messages: Messages,
  reading: Promise<Config>,
): Promise<number> {
  const tell = (status: string): void => {
    if (call.statusFd !== undefined) writeAll(call.statusFd, Buffer.from(status, "utf8"), `descriptor ${call.statusFd}`)
  }
  let summary: VerificationSummary
  try {
    summary = await verifyCall(call, io, reading)
  } catch (error) {
    tell(uncheckedStatus())
    throw error
  }
  tell(verificationStatus(summary))
  messages.write(verdictText(summary))
  return summary.error?.exitStatus ?? 0
}

async function verifyCall(
  call: Extract<GitCall, { verb: "verify" }>,
  io: CommandIo,
  reading: Promise<Config>,
): Promise<VerificationSummary> {
  const signature = readInput(io, call.signatureFile)
  const payload = call.payloadFile === undefined ? undefined : readInput(io, call.payloadFile)
  const config = await reading
  const options = { trustedRoot: trustOf(config) }
  const sources = { rekor: config.rekor, env: io.env }
  if (config.policy === undefined) return verifyWithLog({ payload, signature }, options, sources)
  const { verifyWithPolicy } = await import("./git-verify-policy.ts")
  return verifyWithPolicy({ payload, signature }, options, sources, io, config)
}
