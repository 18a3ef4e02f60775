/**
 * Which policy judges what `gitsign verify` is asked about: the one from before the change (docs/policy.md).
 *
 * @module
 */

import { type PolicyInForce, readPoliciesAt, readPolicyAt } from "../audit/policy-source.ts"
import type { AuditTarget } from "../audit/targets.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import { summarizeObject } from "../formats/object-summary.ts"
import { lookUp } from "../git/look-up.ts"
import { type GitObject, readOneObject } from "../git/objects.ts"
import { isShallow, tryResolve } from "../git/revisions.ts"
import type { CommandIo } from "./io.ts"

/** What holds the policy from before a change: a commit and what it was called, the first parent of one, or nothing, and why. */
export type Before =
  | { readonly commit: string; readonly name?: string | undefined }
  | { readonly parentOf: string }
  | { readonly error: GitsignError }

/** A target before it has a policy. */
export interface OpenTarget extends Omit<AuditTarget, "policy" | "noPolicy"> {
  /** All of them count: whoever could choose one would choose who may sign. None where there is no before. */
  readonly befores: readonly Before[]
}

/** Gives every target the one policy that was named. */
export const withOnePolicy = (targets: readonly OpenTarget[], policy: PolicyInForce | undefined): AuditTarget[] =>
  targets.map(({ befores: _, ...target }) => ({ ...target, policy }))

/**
 * Gives every target the policies from before its change: a target for each. An object that was named, and has none, is a target that
 * says so; where no object has one, nothing can be judged.
 *
 * @throws ERR_POLICY_MISSING where there is none, or no before; ERR_SHALLOW where it is not in this clone; whatever else is wrong with one
 */
export async function withPoliciesBefore(io: CommandIo, targets: readonly OpenTarget[]): Promise<AuditTarget[]> {
  for (const { befores, name } of targets) {
    if (befores.length > 0) continue
    throw new GitsignError(
      "ERR_POLICY_MISSING",
      `${name} is a whole history, which has no before that a policy could come from`,
      { hint: "say which one counts: --policy-ref HEAD, or --policy FILE; or begin somewhere: --since-commit COMMIT" },
    )
  }
  const policies = await readBefores(
    io,
    targets.flatMap(({ befores }) => befores),
    hintWithoutPolicy(io),
  )
  const judged: AuditTarget[] = []
  let next = 0
  for (const { befores, ...target } of targets) {
    // Equal policies are one and the same object.
    const own = new Set(policies.slice(next, next + befores.length))
    next += befores.length
    for (const policy of own) {
      if (!isGitsignError(policy)) judged.push({ ...target, policy })
      else if (target.walk) throw policy
      else judged.push({ ...target, policy: undefined, noPolicy: policy })
    }
  }
  const [first] = judged
  if (first?.noPolicy !== undefined && judged.every(({ noPolicy }) => noPolicy !== undefined)) throw first.noPolicy
  return judged
}

/** Reads the policies, in the order of what holds them; why there is none, in its place. */
async function readBefores(
  io: CommandIo,
  befores: readonly Before[],
  hint: () => Promise<string>,
): Promise<readonly (PolicyInForce | GitsignError)[]> {
  const children = befores.flatMap((before) => ("parentOf" in before ? [before.parentOf] : []))
  const parents = await lookUp(
    io,
    children.map((id) => `${id}^`),
  )
  const parentOf = new Map(children.map((id, index) => [id, parents[index]?.id]))
  const places: ({ readonly commit: string; readonly label: string } | GitsignError)[] = []
  for (const before of befores) {
    if ("error" in before) places.push(before.error)
    else if ("commit" in before) places.push({ commit: before.commit, label: before.name ?? labelOf(before.commit) })
    else {
      const commit = parentOf.get(before.parentOf)
      const label = `${labelOf(before.parentOf)}^`
      places.push(commit === undefined ? await noParent(io, before.parentOf, hint) : { commit, label })
    }
  }
  // Thousands of tags are judged by one HEAD.
  const asked = new Map(places.flatMap((place) => (isGitsignError(place) ? [] : [[place.commit, place] as const])))
  const read = await readPoliciesAt(io, [...asked.values()])
  const found = new Map([...asked.keys()].map((commit, index) => [commit, read[index]]))
  const missing = read.includes(undefined) ? await hint() : ""
  return places.map((place) =>
    isGitsignError(place) ? place : (found.get(place.commit) ?? noPolicy(place.label, missing)),
  )
}

const noPolicy = (where: string, hint: string): GitsignError =>
  new GitsignError("ERR_POLICY_MISSING", `nobody has said whom to expect: there is no policy in ${where}`, { hint })

/** What to do without a policy; looked for once, and only when somebody has to be told. */
function hintWithoutPolicy(io: CommandIo): () => Promise<string> {
  let hint: Promise<string> | undefined
  return () => {
    hint ??= hintOf(io)
    return hint
  }
}

async function hintOf(io: CommandIo): Promise<string> {
  const now = await readPolicyAt(io, "HEAD").catch(() => undefined)
  const propose = "propose one with: gitsign policy init"
  return `${now === undefined ? propose : "go by the one in HEAD with: --policy-ref HEAD"}; or say whom to expect with --certificate-identity and --certificate-oidc-issuer`
}

/** Why a commit has no parent here. */
async function noParent(io: CommandIo, id: string, hint: () => Promise<string>): Promise<GitsignError> {
  let object: GitObject
  try {
    object = await readOneObject(io, id)
  } catch (error) {
    if (isGitsignError(error)) return error
    throw error
  }
  const [parent] = summarizeObject(object.raw).parents
  if (parent === undefined) {
    return new GitsignError(
      "ERR_POLICY_MISSING",
      `${labelOf(id)} is a first commit, which has no before that a policy could come from`,
      { hint: await hint() },
    )
  }
  if (await isShallow(io)) {
    return new GitsignError(
      "ERR_SHALLOW",
      `this shallow clone ends at ${labelOf(id)}, and the policy that judges it is in its parent, ${labelOf(parent)}`,
      { hint: "fetch the parent with: git fetch --deepen 1; or say which policy counts, such as: --policy-ref HEAD" },
    )
  }
  return new GitsignError("ERR_GIT", `the parent ${labelOf(parent)} of ${labelOf(id)} is not in this repository`)
}

/**
 * The policy from before a single object; undefined where there is none: a first commit has no before.
 *
 * @throws ERR_SHALLOW where the clone ends at it, and it has a policy; whatever is wrong with the policy
 */
export async function policyBefore(
  io: CommandIo,
  { befores: [before] }: OpenTarget,
): Promise<PolicyInForce | undefined> {
  if (before === undefined) return undefined
  if ("commit" in before && (await tryResolve(io, `${before.commit}^{commit}`)) === undefined) return undefined
  const [policy] = await readBefores(io, [before], async () => "")
  if (!isGitsignError(policy)) return policy
  if (policy.code === "ERR_POLICY_MISSING") return undefined
  if (!("parentOf" in before) || policy.code !== "ERR_SHALLOW") throw policy
  // Where there is no policy, the question is another one.
  const [here] = await readPoliciesAt(io, [{ commit: before.parentOf }])
  if (here === undefined || (isGitsignError(here) && here.code === "ERR_GIT")) return undefined
  throw policy
}

/**
 * Makes sure that what a change brings in leaves a policy that can be used: the next change will be judged by it.
 *
 * @throws what is wrong with the policy in it; ERR_POLICY_MISSING when the change takes it away
 */
export async function checkPoliciesAfter(io: CommandIo, targets: readonly AuditTarget[]): Promise<void> {
  // Only where the policy of the repository counts, and a branch is what is asked about.
  const changes = targets.filter(({ policy, walk }) => walk && policy !== undefined && policy.paths.length > 0)
  const tips = [...new Set(changes.flatMap(({ include }) => include))]
  for (const after of await readPoliciesAt(
    io,
    tips.map((commit) => ({ commit, label: labelOf(commit) })),
  )) {
    if (isGitsignError(after)) throw after
    if (after !== undefined) continue
    throw new GitsignError(
      "ERR_POLICY_MISSING",
      "everything is signed as it should be, but the change takes the policy away",
      {
        hint: "leave .gitsign/policy.yaml there, or name another policy with gitsign.policy",
      },
    )
  }
}

/** A whole id is too long to be read. */
const labelOf = (commit: string): string => commit.replace(/^([0-9a-f]{12})[0-9a-f]+/, "$1")
