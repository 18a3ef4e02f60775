/**
 * Which commits `gitsign resign` is asked about, and which branch they are on (gitrevisions(7), `A..B`).
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../errors.ts"
import type { ObjectFormat } from "../formats/git-object.ts"
import { summarizeObject } from "../formats/object-summary.ts"
import { shellQuote } from "../formats/printable.ts"
import { readOneObject } from "../git/objects.ts"
import { currentBranch, isShallow, resolveCommit, resolveRevision, tryResolve, walkCommits } from "../git/revisions.ts"
import type { GitContext } from "../git/run.ts"
import { findBranchUse } from "../git/worktrees.ts"
import { fullRef } from "./ref-option.ts"
import { checkRepository } from "./repository.ts"
import { branchesWith, childOf } from "./resign-child.ts"

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
  /** All commits whose history stays: the base, and what the command excepts beside it. */
  readonly exclude: readonly string[]
  /** The left side of the range as it was asked for; undefined: the history begins at its beginning. */
  readonly from: string | undefined
  /** The range as git takes it, for messages. */
  readonly asked: string
  /** The full name of the branch whose rules count; undefined: it is not known. */
  readonly judgedAs: string | undefined
}

/** What a command says beside its range. */
export interface TargetOptions {
  /** Whether it is about a whole history; then the range is a branch. */
  readonly root: boolean
  /** The branch whose rules count, where that is another one. */
  readonly ref: string | undefined
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
 * @param except revisions behind a `^`, whose histories stay as well
 * @throws ERR_USAGE for what is no range, for a range that does not end at a branch, and for a name that names nothing; ERR_SHALLOW when
 * what it names is not in this shallow clone; what `resolveBranch` throws
 */
export async function resolveTarget(
  context: GitContext,
  range: string | undefined,
  except: readonly string[],
  { root, ref }: TargetOptions,
): Promise<ResignTarget> {
  if (root) {
    if (range?.includes(".."))
      throw usage("--root begins at the first commit", "name a branch: gitsign resign --root B")
    const branch = await resolveBranch(context, range ?? "HEAD")
    const exclude = await resolveExcepted(context, except)
    const asked = [branch.label, ...except].join(" ")
    return { ...branch, base: undefined, exclude, from: undefined, asked, judgedAs: judgedAs(ref, branch) }
  }
  const { from, to } = parseRange(range)
  const branch = await resolveBranch(context, to)
  const base = await resolveBase(context, from, branch)
  const exclude = [base, ...(await resolveExcepted(context, except))]
  const asked = [`${from}..${branch.label}`, ...except].join(" ")
  return { ...branch, base, exclude, from, asked, judgedAs: judgedAs(ref, branch) }
}

function judgedAs(ref: string | undefined, branch: ResignBranch): string | undefined {
  if (ref !== undefined) return fullRef(ref)
  return branch.ref === "HEAD" ? undefined : branch.ref
}

async function resolveExcepted(context: GitContext, except: readonly string[]): Promise<string[]> {
  const ids: string[] = []
  for (const word of except) {
    if (!word.startsWith("^")) {
      throw usage(`${word} is a second range`, `to leave out what it has as well, write: ${shellQuote(`^${word}`)}`)
    }
    ids.push((await resolveCommit(context, word.slice(1), "ERR_USAGE")).id)
  }
  return ids
}

/**
 * The error for a range without a commit; its hint names the branch that is checked out, where that has some.
 *
 * @param withRange the same command for another range; undefined stands for all that the branch has
 */
export async function emptyRange(
  context: GitContext,
  target: ResignTarget,
  withRange: (range: string | undefined, label: string) => string,
): Promise<GitsignError> {
  const message = `there are no commits in ${target.asked}`
  const current = await resolveBranch(context, "HEAD").catch(() => undefined)
  const found =
    current === undefined || current.ref === target.ref ? [] : await walkCommits(context, [current.tip], target.exclude)
  if (current === undefined || found.length === 0) {
    return usage(message, "name the commit before the first one to sign, and the branch that has them: A..BRANCH")
  }
  const has = `${current.label}, where you are, has ${found.length === 1 ? "one" : found.length}`
  const range = target.from === undefined ? undefined : `${target.from}..${current.label}`
  return usage(message, `${has}: ${withRange(range, current.label)}`)
}

/**
 * The branch that a name stands for.
 *
 * @throws ERR_USAGE when it is no branch of this repository, and outside of one; ERR_GIT when it has no commits, or when the name is that
 * of more than one thing; what `checkName` throws
 */
export async function resolveBranch(context: GitContext, name: string): Promise<ResignBranch> {
  await checkRepository(context)
  const ref =
    name === "HEAD" || name === "@" ? ((await currentBranch(context)) ?? "HEAD") : await namedBranch(context, name)
  checkName(ref)
  const tip = await tryResolve(context, `${ref}^{commit}`)
  if (tip === undefined) throw new GitsignError("ERR_GIT", `${ref} has no commits`, { hint: "see: git status" })
  return { ref, label: labelOf(ref), tip, objectFormat: tip.length === 40 ? "sha1" : "sha256" }
}

/**
 * Refuses a branch whose name was no UTF-8 when it was read: what has become of it may be the name of another branch.
 *
 * @throws ERR_RESIGN
 */
export function checkName(ref: string): void {
  if (!ref.includes("\ufffd")) return
  throw new GitsignError("ERR_RESIGN", `the name of the branch ${labelOf(ref)} is not UTF-8, which it has to be here`, {
    hint: "give it another name: git switch to it, and then: git branch -m NEW-NAME",
  })
}

/** What people call a ref: a branch without `refs/heads/`. */
export const labelOf = (ref: string): string => ref.replace(/^refs\/heads\//, "")

async function namedBranch(context: GitContext, name: string): Promise<string> {
  checkName(name)
  const { ref } = await resolveRevision(context, name, "ERR_USAGE")
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
    return (await resolveCommit(context, from, "ERR_USAGE")).id
  } catch (error) {
    if (isGitsignError(error)) throw await explainBase(context, from, branch, error)
    throw error
  }
}

/** Why there is nothing where a range begins. */
async function explainBase(
  context: GitContext,
  from: string,
  branch: ResignBranch,
  error: GitsignError,
): Promise<GitsignError> {
  if (/@\{(u|upstream|push)\}/i.test(from)) {
    return usage(
      `${from} stands for nothing here: no upstream is configured, or it was not fetched`,
      "fetch it, set one with: git branch --set-upstream-to=REMOTE/BRANCH, or name what others have: A..",
    )
  }
  const child = childOf(from)
  const found =
    child === undefined ? undefined : await readOneObject(context, `${child}^{commit}`).catch(() => undefined)
  const isFirst = found !== undefined && summarizeObject(found.raw).parents.length === 0
  if (isFirst) {
    const [name = "BRANCH"] = await branchesWith(context, found.id, branch)
    return usage(`${child} is the first commit, which has none before it`, `gitsign resign --root ${shellQuote(name)}`)
  }
  if (!(await isShallow(context))) return error
  return new GitsignError("ERR_SHALLOW", `${from} is not in this shallow clone, which ends before it`, {
    hint: "fetch more of the history with: git fetch --deepen=100, or all of it with: git fetch --unshallow",
  })
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
