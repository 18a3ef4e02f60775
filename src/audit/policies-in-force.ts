/**
 * Which policy judges what is pushed to which ref, where none is configured; docs/hooks.md says it in words.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../errors.ts"
import { type FoundObject, lookUp } from "../git/look-up.ts"
import type { RefUpdate } from "../git/ref-updates.ts"
import { feedGit, mergeBases } from "../git/revisions.ts"
import type { GitContext } from "../git/run.ts"
import { POLICY_PATHS } from "./policy-place.ts"
import { type PolicyInForce, readPoliciesAt } from "./policy-source.ts"
import type { RefRefusal } from "./receive-plan.ts"
import type { Problem } from "./result.ts"

/** The policy as it lies in a commit, not read yet. */
interface PolicyVersion {
  /** Equal when the policy's own text is; "" when there is none. */
  readonly text: string
  /** Equal when the files beside it are too. */
  readonly folder: string
}

/** A branch as it is before the push. */
interface BranchTip {
  readonly ref: string
  readonly id: string
}

/** The policy of a ref, the reason why it cannot be used, or undefined where there is none. */
type PolicyOrReason = PolicyInForce | GitsignError | undefined

/**
 * The policies in force, by ref: of the default branch for whatever is no branch yet; of a branch its own only if the default branch
 * has never had that text. Whoever makes a branch at an old commit, or sets one back, would else bring back a policy that the
 * default branch has given up, and with it signers that are trusted no more.
 *
 * @param head the commit of the default branch, and its name for messages; undefined where it has none
 * @throws ERR_GIT when git cannot be run or history is missing
 */
export async function policiesInForce(
  context: GitContext,
  head: { readonly id: string; readonly name: string } | undefined,
  branches: readonly BranchTip[],
): Promise<(ref: string) => PolicyOrReason> {
  const tips = branches.filter(({ id }) => id !== head?.id)
  const [current, ...versions] = await policyVersions(context, [
    ...(head ? [head.id] : []),
    ...tips.map(({ id }) => id),
  ])
  const ofHead = head === undefined ? NO_POLICY : (current ?? NO_POLICY)
  const ofTips = head === undefined ? [current ?? NO_POLICY, ...versions] : versions
  const others = tips.flatMap((tip, index) => {
    const version = ofTips[index] ?? NO_POLICY
    return version.text === "" || version.text === ofHead.text ? [] : [{ ...tip, version }]
  })
  const given = head !== undefined && others.length > 0 ? await textsIn(context, head.id) : new Set<string>()
  const own = others.filter(({ version }) => !given.has(version.text))
  const asked = [
    ...(head === undefined ? [] : [{ commit: head.id, label: head.name }]),
    ...own.map(({ id, ref }) => ({ commit: id, label: ref.replace(/^refs\/heads\//, "") })),
  ]
  const read = await readPoliciesAt(context, asked)
  const general = head === undefined ? undefined : read[0]
  const byRef = new Map(own.map(({ ref }, index) => [ref, read[index + (head === undefined ? 0 : 1)]]))
  return (ref) => byRef.get(ref) ?? general
}

const NO_POLICY: PolicyVersion = { text: "", folder: "" }

/** What lies at the places of a policy in some commits, in their order, from one git process. */
async function policyVersions(context: GitContext, commits: readonly string[]): Promise<PolicyVersion[]> {
  // Thousands of refs often point to few commits.
  const distinct = [...new Set(commits)]
  const places = POLICY_PATHS.flatMap((path) => [path, path.slice(0, path.indexOf("/"))])
  const found = await lookUp(
    context,
    distinct.flatMap((id) => places.map((path) => `${id}:${path}`)),
  )
  const versions = new Map(
    distinct.map((id, index) => [id, versionOf(found.slice(index * places.length, (index + 1) * places.length))]),
  )
  return commits.map((id) => versions.get(id) ?? NO_POLICY)
}

/** The first place where there is a policy counts, and no other. */
function versionOf(here: readonly (FoundObject | undefined)[]): PolicyVersion {
  for (let place = 0; place < here.length; place += 2) {
    const [text, folder] = [here[place], here[place + 1]]
    if (text !== undefined) return { text: `${place} ${text.id}`, folder: `${place} ${folder?.id ?? ""}` }
  }
  return NO_POLICY
}

/** The texts of all policies in the history of a commit. Every parent of a merge is followed: a text counts wherever it was. */
async function textsIn(context: GitContext, commit: string): Promise<Set<string>> {
  const args = ["-c", "core.commitGraph=false", "rev-list", "--full-history", "--stdin"]
  const input = `${commit}\n--\n${POLICY_PATHS.join("\n")}\n`
  const { status, stdout, stderr } = await feedGit(context, args, input)
  if (status !== 0) throw new GitsignError("ERR_GIT", `cannot find the policies of the default branch: ${stderr}`)
  const commits = stdout.toString("latin1").split("\n").filter(Boolean)
  const versions = await policyVersions(context, commits)
  return new Set(versions.map(({ text }) => text))
}

/**
 * The branches that a push would leave with a policy that cannot be used, or with none, or with one that has been given up. A policy
 * that nobody can read would refuse every push from then on, also the one that mends it. Setting the default branch back would put a
 * former policy in force again, for which nobody has signed now.
 *
 * @param head the default branch before the push: its full name and commit; undefined where it has none
 * @throws ERR_GIT when git cannot be run or history is missing
 */
export async function policyRefusals(
  context: GitContext,
  head: { readonly id: string; readonly ref: string | undefined } | undefined,
  updates: readonly RefUpdate[],
): Promise<RefRefusal[]> {
  const changed = updates.flatMap(({ ref, before, after }) =>
    after === undefined || !ref.startsWith("refs/heads/") ? [] : [{ ref, after, before: before ?? head?.id }],
  )
  const afterwards = await policyVersions(
    context,
    changed.map(({ after }) => after),
  )
  const beforehand = await policyVersions(
    context,
    changed.map(({ before, after }) => before ?? after),
  )
  const refusals: RefRefusal[] = []
  const fresh: { ref: string; after: string }[] = []
  for (const [index, { ref, before, after }] of changed.entries()) {
    const [was, is] = [beforehand[index] ?? NO_POLICY, afterwards[index] ?? NO_POLICY]
    if (ref === head?.ref && was.text !== is.text && before !== undefined) {
      const problem = is.text === "" ? leftWithout(ref) : await setBack(context, ref, is, before, after)
      if (problem !== undefined) {
        refusals.push({ ref, problem })
        continue
      }
    }
    const isNew = before === undefined || was.text !== is.text || was.folder !== is.folder
    if (is.text !== "" && isNew) fresh.push({ ref, after })
  }
  const asked = fresh.map(({ ref, after }) => ({ commit: after, label: ref.replace(/^refs\/heads\//, "") }))
  for (const [index, found] of (await readPoliciesAt(context, asked)).entries()) {
    const ref = fresh[index]?.ref
    if (ref === undefined || !isGitsignError(found)) continue
    const { code, message, hint } = found
    refusals.push({ ref, problem: { code, message: `the pushed policy cannot be used: ${message}`, hint } })
  }
  return refusals
}

const leftWithout = (ref: string): Problem => ({
  code: "ERR_POLICY_MISSING",
  message: `this push takes the policy away from ${ref}, and without one every push is refused`,
  hint: "keep a policy there, or have whoever runs the repository name one in gitsign.policy first",
})

async function setBack(
  context: GitContext,
  ref: string,
  is: PolicyVersion,
  before: string,
  after: string,
): Promise<Problem | undefined> {
  const bases = await mergeBases(context, before, after)
  const versions = await policyVersions(context, bases)
  if (!versions.some(({ text }) => text === is.text)) return undefined
  return {
    code: "ERR_POLICY_CHANGE",
    message: `this push sets ${ref} back to a former policy, and nobody has signed for that`,
    hint: `keep the new one with: git checkout ${before.slice(0, 12)} -- ${is.folder.startsWith("0") ? ".gitsign" : ".chainguard"} && git commit -S`,
  }
}
