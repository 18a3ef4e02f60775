/**
 * What `gitsign policy init` tells beside the proposal itself.
 *
 * @module
 */

import type { PolicyInForce } from "../audit/policy-source.ts"
import type { AuditedObject } from "../audit/result.ts"
import type { Beginnings, Seen, SeenSigner } from "../audit/signers-seen.ts"
import { SCHEMA_VERSION } from "./policy-argument.ts"

/** How many of the refused objects are listed; a count tells the rest. */
const MAX_LISTED = 10

/** The history that is looked at. */
export interface History {
  /** Short name of the branch that rules will be for. */
  readonly branch: string
  readonly head: string
  /** Ids of what is walked. */
  readonly tips: readonly string[]
  readonly tags: readonly { readonly name: string; readonly id: string }[]
  /** Names of tags that are only names for commits, which nobody can sign. */
  readonly lightweight: readonly string[]
}

/** What became of the history under the proposal, or why that cannot be said. */
export type Trial =
  | { readonly judged: number; readonly refused: readonly AuditedObject[] }
  | { readonly reason: string }

/** A proposal and everything around it. */
export interface Outcome {
  readonly history: History
  readonly seen: Seen
  readonly beginnings: Beginnings
  readonly text: string
  readonly policy: PolicyInForce
  /** What the audit has to say, a sentence each. */
  readonly notes: readonly string[]
  readonly trial: Trial
  /** Where it was written to. */
  readonly file: string | undefined
}

/** `3 commits`. */
export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/** What was seen and what would come of the proposal, for people. The caller MUST make it printable. */
export function proposalText({ history, seen, policy, notes, trial }: Outcome): string {
  const missed = [...seen.unverified].map(([code, count]) => `${count} ${REASONS.get(code) ?? code}`)
  const looked = `${counted(seen.commits, "commit")} and ${counted(seen.tags, "tag")}`
  const names = counted(history.lightweight.length, "tag")
  const lines = [
    `${looked}: ${counted(peopleIn(seen), "signer")}${missed.length === 0 ? "" : `; ${missed.join(", ")}`}`,
    ...(history.lightweight.length === 0 ? [] : [`${names} cannot be signed: only names (git tag -s)`]),
    ...notes,
    ...trialLines(history, trial),
    ...policy.compiled.policy.warnings.map(
      ({ id, line, message }) => `warning: line ${line} of the proposal: ${message} [${id}]`,
    ),
    "hint: whoever is named may sign from now on: read it before you commit it, signed",
  ]
  return lines.map((line) => `gitsign: ${line.replaceAll("\n", " ")}\n`).join("")
}

function trialLines({ branch }: History, trial: Trial): readonly string[] {
  if ("reason" in trial) return [`what this policy would refuse cannot be told here: ${trial.reason}`]
  const { judged, refused } = trial
  if (refused.length === 0) {
    const what = judged === 1 ? "the one" : `all ${judged}`
    return [
      `under this policy ${what} that it judges for ${branch} and the tags ${judged === 1 ? "is" : "are"} accepted`,
    ]
  }
  return [
    `under this policy ${refused.length} of the ${judged} that it judges would be refused:`,
    ...refused.slice(0, MAX_LISTED).map(refusedLine),
    ...(refused.length > MAX_LISTED ? [`  and ${refused.length - MAX_LISTED} more`] : []),
  ]
}

/** Who signed commits and tags is one. */
const peopleIn = ({ signers }: Seen): number =>
  new Set(
    signers.map(({ signer }) =>
      JSON.stringify(signer.scheme === "keyless" ? [signer.identities, signer.issuer] : signer.fingerprints),
    ),
  ).size

const REASONS: ReadonlyMap<string, string> = new Map([
  ["ERR_NOT_SIGNED", "not signed"],
  ["ERR_KEY_UNKNOWN", "signed with keys that are not known"],
])

function refusedLine({ type, id, name, subject, author, problem }: AuditedObject): string {
  const what = type === "tag" ? name.replace(/^refs\/tags\//, "") : id.slice(0, 12)
  const why = problem === undefined ? "not allowed" : `${problem.message}  [${problem.code}]`
  return `  ${[what, subject.slice(0, 50), author.name.slice(0, 30), why].join("  ")}`
}

/** The same as a document; docs/policy-output.schema.json. */
export function proposalDocument({ history, seen, beginnings, text, policy, trial, file }: Outcome): unknown {
  return {
    schemaVersion: SCHEMA_VERSION,
    command: "init",
    branch: history.branch,
    commits: seen.commits,
    tags: seen.tags,
    lightweightTags: history.lightweight,
    signers: seen.signers.map(signerDocument),
    unverified: [...seen.unverified].map(([code, count]) => ({ code, count })),
    since: beginnings.first ?? null,
    cleanSince: beginnings.clean ?? null,
    policy: text,
    warnings: policy.compiled.policy.warnings,
    written: file ?? null,
    ...("reason" in trial
      ? { judged: null, refused: null }
      : { judged: trial.judged, refused: refusedDocument(trial.refused) }),
  }
}

const refusedDocument = (refused: readonly AuditedObject[]): unknown =>
  refused.map(({ type, id, name, subject, problem }) => ({
    type,
    id,
    name: type === "tag" ? name : null,
    subject,
    code: problem?.code ?? null,
    message: problem?.message ?? null,
  }))

function signerDocument({ signer, type, count, merges, first, last }: SeenSigner): unknown {
  const isKeyless = signer.scheme === "keyless"
  return {
    scheme: signer.scheme,
    identities: isKeyless ? signer.identities : signer.scheme === "openpgp" ? signer.userIds : signer.principals,
    issuer: isKeyless ? signer.issuer : null,
    fingerprints: isKeyless ? null : signer.fingerprints,
    type,
    count,
    merges,
    first: first ?? null,
    last: last ?? null,
  }
}
