/**
 * Which commits are not in order, by the policy that `gitsign verify` would go by.
 *
 * @module
 */

import { audit } from "../audit/audit.ts"
import { type PolicyInForce, readPolicyAt } from "../audit/policy-source.ts"
import type { AuditedObject, Problem } from "../audit/result.ts"
import type { Config } from "../config.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import { auditOptionsOf, configuredPolicy } from "./audit-options.ts"
import type { CommandIo } from "./io.ts"
import { startProgress } from "./progress.ts"
import type { Resigned } from "./resign-run.ts"
import type { ResignTarget } from "./resign-target.ts"

/**
 * What is wrong with the commits of a range, by id; the others are in order. Without a policy every verified signature is, whoever
 * made it.
 *
 * @throws whatever keeps a commit from being checked, with a hint at `--all`; ERR_POLICY and its kin when there is a policy that
 * cannot be read
 */
export async function findProblems(
  io: CommandIo,
  config: Config,
  target: ResignTarget,
  policy: PolicyInForce | undefined,
): Promise<ReadonlyMap<string, Problem>> {
  const objects = await auditUpTo(target.tip, io, config, target, policy)
  const problems = new Map<string, Problem>()
  for (const { id, verdict, problem } of objects) {
    if (verdict === "ok" || problem === undefined) continue
    if (verdict === "unchecked") {
      throw new GitsignError(problem.code, `whether ${id.slice(0, 12)} is in order is not known: ${problem.message}`, {
        hint: "try again, or sign every commit without looking, with: --all",
      })
    }
    problems.set(id, problem)
  }
  return problems
}

/**
 * What the policy says against the signer of the new commits, in a sentence; undefined when it accepts them, or there is none. It is not
 * known before they are signed, and not an error then: what was asked for was done.
 */
export async function refusalOfNew(
  io: CommandIo,
  config: Config,
  target: ResignTarget,
  policy: PolicyInForce | undefined,
  { rewritten }: Pick<Resigned, "rewritten">,
): Promise<string | undefined> {
  const tip = rewritten.get(target.tip)
  if (policy === undefined || tip === undefined) return undefined
  const made = new Set(rewritten.values())
  try {
    const objects = await auditUpTo(tip, io, config, target, policy)
    const refused = objects.filter(({ id, notAllowed }) => notAllowed && made.has(id))
    const problem = refused.at(-1)?.problem
    if (problem === undefined) return undefined
    const which = made.size === 1 ? "the new commit" : `${refused.length} of the ${made.size} new commits`
    return `${which} would be refused by ${policy.source}: ${problem.message} [${problem.code}]`
  } catch (error) {
    if (!isGitsignError(error)) throw error
    return `whether ${policy.source} accepts the new commits is not known: ${error.message} [${error.code}]`
  }
}

async function auditUpTo(
  tip: string,
  io: CommandIo,
  config: Config,
  target: ResignTarget,
  policy: PolicyInForce | undefined,
): Promise<readonly AuditedObject[]> {
  const by = { ...(await auditOptionsOf(io, config)), anyIdentity: policy === undefined }
  // Fresh: as a server sees them to which they are pushed.
  const asked = {
    name: target.asked,
    ref: target.judgedAs,
    include: [tip],
    exclude: target.exclude,
    walk: true,
    policy,
    fresh: true,
  }
  const progress = startProgress("verifying")
  const { objects } = await audit(io, [asked], { ...by, progress: progress.show }).finally(progress.end)
  return objects
}

/**
 * The policy from before the change; of a whole history, which has no before, its last one.
 *
 * @throws ERR_POLICY and its kin when there is one that cannot be read
 */
export const policyFor = async (
  io: CommandIo,
  config: Config,
  { base, tip, label }: ResignTarget,
): Promise<PolicyInForce | undefined> =>
  (await configuredPolicy(io, config)) ?? (base === undefined ? readPolicyAt(io, tip, label) : readPolicyAt(io, base))
