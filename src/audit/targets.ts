/**
 * What an audit is asked about, and which commits that comes to.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { tryResolve, walkCommits } from "../git/revisions.ts"
import { type GitContext, runGit } from "../git/run.ts"
import type { RuleSet } from "../policy/compile.ts"
import type { PolicyInForce } from "./policy-source.ts"

/** One thing that is asked about: objects that are named, or all commits between some. */
export interface AuditTarget {
  /** How it was asked for, for the report. */
  readonly name: string
  /** The full name of the ref whose rules count; undefined when none is known. */
  readonly ref: string | undefined
  /** Object ids or revisions. */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  /** Whether everything that can be reached from `include` and not from `exclude` is meant, or only what is named. */
  readonly walk: boolean
  /** The policy that judges it; undefined where flags say whom to expect. */
  readonly policy: PolicyInForce | undefined
  /** Whether the objects are new here: then a date in them exempts them from nothing. */
  readonly fresh: boolean
}

/** One object in one target. */
export interface Question {
  readonly target: AuditTarget
  /** Undefined without a policy, and where it takes the object to know: a tag has other rules than a commit. */
  readonly rules: RuleSet | undefined
  /** Undefined where it does not matter. */
  readonly onFirstParent: boolean | undefined
  /** Whether it is older than the commit from which on the policy judges. */
  readonly isOlder: boolean
}

/** All objects of an audit in order, each with what is asked about it. */
export interface Questions {
  readonly byId: ReadonlyMap<string, readonly Question[]>
  readonly notes: readonly string[]
}

/**
 * Finds the objects that the targets mean.
 *
 * @throws ERR_GIT, ERR_SHALLOW when one of them names nothing; ERR_POLICY when `since:` names a commit that is not there
 */
export async function findQuestions(context: GitContext, targets: readonly AuditTarget[]): Promise<Questions> {
  const byId = new Map<string, Question[]>()
  const notes = new Set<string>()
  for (const target of targets) {
    const found = target.walk ? await questionsOfWalk(context, target, notes) : await questionsOfNames(context, target)
    for (const [id, question] of found) {
      const already = byId.get(id)
      if (already === undefined) byId.set(id, [question])
      else already.push(question)
    }
  }
  return { byId, notes: [...notes] }
}

async function questionsOfWalk(
  context: GitContext,
  target: AuditTarget,
  notes: Set<string>,
): Promise<(readonly [string, Question])[]> {
  const compiled = target.policy?.compiled
  const rules = compiled?.rulesFor("commit", target.ref)
  const older = await olderThanPolicy(context, target)
  if (older.length > 0) notes.add(`what is older than ${target.policy?.source} begins with (since) was not judged`)
  const exclude = [...target.exclude, ...older]
  const ids = await walkCommits(context, target.include, exclude)
  const firstParent =
    rules !== undefined && compiled?.needs(rules).firstParent
      ? new Set(await walkCommits(context, target.include, exclude, { firstParent: true }))
      : undefined
  return ids.map((id) => [id, { target, rules, onFirstParent: firstParent?.has(id), isOlder: false }] as const)
}

async function questionsOfNames(context: GitContext, target: AuditTarget): Promise<(readonly [string, Question])[]> {
  const found: (readonly [string, Question])[] = []
  const older = await olderThanPolicy(context, target)
  for (const id of target.include) {
    const isOlder = older.length > 0 && (await isReachable(context, `${id}^{commit}`, older))
    found.push([id, { target, rules: undefined, onFirstParent: undefined, isOlder }])
  }
  return found
}

/** The parents of the commit with which the policy begins: they, and what is behind them, are older. */
async function olderThanPolicy(context: GitContext, { policy }: AuditTarget): Promise<string[]> {
  const since = policy?.compiled.policy.since
  if (since === undefined || !("commit" in since)) return []
  if ((await tryResolve(context, `${since.commit}^{commit}`)) === undefined) {
    throw new GitsignError(
      "ERR_POLICY",
      `since: in ${policy?.source} names ${since.commit}, which is no commit of this repository`,
      {
        hint: "name a commit of this repository there; in a shallow clone, fetch the rest with: git fetch --unshallow",
      },
    )
  }
  const { stdout } = await runGit(context, ["rev-parse", `${since.commit}^@`])
  return stdout.toString("latin1").split("\n").filter(Boolean)
}

async function isReachable(context: GitContext, id: string, from: readonly string[]): Promise<boolean> {
  for (const tip of from) {
    const { status } = await runGit(context, ["merge-base", "--is-ancestor", id, tip])
    if (status === 0) return true
  }
  return false
}
