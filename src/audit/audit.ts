/**
 * Verifies many objects, and judges each by the policy of every ref that it was asked for.
 *
 * @module
 */

import { type GitsignError, isGitsignError } from "../errors.ts"
import { summarizeObject } from "../formats/object-summary.ts"
import type { Signer } from "../formats/signer.ts"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import { type CommitParents, changedPaths } from "../git/changed-paths.ts"
import { readEach } from "../git/objects.ts"
import { type Disguise, findDisguise } from "../git/replaced.ts"
import type { GitContext } from "../git/run.ts"
import type { VerificationSummary } from "../verify/summary.ts"
import type { Signed } from "../verify/verify.ts"
import { type ChangedPaths, Judge } from "./judge.ts"
import { findMend } from "./mend.ts"
import type { PolicyInForce } from "./policy-source.ts"
import { createChecker, jobsFor } from "./pool.ts"
import { readAndCheck } from "./read-and-check.ts"
import type { AuditedObject, AuditPolicy, AuditResult, AuditTotals } from "./result.ts"
import { rulesOf } from "./rules.ts"
import { type AuditTarget, findQuestions, type Question } from "./targets.ts"

/** What a signer is compared by. */
export type AuditSigner = Pick<Signer, "identity" | "identities" | "issuer" | "claims">

/** What an audit goes by. */
export interface AuditOptions {
  readonly trustedRoot: TrustedRoot
  /** Must allow, beside the policy that is in force or what flags say, what changes the policy itself. */
  readonly rootPolicy?: PolicyInForce | undefined
  /** Says why a signer is not the one asked for; used where a target has no policy. Without both, nothing is allowed. */
  readonly authorize?: ((signer: AuditSigner) => GitsignError | undefined) | undefined
  readonly anyIdentity?: boolean | undefined
  /** Accepts certificates that are not provably in a CT log, where no policy says what is asked of them. */
  readonly ignoreSct?: boolean | undefined
  /** Verifies a signature whose log entry is kept elsewhere. */
  readonly online?: ((signed: Signed, ignoreSct: boolean) => Promise<VerificationSummary>) | undefined
  /** Threads; by what pays when not given. */
  readonly jobs?: number | undefined
  /** What is not checked when it aborts counts as not checked, for the reason of the signal. */
  readonly signal?: AbortSignal | undefined
  readonly progress?: ((done: number, total: number) => void) | undefined
  /** Gets each result as soon as it and all before it are there. */
  readonly onObject?: ((object: AuditedObject, index: number) => void) | undefined
  /** What was asked for, as typed. */
  readonly asked?: readonly string[] | undefined
}

/**
 * Verifies everything that the targets mean and judges it. What is wrong with an object is in the result.
 *
 * @throws ERR_GIT, ERR_SHALLOW when a target names nothing or history is missing; ERR_POLICY as {@link findQuestions}
 */
export async function audit(
  context: GitContext,
  targets: readonly AuditTarget[],
  options: AuditOptions,
): Promise<AuditResult> {
  const { byId, notes } = await findQuestions(context, targets)
  const ids = [...byId.keys()]
  const disguise = await findDisguise(context)
  const judge = new Judge(context, options, byId, disguise, await pathsFor(context, byId, options, disguise))
  const checker = createChecker(options.trustedRoot, options.jobs ?? jobsFor(ids.length))
  const objects: AuditedObject[] = []
  try {
    const all = readAndCheck(context, ids, checker, options.signal)
    for await (const checked of ahead(all, (one) => judge.withLog(one))) {
      const object = await judge.judge(checked)
      objects.push(object)
      options.onObject?.(object, objects.length - 1)
      options.progress?.(objects.length, ids.length)
    }
  } finally {
    await checker.close()
  }
  return {
    asked: options.asked ?? targets.map(({ name }) => name),
    refs: [...new Set(targets.flatMap(({ ref, policy }) => (policy === undefined ? [] : (ref ?? []))))],
    policies: policiesOf(targets),
    anyIdentity: options.anyIdentity === true,
    objects,
    totals: totalsOf(objects),
    notes: [...notes, ...judge.notes()],
    mend: await findMend(context, targets, objects),
  }
}

/** How many log entries are searched for at a time: more would be a burden on the log. */
const SEARCHES = 8

/** Works on a few ahead of the one that is taken, and keeps the order. */
async function* ahead<T>(items: AsyncGenerator<T>, work: (item: T) => Promise<T>): AsyncGenerator<T> {
  const running: Promise<T>[] = []
  for await (const item of items) {
    const started = work(item)
    // Its failure is told where it is taken; until then it must not count as unhandled.
    started.catch(() => undefined)
    running.push(started)
    if (running.length >= SEARCHES) yield (await running.shift()) as T
  }
  for (const last of running) yield await last
}

const totalsOf = (objects: readonly AuditedObject[]): AuditTotals => {
  const count = (verdict: AuditedObject["verdict"]): number => objects.filter((one) => one.verdict === verdict).length
  return { ok: count("ok"), bad: count("bad"), unchecked: count("unchecked") }
}

function policiesOf(targets: readonly AuditTarget[]): AuditPolicy[] {
  const found = new Map<string, AuditPolicy>()
  for (const { policy } of targets) {
    if (policy !== undefined)
      found.set(`${policy.source}\0${policy.sha256}`, { source: policy.source, sha256: policy.sha256 })
  }
  return [...found.values()]
}

/** Asks git which paths the commits change, where a rule wants to know. */
async function pathsFor(
  context: GitContext,
  byId: ReadonlyMap<string, readonly Question[]>,
  { rootPolicy }: AuditOptions,
  { shallow }: Disguise,
): Promise<ChangedPaths> {
  const wanted: string[] = []
  for (const [id, questions] of byId) {
    const isWanted = questions.some(({ target, isOlder }) => {
      const compiled = target.policy?.compiled
      if (compiled === undefined) return rootPolicy !== undefined
      if (isOlder) return false
      return rootPolicy !== undefined || compiled.needs(rulesOf(compiled, "commit", target.ref)).paths
    })
    if (isWanted) wanted.push(id)
  }
  return changedPaths(context, await parentsOf(context, wanted, shallow))
}

/**
 * The parents of commits, as they stand in them; what is no commit, or cannot be read, is left out. Not from git rev-list, which keeps
 * every commit in memory that it has read, and some are made to be large.
 */
async function parentsOf(
  context: GitContext,
  ids: readonly string[],
  shallow: ReadonlySet<string>,
): Promise<CommitParents[]> {
  const found: CommitParents[] = []
  for await (const object of readEach(context, ids)) {
    if (isGitsignError(object) || object.type !== "commit") continue
    const { id, raw } = object
    found.push({ id, parents: shallow.has(id) ? [] : summarizeObject(raw).parents, bytes: raw.length })
  }
  return found
}
