/**
 * What `gitsign resign` would do: which commits become others, what points to them, and what speaks against it.
 *
 * @module
 */

import { type ErrorCode, GitsignError } from "../errors.ts"
import { type ObjectSummary, summarizeObject } from "../formats/object-summary.ts"
import { readObjects } from "../git/objects.ts"
import { findLeadingRefs, type LeadingRefs, publishedCommits, refsThatPublish } from "../git/published.ts"
import { findDisguise } from "../git/replaced.ts"
import { tryResolve, walkCommits } from "../git/revisions.ts"
import type { GitContext } from "../git/run.ts"
import type { ResignTarget } from "./resign-target.ts"

/** One commit that becomes another. */
export interface PlannedCommit {
  readonly id: string
  readonly raw: Uint8Array
  readonly summary: ObjectSummary
  /** Why, in words. */
  readonly reason: string
  /** The code of what is wrong with it; undefined where nothing is. */
  readonly code: ErrorCode | undefined
  /** Whether it is signed well, and loses that because a commit before it becomes another. */
  readonly losesSignature: boolean
}

/** What is to be done. */
export interface ResignPlan {
  readonly target: ResignTarget
  /** How many commits the range has. */
  readonly total: number
  /** Those that become others, parents before their children. */
  readonly commits: readonly PlannedCommit[]
  readonly leading: LeadingRefs
  /** How many of the others have no signature at all: what judges them accepts them all the same. */
  readonly unsigned: number
  /** How many of the commits a remote has already. */
  readonly published: number
}

/** A commit that needs no reason by itself. */
export interface Finding {
  readonly code?: ErrorCode
  readonly message: string
}

/**
 * Makes the plan. A commit becomes another when `findingOf` finds something, or when one of its parents does; what comes before those
 * stays as it is.
 *
 * @param findingOf asked for each commit of the range; undefined: it is in order
 * @param ways the commands that leave out or take what a remote has, for the hint; undefined: this is the one that takes it
 * @throws ERR_PUBLISHED; ERR_SHALLOW when the history to be changed ends in the middle; ERR_RESIGN when git shows other commits there
 */
export async function planResign(
  context: GitContext,
  target: ResignTarget,
  findingOf: (id: string) => Finding | undefined,
  ways: WaysOut | undefined,
): Promise<ResignPlan> {
  const { tip, exclude } = target
  const ids = (await walkCommits(context, [tip], exclude)).reverse()
  const { commits, unsigned } = await commitsToChange(context, ids, findingOf)
  const changed = new Set(commits.map(({ id }) => id))
  await refuseDisguised(context, new Set(ids), changed)
  const { published, ref } = await publishedAmong(context, target, changed)
  if (published.size > 0 && ways !== undefined) {
    const where = ref === undefined ? "on a remote" : `in ${ref}`
    throw new GitsignError("ERR_PUBLISHED", `${publishedText(published.size, changed.size)} ${where} already`, {
      hint: await wayOut(context, target, commits, published, ways),
    })
  }
  const roots = commits.filter(({ summary }) => !summary.parents.some((parent) => changed.has(parent)))
  const leading = await findLeadingRefs(
    context,
    changed,
    roots.map(({ id }) => id),
  )
  return {
    target,
    total: ids.length,
    commits,
    leading: without(leading, target.ref),
    unsigned,
    published: published.size,
  }
}

/** What may be asked for instead. */
export interface WaysOut {
  /** The same command, which takes also what a remote has. */
  readonly forced: string
  /** The same command for another range, from which more is left out. */
  readonly withRange: (range: string, except: readonly string[]) => string
}

/** What leaves out all that a remote has, where something else is left, and what signs that as well. */
async function wayOut(
  context: GitContext,
  { label, base, from }: ResignTarget,
  commits: readonly PlannedCommit[],
  published: ReadonlySet<string>,
  { forced, withRange }: WaysOut,
): Promise<string> {
  const force = `others may have them already; sign them all the same with: ${forced}`
  const own = commits.filter(({ id }) => !published.has(id))
  // Whatever of it the branch has comes in by one of these.
  const merged = new Set(own.flatMap(({ summary }) => summary.parents).filter((id) => published.has(id)))
  const refs = await refsThatPublish(context, [...merged])
  const [first, ...others] = await Promise.all(refs.map((ref) => shortest(context, ref)))
  if (first === undefined) return force
  // A range that begins at something of one's own stays as short as it was.
  const isCovered = base === undefined || (await walkCommits(context, [base], refs)).length === 0
  const except = [...others, ...(isCovered || from === undefined ? [] : [from])].map((name) => `^${name}`)
  const rest = own.length === 1 ? "the other one" : `the other ${own.length}`
  return `sign only ${rest} with: ${withRange(`${first}..${label}`, except)}; ${force}`
}

/** A remote's branch as one calls it, where nothing else is called so. */
async function shortest(context: GitContext, ref: string): Promise<string> {
  const name = ref.replace(/^refs\/remotes\//, "")
  const others = await Promise.all(["heads", "tags"].map((kind) => tryResolve(context, `refs/${kind}/${name}`)))
  return others.every((one) => one === undefined) ? name : ref
}

function publishedText(published: number, all: number): string {
  if (published === all) return all === 1 ? "the commit to sign is" : `all ${all} commits to sign are`
  return `${published} of the ${count(all)} to sign ${published === 1 ? "is" : "are"}`
}

/** `1 commit`, `12 commits`. */
export const count = (commits: number): string => `${commits} commit${commits === 1 ? "" : "s"}`

async function commitsToChange(
  context: GitContext,
  ids: readonly string[],
  findingOf: (id: string) => Finding | undefined,
): Promise<Pick<ResignPlan, "commits" | "unsigned">> {
  const changed = new Set<string>()
  let unsigned = 0
  const commits: PlannedCommit[] = []
  for await (const { id, raw } of readObjects(context, ids)) {
    const summary = summarizeObject(raw)
    const finding = findingOf(id)
    const follows = summary.parents.some((parent) => changed.has(parent))
    if (finding === undefined && !follows) {
      if (!isSigned(raw)) unsigned++
      continue
    }
    changed.add(id)
    const reason = finding?.message ?? "comes after a commit that changes"
    commits.push({ id, raw, summary, reason, code: finding?.code, losesSignature: finding === undefined })
  }
  return { commits, unsigned }
}

/** Whether a commit has a signature of either object format in its headers, whatever it is worth. */
function isSigned(raw: Uint8Array): boolean {
  const headers = Buffer.from(raw).toString("latin1").split("\n\n", 1)[0] ?? ""
  return /^gpgsig(-sha256)? /m.test(headers)
}

async function refuseDisguised(
  context: GitContext,
  ids: ReadonlySet<string>,
  changed: ReadonlySet<string>,
): Promise<void> {
  const { replaced, shallow } = await findDisguise(context)
  const [shownOtherwise] = [...replaced].filter((id) => ids.has(id))
  if (shownOtherwise !== undefined) {
    const { hint } = new GitsignError("ERR_REPLACED", "")
    const message = `git shows another commit in the place of ${shownOtherwise.slice(0, 12)}`
    throw new GitsignError("ERR_RESIGN", message, hint === undefined ? {} : { hint })
  }
  const [end] = [...shallow].filter((id) => changed.has(id))
  if (end !== undefined) {
    throw new GitsignError("ERR_SHALLOW", `this shallow clone ends at ${end.slice(0, 12)}, whose parents are not here`)
  }
}

async function publishedAmong(
  context: GitContext,
  { tip, exclude }: ResignTarget,
  changed: ReadonlySet<string>,
): Promise<{ published: ReadonlySet<string>; ref: string | undefined }> {
  if (changed.size === 0) return { published: new Set(), ref: undefined }
  const { ids, ref } = await publishedCommits(context, tip, exclude)
  return { published: new Set([...changed].filter((id) => ids.has(id))), ref }
}

/** The branch itself is told of by itself. */
const without = ({ tags, branches, descendants }: LeadingRefs, own: string): LeadingRefs => ({
  tags,
  branches: branches.filter(({ ref }) => ref !== own),
  descendants: descendants.filter((ref) => ref !== own),
})
