/**
 * The verifier's own policy (gitsign.rootPolicy), which says who may change the one in the repository.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../errors.ts"
import type { GitContext } from "../git/run.ts"
import type { ProvenSigner } from "../policy/facts.ts"
import { pathGlob } from "../policy/glob.ts"
import { POLICY_PATHS } from "./policy-place.ts"
import { type PolicyInForce, readPoliciesAt } from "./policy-source.ts"
import type { Problem } from "./result.ts"
import { asksForBranch, rulesOf } from "./rules.ts"

/** What is known of a commit before its signer is looked at. */
export type JudgedFacts = Parameters<PolicyInForce["compiled"]["exemption"]>[0]

/** Where policies and what they name lie: each folder, with everything below it. */
const FOLDERS = POLICY_PATHS.map((path) => path.slice(0, path.indexOf("/")))

/**
 * Whether a commit changes a policy, or a file that it names. Paths are compared as disks do: `.Gitsign/policy.yaml` lies in the place of
 * the policy where upper and lower case are the same. What is not known counts as changed.
 *
 * @param own the paths of the policy that is in force
 */
export function changesPolicy(paths: readonly string[] | undefined, own: readonly string[]): boolean {
  return paths === undefined || touches(paths, [...POLICY_PATHS, ...own])
}

function touches(paths: readonly string[], files: readonly string[]): boolean {
  const globs = files.map((path) => pathGlob(path.replace(/[*?\\[\]{}]/g, "\\$&")))
  return paths.some((path) => globs.some((isMeant) => isMeant(path)))
}

/** A change of the policy that is refused, told as what it is. */
export const policyChange = (message: string): Problem => {
  const { code, hint } = new GitsignError("ERR_POLICY_CHANGE", "")
  return { code, message: `changes the policy, and is ${message}`, hint }
}

/** Why the verifier's own policy refuses a change of the policy; undefined when it does not. */
export function rootRefusal(
  { compiled }: PolicyInForce,
  facts: JudgedFacts,
  ref: string | undefined,
  proven: ProvenSigner,
): Problem | undefined {
  const { refusal } = compiled.judge(facts, rulesOf(compiled, "commit", ref), proven)
  return refusal === undefined ? undefined : policyChange(refusal.message)
}

/**
 * The same where flags say whom to expect, so that no policy of the repository is in force: the files of those that are in the commit and in
 * its parents count.
 *
 * @returns ERR_POLICY_CHANGE; ERR_REF_REQUIRED where the root policy has rules for branches and the branch is not known
 * @throws ERR_GIT when git cannot be run
 */
export async function rootRefusalByFlags(
  context: GitContext,
  root: PolicyInForce,
  facts: JudgedFacts,
  ref: string | undefined,
  proven: ProvenSigner,
): Promise<Problem | undefined> {
  const { paths } = facts
  if (facts.type !== "commit" || (paths !== undefined && !touches(paths, FOLDERS))) return undefined
  if (!changesPolicy(paths, await policyFiles(context, [facts.id, ...facts.parents]))) return undefined
  if (root.compiled.exemption(facts, false, rulesOf(root.compiled, "commit", ref)) !== undefined) return undefined
  if (ref === undefined && asksForBranch(root.compiled)) {
    const message = `it changes the policy, and ${root.source} has rules for branches: nothing says to which one it belongs`
    const { code, hint } = new GitsignError("ERR_REF_REQUIRED", message)
    return { code, message, hint }
  }
  return rootRefusal(root, facts, ref, proven)
}

/** The paths of the policies in some commits, with the files that they name; the whole folders where one of them cannot be read. */
async function policyFiles(context: GitContext, commits: readonly string[]): Promise<readonly string[]> {
  const found = await readPoliciesAt(
    context,
    commits.map((commit) => ({ commit })),
  )
  return found.flatMap((policy) => (isGitsignError(policy) ? FOLDERS : (policy?.paths ?? [])))
}
