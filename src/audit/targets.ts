/**
 * What an audit is asked about, and which commits that comes to.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { isShallow, tryResolve, walkCommits } from "../git/revisions.ts"
import { type GitContext, runGit } from "../git/run.ts"
import type { RuleSet } from "../policy/compile.ts"
import type { Mendable } from "./mend.ts"
import type { PolicyInForce } from "./policy-source.ts"
import { rulesOf } from "./rules.ts"

/** One thing that is asked about: objects that are named, or all commits between some. */
export interface AuditTarget {
  /** How it was asked for, for the report. */
  readonly name: string
  /** The full name of the ref whose rules count; undefined when none is known. */
  readonly ref: string | undefined
  /** Undefined where there is no branch that could be mended. */
  readonly mendable?: Mendable | undefined
  /** Object ids or revisions. */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  /** Whether everything that can be reached from `include` and not from `exclude` is meant, or only what is named. */
  readonly walk: boolean
  /** Whether it is a tag object that was named by its id: then its own name says whose rules count, and no branch. */
  readonly isTagObject?: boolean | undefined
  /** The policy that judges it; undefined where flags say whom to expect. */
  readonly policy: PolicyInForce | undefined
  /** Why there is no policy where one has to judge: the object is refused for that, if its signature is not bad already. */
  readonly noPolicy?: GitsignError | undefined
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
  const before = new Map<PolicyInForce, Beginning>()
  for (const target of targets) {
    const { policy } = target
    const beginning = (policy && before.get(policy)) ?? (await beginningOf(context, policy))
    if (policy !== undefined) before.set(policy, beginning)
    const found = target.walk
      ? await questionsOfWalk(context, target, beginning, notes)
      : await questionsOfNames(context, target, beginning)
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
  { parents: older }: Beginning,
  notes: Set<string>,
): Promise<(readonly [string, Question])[]> {
  const compiled = target.policy?.compiled
  const rules = compiled && rulesOf(compiled, "commit", target.ref)
  const exclude = [...target.exclude, ...older]
  const ids = await walkCommits(context, target.include, exclude)
  if (older.length > 0) {
    const left = (await walkCommits(context, target.include, target.exclude)).length - ids.length
    const what = `${left} commit${left === 1 ? "" : "s"} older than since: in ${target.policy?.source}`
    if (left > 0) notes.add(`${what} ${left === 1 ? "was" : "were"} not judged`)
  }
  const firstParent =
    rules !== undefined && compiled?.needs(rules).firstParent
      ? new Set(await walkCommits(context, target.include, exclude, { firstParent: true }))
      : undefined
  return ids.map((id) => [id, { target, rules, onFirstParent: firstParent?.has(id), isOlder: false }] as const)
}

async function questionsOfNames(
  context: GitContext,
  target: AuditTarget,
  beginning: Beginning,
): Promise<(readonly [string, Question])[]> {
  const found: (readonly [string, Question])[] = []
  for (const id of target.include) {
    const isOlder = await isOlderThan(context, beginning, id)
    found.push([id, { target, rules: undefined, onFirstParent: undefined, isOlder }])
  }
  return found
}

/** From where on a policy judges (`since:` with a commit). */
interface Beginning {
  /** The parents of that commit: they, and what is behind them, are older. */
  readonly parents: readonly string[]
  /** All that is older, once somebody has asked; one walk answers for thousands of tags. */
  older?: Promise<ReadonlySet<string>>
}

async function beginningOf(context: GitContext, policy: PolicyInForce | undefined): Promise<Beginning> {
  const since = policy?.compiled.policy.since
  if (since === undefined || !("commit" in since)) return { parents: [] }
  if ((await tryResolve(context, `${since.commit}^{commit}`)) === undefined) {
    // Where it begins is further back than this clone: everything here is judged.
    if (await isShallow(context)) return { parents: [] }
    throw new GitsignError(
      "ERR_POLICY",
      `since: in ${policy?.source} names ${since.commit}, which is no commit of this repository`,
      {
        hint: "name a commit of this repository there; in a shallow clone, fetch the rest with: git fetch --unshallow",
      },
    )
  }
  const { stdout } = await runGit(context, ["rev-parse", `${since.commit}^@`])
  return { parents: stdout.toString("latin1").split("\n").filter(Boolean) }
}

async function isOlderThan(context: GitContext, beginning: Beginning, id: string): Promise<boolean> {
  if (beginning.parents.length === 0) return false
  beginning.older ??= walkCommits(context, beginning.parents, []).then((ids) => new Set(ids))
  // A tag is as old as whoever makes it says, whatever it points to: an old commit under a new name is a new tag.
  return (await beginning.older).has(id)
}
