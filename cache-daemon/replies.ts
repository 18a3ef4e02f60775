/**
 * What the agent says of its credentials and of what went wrong.
 *
 * @module
 */

import { ERROR_CODES, type ErrorCode, GitsignError } from "../src/errors.ts"
import { printable } from "../src/services/answer.ts"
import type { SignOutcome } from "../src/sign/sign.ts"
import type { HeldCredential } from "./credentials.ts"
import { type CredentialInfo, LIMITS, type ReplyOf, type RequestOf } from "./protocol.ts"
import type { StoredCredential } from "./store.ts"

const cut = (text: string): string => text.slice(0, LIMITS.name)

const seconds = (date: Date): number => Math.max(0, Math.floor(date.getTime() / 1000))

/** A credential as people may see it. */
export function infoOf(stored: StoredCredential<HeldCredential>): CredentialInfo {
  const { key, holder, notAfter, expires, signatures, unclaimed } = stored
  const remaining = stored.remaining()
  return {
    identity: cut(holder.identity),
    issuer: cut(holder.issuer),
    fingerprint: holder.fingerprint,
    fulcio: key.fulcio,
    rekor: key.rekor,
    repository: key.repository,
    tokenProvider: key.tokenProvider,
    committer: key.matchCommitter ? key.committerEmail || key.committerName : "",
    notAfter: seconds(notAfter),
    expires: seconds(expires),
    signatures,
    unclaimed,
    // One that may make no more is not shown at all, so that 0 keeps its meaning.
    remaining: remaining ?? 0,
  }
}

/** The last reply to `sign`. */
export const signedReply = ({ der, logEntry, signingTime, signer }: SignOutcome): ReplyOf<"signed"> => ({
  type: "signed",
  signature: der,
  logIndex: Number(logEntry.logIndex),
  signingTime: seconds(signingTime),
  fingerprint: signer.fingerprint,
  certificate: signer.certificate.der,
  signatureAlgorithm: signer.certificate.signatureAlgorithm,
})

/** The reply for an error. */
export const errorReply = ({ code, message, hint }: GitsignError): ReplyOf<"error"> => ({
  type: "error",
  code,
  message: cut(message),
  hint: hint === undefined ? undefined : cut(hint),
})

/**
 * The error for something that is no error of gitsign's own. Its message is told to nobody: it may quote anything. The log gets the
 * place it comes from.
 */
export function unexpectedError(error: unknown, log: (line: string) => void): GitsignError {
  const [name, stack] = error instanceof Error ? [error.name, error.stack ?? ""] : [typeof error, ""]
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line))
  log(
    `a defect of gitsign: ${name} ${frames
      .slice(0, 8)
      .map((line) => line.trim())
      .join(", ")}`,
  )
  return new GitsignError("ERR_BUG", "the agent made a mistake of its own; its log says where")
}

/** Why a client could not log in, in its own words; others are shown this. */
export function loginError({ code, message }: RequestOf<"no_token">): GitsignError {
  const known = Object.hasOwn(ERROR_CODES, code) && ERROR_CODES[code as ErrorCode].exit !== 1
  return new GitsignError(
    known ? (code as ErrorCode) : "ERR_NO_TOKEN",
    printable(message) || "there is no identity token",
  )
}
