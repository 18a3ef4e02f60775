/**
 * Which commits `gitsign resign` is asked about, and which branch they are on (gitrevisions(7), `A..B`).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import type { ObjectFormat } from "../formats/git-object.ts"
import { shellQuote } from "../formats/printable.ts"
import { readOneObject } from "../git/objects.ts"
import { currentBranch, resolveRevision, tryResolve, walkCommits } from "../git/revisions.ts"
import type { GitContext } from "../git/run.ts"
import { findBranchUse } from "../git/worktrees.ts"
import { checkRepository } from "./repository.ts"

/** The branch that is moved. */
export interface ResignBranch {
  /** `refs/heads/…`, or `HEAD` where it is detached. */
  readonly ref: string
  /** What people call it. */
  readonly label: string
  /** The id of its commit. */
  readonly tip: string
  readonly objectFormat: ObjectFormat
}

/** What is to be signed again. */
export interface ResignTarget extends ResignBranch {
  /** The commit whose history stays; undefined: none does. */
  readonly base: string | undefined
  /** The range as git takes it, for messages. */
  readonly asked: string
}

const usage = (message: string, hint: string): GitsignError => new GitsignError("ERR_USAGE", message, { hint })

/**
 * Takes `A..B` apart; an empty side is HEAD.
 *
 * @throws ERR_USAGE for anything else
 */
function parseRange(range: string | undefined): { readonly from: string; readonly to: string } {
  if (range === undefined) {
    throw usage("say which commits to sign again", "those that are not pushed: gitsign resign @{upstream}..")
  }
  if (range.includes("...")) {
    throw usage(`${range} means two sides, and only one of them can move`, "write it with two dots: A..BRANCH")
  }
  const dots = range.indexOf("..")
  if (dots >= 0) return { from: range.slice(0, dots) || "HEAD", to: range.slice(dots + 2) || "HEAD" }
  throw usage(
    `${range} is no range`,
    `what comes after it: gitsign resign ${shellQuote(`${range}..`)}, and together with it: gitsign resign ${shellQuote(`${range}^..`)}`,
  )
}

/**
 * Finds the branch and the commits that a range, or with `root` a branch, stands for.
 *
 * @throws ERR_USAGE for what is no range, and for a range that does not end at a branch; ERR_GIT when a name names nothing
 */
export async function resolveTarget(
  context: GitContext,
  range: string | undefined,
  root: boolean,
): Promise<ResignTarget> {
  if (root) {
    if (range?.includes(".."))
      throw usage("--root begins at the first commit", "name a branch: gitsign resign --root B")
    const branch = await resolveBranch(context, range ?? "HEAD")
    return { ...branch, base: undefined, asked: branch.label }
  }
  const { from, to } = parseRange(range)
  const branch = await resolveBranch(context, to)
  return { ...branch, base: await resolveBase(context, from, branch), asked: `${from}..${branch.label}` }
}

/** The error for a range without a commit; its hint names the branch that is checked out, where that has some. */
export async function emptyRange(context: GitContext, target: ResignTarget): Promise<GitsignError> {
  const message = `there are no commits in ${target.asked}`
  const from = target.asked.slice(0, -target.label.length)
  const current = await resolveBranch(context, "HEAD").catch(() => undefined)
  const exclude = target.base === undefined ? [] : [target.base]
  const found =
    current === undefined || current.ref === target.ref ? [] : await walkCommits(context, [current.tip], exclude)
  if (current === undefined || found.length === 0) {
    return usage(message, "name the commit before the first one to sign, and the branch that has them: A..BRANCH")
  }
  const has = `${current.label}, where you are, has ${found.length === 1 ? "one" : found.length}`
  return usage(message, `${has}: gitsign resign ${shellQuote(`${from}${current.label}`)}`)
}

/**
 * The branch that a name stands for.
 *
 * @throws ERR_USAGE when it is no branch of this repository; ERR_GIT when there is nothing of that name, and outside of a repository
 */
export async function resolveBranch(context: GitContext, name: string): Promise<ResignBranch> {
  await checkRepository(context)
  const ref =
    name === "HEAD" || name === "@" ? ((await currentBranch(context)) ?? "HEAD") : await namedBranch(context, name)
  const tip = await tryResolve(context, `${ref}^{commit}`)
  if (tip === undefined) throw new GitsignError("ERR_GIT", `${ref} has no commits`, { hint: "see: git status" })
  return { ref, label: labelOf(ref), tip, objectFormat: tip.length === 40 ? "sha1" : "sha256" }
}

/** What people call a ref: a branch without `refs/heads/`. */
export const labelOf = (ref: string): string => ref.replace(/^refs\/heads\//, "")

async function namedBranch(context: GitContext, name: string): Promise<string> {
  const { ref } = await resolveRevision(context, name)
  if (ref?.startsWith("refs/heads/")) return ref
  // Of a tag and a branch of one name git takes the tag, and a tag does not move.
  throw usage(
    ref === undefined
      ? `${name} is not the name of one branch`
      : `${name} is ${ref}, which is no branch of this repository`,
    "end the range with a branch, or with nothing for the one you are on: A..BRANCH, A..",
  )
}

async function resolveBase(context: GitContext, from: string, branch: ResignBranch): Promise<string> {
  try {
    return (await readOneObject(context, `${from}^{commit}`)).id
  } catch (error) {
    const [, child] = /^(.+)\^1?$/.exec(from) ?? []
    if (child === undefined || (await tryResolve(context, `${child}^{commit}`)) === undefined) throw error
    throw usage(
      `${child} is the first commit, which has none before it`,
      `gitsign resign --root ${shellQuote(branch.label)}`,
    )
  }
}

/**
 * Refuses to move a branch that something else works on.
 *
 * @throws ERR_RESIGN when an operation is under way on it, or another worktree has it checked out
 */
export async function checkBranchIsFree(context: GitContext, ref: string): Promise<void> {
  const use = await findBranchUse(context, ref)
  if (use === undefined) return
  const where = use.worktree === undefined ? "here" : `in ${use.worktree}`
  if (use.kind === "checked out") {
    throw new GitsignError("ERR_RESIGN", `${labelOf(ref)} is checked out ${where}`, {
      hint: `run it there: cd ${shellQuote(use.worktree)}`,
    })
  }
  throw new GitsignError("ERR_RESIGN", `a ${use.operation} of ${labelOf(ref)} is under way ${where}`, {
    hint: `finish or abort it first; see: git ${use.worktree === undefined ? "" : `-C ${shellQuote(use.worktree)} `}status`,
  })
}
