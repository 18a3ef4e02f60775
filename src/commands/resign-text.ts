/**
 * What `gitsign resign` tells people.
 *
 * @module
 */

import { shellQuote } from "../formats/printable.ts"
import type { Signer } from "../formats/signer.ts"
import { count, type PlannedCommit, type ResignPlan } from "./resign-plan.ts"
import type { Resigned } from "./resign-run.ts"
import { labelOf } from "./resign-target.ts"
import { signerText } from "./verdict-text.ts"

/** As many digits of an id as people are shown. */
export const shortId = (id: string): string => id.slice(0, 12)

/** The longest subject and name that a line shows, in characters. */
const MAX_SUBJECT = 50
const MAX_NAME = 24

const cut = (text: string, length: number): string => (text.length <= length ? text : `${text.slice(0, length - 1)}…`)

/** What is told where nothing has to be done. */
export function nothingText({ target, total, unsigned }: ResignPlan): string {
  const nothing = `nothing to do: ${total === 1 ? "the commit" : `all ${total} commits`} of ${target.asked} ${total === 1 ? "is" : "are"} in order`
  if (unsigned === 0) return `${nothing}\n`
  const accepted =
    total === 1 ? "it is accepted although it is not signed" : `${unsigned} of them ${acceptedText(unsigned)}`
  return `${nothing}; ${accepted} (sign all of them with --all)\n`
}

const acceptedText = (unsigned: number): string =>
  unsigned === 1 ? "is accepted although it is not signed" : "are accepted although they are not signed"

/** The plan, a line for each commit. */
export function planText({ target, total, commits }: ResignPlan): string {
  const of = commits.length === total ? count(total) : `${commits.length} of ${count(total)}`
  return [`would sign again ${of} of ${target.label}:`, ...commits.map(commitLine), ""].join("\n")
}

function commitLine({ id, summary, reason, code }: PlannedCommit): string {
  const subject = cut(summary.subject, MAX_SUBJECT)
  const author = cut(summary.author.name || summary.author.email, MAX_NAME)
  return `  ${shortId(id)}  ${subject}  ${author}  ${reason}${code === undefined ? "" : `  [${code}]`}`
}

/** What was done. */
export function doneText({ target, commits, total }: ResignPlan, { moves, signers }: Resigned): string {
  const who = signers.map(signerText).join(" and ")
  const kept = total - commits.length
  const rest = kept === 0 ? "" : `; ${count(kept)} before ${commits.length === 1 ? "it" : "them"} stay`
  const lines = moves.map(({ ref, before, after }) => {
    const what =
      ref === target.ref ? `: ${count(commits.length)} signed again by ${who}${kept === 1 ? `${rest}s` : rest}` : ""
    return `${labelOf(ref)} is now ${shortId(after)}, was ${shortId(before)}${what}\n`
  })
  return lines.join("")
}

/**
 * What else there is to know, a sentence each: what was lost, what still points to the old ones.
 *
 * @param moved the other branches that are moved along
 */
export function planNotes(plan: ResignPlan, moved: readonly string[]): string[] {
  const { commits, leading, published } = plan
  const notes: string[] = []
  const lost = commits.filter(({ losesSignature }) => losesSignature).length
  if (lost > 0) {
    notes.push(`${count(lost)} had a good signature, which yours replaces, since a commit before changes`)
  }
  const merges = mergesOfTags(commits)
  if (merges > 0) {
    const what = merges === 1 ? "1 merge of a tag keeps the tag" : `${merges} merges of tags keep the tags`
    notes.push(`${what}, which ${merges === 1 ? "stays on the old commit" : "stay on the old commits"}`)
  }
  if (published > 0)
    notes.push(`${count(published)} on a remote: push with git push --force-with-lease, and tell who has them`)
  if (leading.tags.length > 0) notes.push(`these tags stay on the old commits: ${names(leading.tags)}`)
  const left = leading.branches.filter(({ ref }) => !moved.includes(ref)).map(({ ref }) => ref)
  if (left.length > 0) notes.push(`these branches stay on the old commits, unless with --update-refs: ${names(left)}`)
  if (leading.descendants.length > 0) {
    notes.push(`these branches go on from the old commits, and stay: ${names(leading.descendants)}`)
  }
  return notes
}

/** Whose commits a signer vouches for beside their own, by the names in the certificate; undefined when all are their own. */
export function vouchText(
  commits: readonly PlannedCommit[],
  { identities }: Pick<Signer, "identities">,
): string | undefined {
  const others = commits.filter(
    ({ summary: { author } }) =>
      !identities.some(({ type, value }) => value === (type === "email" ? author.email : author.name)),
  ).length
  if (others === 0) return undefined
  return `${count(others)} by other authors: your signature says that you vouch for ${others === 1 ? "it" : "them"}`
}

/** How many commits hold a tag of one of the others (git-merge(1) keeps it in a `mergetag` header). */
function mergesOfTags(commits: readonly PlannedCommit[]): number {
  const changed = new Set(commits.map(({ id }) => id))
  return commits.filter(({ raw }) => {
    const headers = Buffer.from(raw).toString("latin1").split("\n\n", 1)[0] ?? ""
    return [...headers.matchAll(/^mergetag object ([0-9a-f]+)$/gm)].some(([, id = ""]) => changed.has(id))
  }).length
}

/** Names are not many, or told as a number. */
const MAX_NAMES = 10

function names(refs: readonly string[]): string {
  const shown = refs.slice(0, MAX_NAMES).map((ref) => shellQuote(ref.replace(/^refs\/(heads|tags)\//, "")))
  const more = refs.length - shown.length
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`
}
