/**
 * What came of verifying many objects against a policy; the one result that every report is made from. All of it is plain data.
 *
 * @module
 */

import { ERROR_CODES, type ErrorCode, type ExitStatus } from "../errors.ts"
import type { ClaimName } from "../formats/signer.ts"
import type { Judgement } from "../policy/facts.ts"
import type { StepResult } from "../verify/summary.ts"

/** Why something is not in order. */
export interface Problem {
  readonly code: ErrorCode
  /** Lower case, no full stop; may hold text of whoever made the object. */
  readonly message: string
  readonly hint: string | undefined
}

/** A person in a commit or tag: text that nothing proves. */
export interface PersonLine {
  readonly name: string
  readonly email: string
  /** Undefined where the object's date makes no sense. */
  readonly date: Date | undefined
}

/** Who signed. Proven only when the object's verdict is `ok` or its problem is one of the policy; else what the signature claims. */
export type AuditedSigner =
  | {
      readonly scheme: "keyless"
      readonly identity: string
      readonly identities: readonly { readonly type: string; readonly value: string }[]
      readonly issuer: string
      readonly claims: Readonly<Partial<Record<ClaimName, string>>>
      /** SHA-1 of the certificate, 40 hex digits. */
      readonly fingerprint: string
      readonly notBefore: Date
      readonly notAfter: Date
    }
  | { readonly scheme: "openpgp"; readonly identity: string; readonly fingerprint: string }
  | { readonly scheme: "ssh"; readonly identity: string; readonly fingerprint: string }

/** One verified commit or tag. */
export interface AuditedObject {
  readonly type: "commit" | "tag"
  /** Hex. */
  readonly id: string
  /** How it was asked for: a revision, a tag's name, or for a walk the full name of the ref it was found from. Empty for most. */
  readonly name: string
  /** `ok`: everything holds, and only then. `bad`: something was checked and does not hold. `unchecked`: something could not be checked now. */
  readonly verdict: "ok" | "bad" | "unchecked"
  readonly problem: Problem | undefined
  /** True when the signature is good and only the signer or the policy is not as asked. */
  readonly notAllowed: boolean
  /** First line of the message. */
  readonly subject: string
  readonly author: PersonLine
  /** The committer, or for a tag the tagger. */
  readonly committer: PersonLine
  readonly parents: readonly string[]
  readonly scheme: "keyless" | "openpgp" | "ssh" | "other" | "none"
  readonly signer: AuditedSigner | undefined
  readonly mode: "offline" | "online"
  /** Where and when the log took it in; the index as decimal text. */
  readonly log: { readonly origin: string; readonly index: string; readonly time: Date | undefined } | undefined
  readonly timestamps: readonly Date[]
  readonly claimedSigningTime: Date | undefined
  /** The numbered steps of docs/verification.md; for other schemes than keyless all are `not checked`. */
  readonly steps: readonly StepResult[]
  /** Whether the signer was compared with flags or a policy. */
  readonly identityChecked: boolean
  /** What the policy says; undefined where none was asked. */
  readonly judgement: Judgement | undefined
}

/** How many objects came to which verdict. */
export interface AuditTotals {
  readonly ok: number
  readonly bad: number
  readonly unchecked: number
}

/** The policy that was asked. */
export interface AuditPolicy {
  /** Such as `origin/main:.gitsign/policy.yaml` or a file. */
  readonly source: string
  /** SHA-256 of its text, hex. */
  readonly sha256: string
}

/** A whole audit. */
export interface AuditResult {
  /** What was asked for, as typed, such as `origin/main..HEAD`. */
  readonly asked: readonly string[]
  /** The full names of the refs whose rules were applied. */
  readonly refs: readonly string[]
  /** Undefined when flags said whom to expect, or anybody would do. */
  readonly policies: readonly AuditPolicy[]
  /** Whether whoever signed was accepted (`--any-identity`). */
  readonly anyIdentity: boolean
  /** In the order of git rev-list for walks, as asked otherwise. */
  readonly objects: readonly AuditedObject[]
  readonly totals: AuditTotals
  /** What people should know beside the verdicts, a sentence each. */
  readonly notes: readonly string[]
  /** The one command that mends what is bad; undefined when nothing is, or no single command does. */
  readonly mend: string | undefined
}

/** The exit status for these numbers: 1 when something is bad, 3 when something could not be checked and nothing is bad. */
export const exitStatusOf = ({ bad, unchecked }: AuditTotals): 0 | 1 | 3 => (bad > 0 ? 1 : unchecked > 0 ? 3 : 0)

/** The exit status of a whole audit: of a single object its reason's own, which may be that the question was not whole (2). */
export function auditStatusOf({ objects, totals }: Pick<AuditResult, "objects" | "totals">): 0 | ExitStatus {
  const [only, ...others] = objects
  if (only?.problem === undefined || others.length > 0) return exitStatusOf(totals)
  return ERROR_CODES[only.problem.code].exit
}
