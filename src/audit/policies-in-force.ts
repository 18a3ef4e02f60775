/**
 * Which policy judges what is pushed to which ref, where none is configured; docs/hooks.md says it in words.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../errors.ts"
import { shellQuote } from "../formats/printable.ts"
import { type FoundObject, lookUp } from "../git/look-up.ts"
import type { PushedRef } from "../git/pushed-refs.ts"
import { feedGit, mergeBases } from "../git/revisions.ts"
import type { GitContext } from "../git/run.ts"
import { POLICY_PATHS } from "./policy-place.ts"
import { type PolicyInForce, readPoliciesAt, readPolicy } from "./policy-source.ts"
import type { RefRefusal } from "./receive-plan.ts"
import type { Problem } from "./result.ts"

/** The policy as it lies in a commit, not read yet. */
interface PolicyVersion {
  /** Which of the places it is at, the one that counts first having the least; infinite when there is none. */
  readonly place: number
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
 * has never had that text, and never at a place that counts after the default branch's. Whoever makes a branch at an old commit, or
 * sets one back, would else bring back a policy that the default branch has given up, and with it signers that are trusted no more. And
 * a branch that begins anew, without `.gitsign`, would make a policy of a file that no rule about `.gitsign` keeps.
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
    const isOwn = version.text !== "" && version.text !== ofHead.text && version.place <= ofHead.place
    return isOwn ? [{ ...tip, version }] : []
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

const NO_POLICY: PolicyVersion = { place: Number.POSITIVE_INFINITY, text: "", folder: "" }

/** What lies at the places of a policy in some commits, in their order, from one git process. */
async function policyVersions(
  context: GitContext,
  commits: readonly string[],
  paths: readonly string[] = POLICY_PATHS,
): Promise<PolicyVersion[]> {
  // Thousands of refs often point to few commits.
  const distinct = [...new Set(commits)]
  const places = paths.flatMap((path) => [path, path.slice(0, Math.max(0, path.lastIndexOf("/")))])
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
    // A folder in its place is none, and is refused when it is read. git finds a path also as one name with a slash in it, which is no path.
    if (text !== undefined) return { place, text: `${place} ${text.id}`, folder: `${place} ${folder?.id ?? ""}` }
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
 * that nobody can read would refuse every push from then on, also the one that mends it. Setting a branch back would put a former
 * policy in force again, for which nobody has signed now.
 *
 * @param head the default branch before the push: its full name and commit; undefined where it has none
 * @param path where a setting has the policy of that branch, which then counts for all; without it, it is where policies are looked for
 * @throws ERR_GIT when git cannot be run or history is missing
 */
export async function policyRefusals(
  context: GitContext,
  head: { readonly id: string; readonly ref: string | undefined } | undefined,
  updates: readonly PushedRef[],
  path?: string,
): Promise<RefRefusal[]> {
  const changed = updates.flatMap(({ ref, before, after }) =>
    after === undefined || !ref.startsWith("refs/heads/")
      ? []
      : [{ ref, after, hadBefore: before, before: before ?? head?.id }],
  )
  const versionsOf = (commits: readonly string[]) =>
    policyVersions(context, commits, path === undefined ? POLICY_PATHS : [path])
  const afterwards = await versionsOf(changed.map(({ after }) => after))
  const beforehand = await versionsOf(changed.map(({ before, after }) => before ?? after))
  const isOwn = path === undefined ? ownPolicies(context, head?.id) : async () => false
  const refusals: RefRefusal[] = []
  const fresh: { ref: string; after: string }[] = []
  for (const [index, { ref, before, hadBefore, after }] of changed.entries()) {
    const [was, is] = [beforehand[index] ?? NO_POLICY, afterwards[index] ?? NO_POLICY]
    const isHead = ref === head?.ref
    const isSame = was.text === is.text && was.folder === is.folder
    if (!isSame && isHead && is.text === "" && was.text !== "") {
      refusals.push({ ref, problem: leftWithout(ref) })
      continue
    }
    // Elsewhere a former policy of the default branch is not in force.
    if (!isSame && hadBefore !== undefined && (isHead || (await isOwn(is)))) {
      const problem = await setBack(context, ref, hadBefore, after, path)
      if (problem !== undefined) {
        refusals.push({ ref, problem })
        continue
      }
    }
    if (is.text !== "" && (before === undefined || !isSame)) fresh.push({ ref, after })
  }
  const found = await readAll(
    context,
    fresh.map(({ ref, after }) => ({ commit: after, label: ref.replace(/^refs\/heads\//, "") })),
    path,
  )
  for (const [index, { ref }] of fresh.entries()) {
    // Something is in its place, and no reader finds it there.
    const problem = found[index] === undefined ? UNFOUND : await problemOf(context, found[index])
    if (problem === undefined) continue
    const { code, message, hint } = problem
    refusals.push({ ref, problem: { code, message: `the pushed policy cannot be used: ${message}`, hint } })
  }
  return refusals
}

/** Whether a branch would go by a policy of its own, as {@link policiesInForce} decides; the history is read once. */
function ownPolicies(context: GitContext, head: string | undefined): (version: PolicyVersion) => Promise<boolean> {
  if (head === undefined) return async ({ text }) => text !== ""
  let known: Promise<readonly [readonly PolicyVersion[], ReadonlySet<string>]> | undefined
  return async (version) => {
    if (version.text === "") return false
    known ??= Promise.all([policyVersions(context, [head]), textsIn(context, head)])
    const [[ofHead = NO_POLICY], given] = await known
    return version.place <= ofHead.place && !given.has(version.text)
  }
}

/** The policies of commits, where they are looked for or, for all alike, at one path. */
async function readAll(
  context: GitContext,
  asked: readonly { readonly commit: string; readonly label?: string }[],
  path: string | undefined,
): Promise<readonly PolicyOrReason[]> {
  if (path === undefined) return readPoliciesAt(context, asked)
  return Promise.all(
    asked.map(({ commit }) =>
      readPolicy(context, context.cwd, `${commit}:${path}`).catch((error: unknown) => {
        if (isGitsignError(error)) return error
        throw error
      }),
    ),
  )
}

/** Why a policy would refuse whatever is pushed after it. */
async function problemOf(context: GitContext, found: PolicyInForce | GitsignError): Promise<Problem | undefined> {
  if (isGitsignError(found)) return found
  const { since } = found.compiled.policy
  if (since === undefined || !("commit" in since)) return undefined
  const [commit] = await lookUp(context, [`${since.commit}^{commit}`])
  if (commit !== undefined) return undefined
  return {
    code: "ERR_POLICY",
    message: `since: in ${found.source} names ${since.commit}, which is no commit of this repository`,
    hint: "push that commit first, or name another one",
  }
}

const UNFOUND: Problem = {
  code: "ERR_POLICY_MISSING",
  message: "what lies in its place is no file of a folder",
  hint: "make the commit anew with git's own commands, and check with: git fsck",
}

const leftWithout = (ref: string): Problem => ({
  code: "ERR_POLICY_MISSING",
  message: `this push takes the policy away from ${ref}, and without one every push is refused`,
  hint: "keep a policy there, or have whoever runs the repository name one in gitsign.policy first",
})

/**
 * Whether a file of the policy would be as it was where the histories parted, though the branch has changed it since: each such change
 * was signed, and nobody has signed for taking it back.
 */
async function setBack(
  context: GitContext,
  ref: string,
  before: string,
  after: string,
  path: string | undefined,
): Promise<Problem | undefined> {
  const bases = await mergeBases(context, before, after)
  // Then all changes are commits, and these are judged.
  if (bases.includes(before)) return undefined
  const read = await readAll(context, [{ commit: before }, { commit: after }], path)
  const own = read.flatMap((one) => (one === undefined || isGitsignError(one) ? [] : one.paths))
  const files = [...new Set([...(path === undefined ? POLICY_PATHS.slice(0, 1) : [path]), ...own])]
  const commits = [before, after, ...bases]
  const found = await lookUp(
    context,
    commits.flatMap((commit) => files.map((file) => `${commit}:${file}`)),
  )
  const idOf = (commit: number, file: number): string => found[commit * files.length + file]?.id ?? ""
  // Histories without a common commit parted where there was nothing.
  const idsAtBases = (file: number): string[] =>
    bases.length === 0 ? [""] : bases.map((_, index) => idOf(index + 2, file))
  const lost = files.find((_, file) => idOf(0, file) !== idOf(1, file) && idsAtBases(file).includes(idOf(1, file)))
  if (lost === undefined) return undefined
  return {
    code: "ERR_POLICY_CHANGE",
    message: `this push sets ${ref} back to a former policy, and nobody has signed for that`,
    hint: `keep the new one with: git checkout ${before.slice(0, 12)} -- ${shellQuote(lost)} && git commit -S`,
  }
}
