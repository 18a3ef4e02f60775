/**
 * The commit that a range such as `X^..` is meant to begin with: X itself (gitrevisions(7), `<rev>^`, `<rev>~<n>`).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { summarizeObject } from "../formats/object-summary.ts"
import { shellQuote } from "../formats/printable.ts"
import { readOneObject } from "../git/objects.ts"
import { listRefs, mergeBases } from "../git/revisions.ts"
import { type GitContext, runGit } from "../git/run.ts"
import { readRecords } from "./resign-record.ts"
import type { ResignBranch, ResignTarget } from "./resign-target.ts"

/** `X` of `X^`, `X~2` of `X~3`; undefined for a name that does not say which of the commits after it is meant. */
export function childOf(from: string): string | undefined {
  // All behind `:/` is text.
  const [, child, parents] = /^(?!:\/)(.+?)(?:\^1?|~(\d*))$/.exec(from) ?? []
  if (child === undefined) return undefined
  const count = Number(parents || 1)
  if (count === 0) return undefined
  return count === 1 ? child : `${child}~${count - 1}`
}

/** So many branches are named. */
const MAX_NAMES = 3

/**
 * Refuses a range whose first commit is on another branch: git would take it for what this branch has since the two parted, and other
 * commits would be signed than the one that was named, which stays as it is. What the branch had until it was signed again is no such
 * commit: whoever repeats a command is told that nothing is left to do.
 *
 * @param withRange the same command for another range
 * @throws ERR_USAGE
 */
export async function checkChildIsThere(
  context: GitContext,
  { from, base, ...branch }: ResignTarget,
  withRange: (range: string) => string,
): Promise<void> {
  const child = from === undefined ? undefined : childOf(from)
  if (child === undefined || base === undefined) return
  const found = await readOneObject(context, `${child}^{commit}`).catch(() => undefined)
  // What ends in the text of a search was taken apart at the wrong place.
  if (found === undefined || summarizeObject(found.raw).parents[0] !== base) return
  // `main~2..topic` is also how to say where `topic` has left `main`; `X^..` is not.
  if (from?.endsWith("^") === false && !from.endsWith("^1") && (await hasCommit(context, branch.tip, base))) return
  const branches = await branchesWith(context, found.id, branch)
  if (branches.includes(branch.label) || (await wasSignedAgain(context, found.id, branch))) return
  const [other] = branches
  const named = branches.slice(0, MAX_NAMES).join(", ") + (branches.length > MAX_NAMES ? " and others" : "")
  const where = other === undefined ? "no local branch" : named
  const there = other === undefined ? "" : `sign it there with: ${withRange(`${from}..${other}`)}; `
  throw new GitsignError("ERR_USAGE", `${nameOf(child, found.id)} is not on ${branch.label}; it is on ${where}`, {
    hint: `${there}what ${branch.label} has that ${from} has not: ${withRange(`${base.slice(0, 12)}..${branch.label}`)}`,
  })
}

/** Whether the branch had a commit before one of the runs that can be taken back. */
async function wasSignedAgain(context: GitContext, id: string, { ref }: ResignBranch): Promise<boolean> {
  const moves = (await readRecords(context)).flatMap((record) => record.moves.filter((move) => move.ref === ref))
  for (const { before } of moves) if (await hasCommit(context, before, id)) return true
  return false
}

const hasCommit = async (context: GitContext, tip: string, id: string): Promise<boolean> =>
  (await mergeBases(context, id, tip)).includes(id)

/** A name as it was typed, and which commit that is, unless it says so. */
const nameOf = (name: string, id: string): string =>
  id.startsWith(name) ? name : `${shellQuote(name)} (${id.slice(0, 12)})`

/** The branches that have a commit: only this one where it does, else the local ones, of which those that end with it come first. */
export async function branchesWith(context: GitContext, id: string, { tip, label }: ResignBranch): Promise<string[]> {
  if (await hasCommit(context, tip, id)) return [label]
  const format = "--format=%(refname)"
  const { status, stdout } = await runGit(context, ["for-each-ref", format, `--contains=${id}`, "refs/heads/"])
  const names = status === 0 ? stdout.toString("utf8").split("\n").filter(Boolean) : []
  const tips = new Set((await listRefs(context, "refs/heads/")).filter((ref) => ref.id === id).map(({ name }) => name))
  const sorted = [...names.filter((name) => tips.has(name)), ...names.filter((name) => !tips.has(name))]
  return sorted.map((name) => name.slice("refs/heads/".length))
}
