/**
 * Which commits are not in order, by the policy that `gitsign verify` would go by.
 *
 * @module
 */

import { audit } from "../audit/audit.ts"
import { type PolicyInForce, readPolicyAt } from "../audit/policy-source.ts"
import type { Problem } from "../audit/result.ts"
import type { Config } from "../config.ts"
import { GitsignError } from "../errors.ts"
import { auditOptionsOf, configuredPolicy } from "./audit-options.ts"
import type { CommandIo } from "./io.ts"
import { startProgress } from "./progress.ts"
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
): Promise<ReadonlyMap<string, Problem>> {
  const policy = await policyFor(io, config, target)
  const progress = startProgress("verifying")
  const { objects } = await audit(
    io,
    [
      {
        name: target.asked,
        ref: target.ref === "HEAD" ? undefined : target.ref,
        include: [target.tip],
        exclude: target.base === undefined ? [] : [target.base],
        walk: true,
        policy,
        // As a server sees them to which they are pushed.
        fresh: true,
      },
    ],
    { ...(await auditOptionsOf(io, config)), anyIdentity: policy === undefined, progress: progress.show },
  ).finally(progress.end)
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

/** The policy from before the change; of a whole history, which has no before, its last one. */
const policyFor = async (
  io: CommandIo,
  config: Config,
  { base, tip, label }: ResignTarget,
): Promise<PolicyInForce | undefined> =>
  (await configuredPolicy(io, config)) ?? (base === undefined ? readPolicyAt(io, tip, label) : readPolicyAt(io, base))
