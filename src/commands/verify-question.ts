/**
 * What the arguments of `gitsign verify` ask about, in the words of git-rev-list(1): revisions, ranges, `--not`, `--all`.
 *
 * @module
 */

import { type PolicyInForce, readPoliciesAt, readPolicyAt } from "../audit/policy-source.ts"
import type { AuditTarget } from "../audit/targets.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import { currentBranch, listRefs, mergeBases, resolveRevision, tryResolve, walkCommits } from "../git/revisions.ts"
import { type CommandIo, readInput } from "./io.ts"

/** The arguments as typed. */
export interface AskedFor {
  readonly revisions: readonly string[]
  /** What is behind `--not` and `--since-commit`. */
  readonly not: readonly string[]
  readonly all: boolean
  /** The full name of the ref whose rules count, from `--ref`. */
  readonly ref: string | undefined
}

/** A target before it has a policy, and the commit that holds the policy from before the change. */
export interface OpenTarget extends Omit<AuditTarget, "policy"> {
  /** Undefined where there is no before. */
  readonly base: string | undefined
  /** What that commit was called, for messages; its id when nothing is said. */
  readonly baseName?: string | undefined
}

/**
 * Finds out what is asked about.
 *
 * @param withTags whether a tag's name stands for the tag, to be judged as one; else for its commit, as the Go program takes it
 * @throws ERR_USAGE, ERR_GIT, ERR_SHALLOW
 */
export async function targetsOf(io: CommandIo, asked: AskedFor, withTags: boolean): Promise<OpenTarget[]> {
  const excluded: string[] = []
  for (const name of asked.not) excluded.push((await resolveCommit(io, name)).id)
  const plain: string[] = []
  const targets: OpenTarget[] = []
  for (const revision of asked.revisions) {
    if (revision.startsWith("^")) excluded.push((await resolveCommit(io, revision.slice(1))).id)
    else if (revision === "-") targets.push(...fromStdin(io))
    else if (revision.includes("..")) targets.push(...(await ofRange(io, revision)))
    else plain.push(revision)
  }
  if (asked.all) targets.push(...(await ofAllRefs(io, excluded, withTags)))
  else if (excluded.length > 0 && plain.length === 0 && targets.length === 0) plain.push("HEAD")
  for (const revision of plain) targets.push(await ofRevision(io, revision, excluded, withTags))
  const head = await currentBranch(io)
  return targets.map((target) => ({
    ...target,
    mendable: mendableOf(target.ref, head),
    // Every exclusion counts for every walk, as in git.
    exclude: target.walk ? [...new Set([...target.exclude, ...excluded])] : [],
    ref: isTag(target) ? target.ref : (asked.ref ?? branchOf(target.ref) ?? head),
  }))
}

/** A local branch can be signed again; what is named otherwise, nobody knows whose it is. */
function mendableOf(ref: string | undefined, head: string | undefined): OpenTarget["mendable"] {
  if (!ref?.startsWith("refs/heads/")) return undefined
  return { branch: ref === head ? "" : ref.slice("refs/heads/".length), published: false }
}

/** Whether a target is a tag by its name; what a tag leads to are commits like others, and on no branch. */
const isTag = ({ ref, walk }: Pick<OpenTarget, "ref" | "walk">): boolean =>
  !walk && ref?.startsWith("refs/tags/") === true

async function resolveCommit(io: CommandIo, name: string): Promise<{ id: string; ref: string | undefined }> {
  const { ref } = await resolveRevision(io, name)
  const { id } = await resolveRevision(io, `${name}^{commit}`)
  return { id, ref }
}

/** A remote's branch has the rules of the branch of that name. A tag is no branch. */
function branchOf(ref: string | undefined): string | undefined {
  if (ref?.startsWith("refs/tags/")) return undefined
  const [, name] = /^refs\/remotes\/[^/]+\/(.+)$/.exec(ref ?? "") ?? []
  return name === undefined ? ref : `refs/heads/${name}`
}

function fromStdin(io: CommandIo): OpenTarget[] {
  const ids = readInput(io, "-")
    .toString("utf8")
    .split(/\s+/)
    .filter((id) => id !== "")
  const wrong = ids.find((id) => !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(id))
  if (wrong !== undefined) {
    throw new GitsignError(
      "ERR_USAGE",
      `stdin has to hold whole object ids, and ${JSON.stringify(wrong.slice(0, 80))} is none`,
    )
  }
  return ids.map((id) => ({
    name: id,
    ref: undefined,
    include: [id],
    exclude: [],
    walk: false,
    fresh: false,
    base: `${id}^`,
  }))
}

/** `A..B`: what B has and A has not. `A...B`: what one of them has and the other has not. */
async function ofRange(io: CommandIo, range: string): Promise<OpenTarget[]> {
  const [, left = "", dots = "", right = ""] = /^(.*?)(\.\.\.?)(?!\.)(.*)$/s.exec(range) ?? []
  const one = await resolveCommit(io, left || "HEAD")
  const other = await resolveCommit(io, right || "HEAD")
  const walk = { name: range, walk: true, fresh: false }
  if (dots === "..")
    return [{ ...walk, ref: other.ref, include: [other.id], exclude: [one.id], base: one.id, baseName: left || "HEAD" }]
  const bases = await mergeBases(io, one.id, other.id)
  // Of several, whoever made the merges that led to them has chosen which one comes first; so the policies of all of them count.
  const befores = bases.length === 0 ? [undefined] : bases
  return [one, other].flatMap(({ id, ref }) =>
    befores.map((base) => ({ ...walk, ref, include: [id], exclude: bases, base })),
  )
}

async function ofRevision(
  io: CommandIo,
  name: string,
  excluded: readonly string[],
  withTags: boolean,
): Promise<OpenTarget> {
  const { id, ref } = await resolveRevision(io, name)
  const target = { name, fresh: false, exclude: [] }
  if (withTags && ref?.startsWith("refs/tags/") && excluded.length === 0) {
    return { ...target, ref, include: [id], walk: false, base: "HEAD" }
  }
  const commit = await resolveRevision(io, `${name}^{commit}`)
  const branch = ref?.startsWith("refs/tags/") ? undefined : ref
  const isTagObject = withTags && commit.id !== id && excluded.length === 0
  if (isTagObject) return { ...target, ref: undefined, include: [id], walk: false, base: "HEAD" }
  if (excluded.length === 0) return { ...target, ref: branch, include: [commit.id], walk: false, base: `${commit.id}^` }
  return {
    ...target,
    ref: branch,
    include: [commit.id],
    walk: true,
    base: excluded.length === 1 ? excluded[0] : undefined,
  }
}

/** All branches, those of remotes too, all tags, and a detached HEAD. */
async function ofAllRefs(io: CommandIo, excluded: readonly string[], withTags: boolean): Promise<OpenTarget[]> {
  const refs = await listRefs(io, "refs/heads/", "refs/remotes/", "refs/tags/")
  const tags = refs.filter(({ name }) => name.startsWith("refs/tags/"))
  const branches = refs.filter(({ name }) => !name.startsWith("refs/tags/"))
  const ids = new Set(branches.filter(({ name }) => !isRemoteHead(name)).map(({ id }) => id))
  const base = excluded.length === 1 ? excluded[0] : undefined
  const target = { exclude: [], fresh: false, base }
  const detached = await detachedHead(io, [...ids])
  const walks: OpenTarget[] = []
  if (withTags) {
    // What a remote's HEAD stands for is there under its own name; only when it is not, it is something else.
    for (const { name, id, type } of branches.filter((one) => !isRemoteHead(one.name) || !ids.has(one.id))) {
      const commit = type === "commit" ? id : await tryResolve(io, `${id}^{commit}`)
      // Somebody else's server can let a branch point to anything.
      walks.push({ ...target, name, ref: name, include: [commit ?? id], walk: commit !== undefined })
    }
    if (detached !== undefined) {
      walks.push({ ...target, name: "HEAD", ref: undefined, include: [detached], exclude: [...ids], walk: true })
    }
  } else {
    const include = [...(await commitsOf(io, refs)), ...(detached === undefined ? [] : [detached])]
    walks.push({ ...target, name: "--all", ref: undefined, include, walk: true })
  }
  const named = tags.filter(({ type }) => withTags || type === "tag")
  return [
    ...walks,
    ...named.map(({ name, id }) => ({ ...target, name, ref: name, include: [id], walk: false, base: base ?? "HEAD" })),
  ]
}

const isRemoteHead = (name: string): boolean => /^refs\/remotes\/[^/]+\/HEAD$/.test(name)

/** What HEAD stands for where it is no branch, and has what no branch has. */
async function detachedHead(io: CommandIo, branches: readonly string[]): Promise<string | undefined> {
  if ((await currentBranch(io)) !== undefined) return undefined
  const id = await tryResolve(io, "HEAD^{commit}")
  if (id === undefined || branches.includes(id)) return undefined
  return (await walkCommits(io, [id], branches)).length === 0 ? undefined : id
}

/** What refs come to when tags are followed; refs to trees and blobs have no history. */
async function commitsOf(io: CommandIo, refs: readonly { id: string; type: string }[]): Promise<string[]> {
  const commits = new Set<string>()
  for (const { id, type } of refs) {
    const commit = type === "commit" ? id : await tryResolve(io, `${id}^{commit}`)
    if (commit !== undefined) commits.add(commit)
  }
  return [...commits]
}

/** Gives every target the one policy that was named. */
export const withOnePolicy = (targets: readonly OpenTarget[], policy: PolicyInForce | undefined): AuditTarget[] =>
  targets.map(({ base: _, baseName: __, ...target }) => ({ ...target, policy }))

/**
 * Gives every target the policy from before its change.
 *
 * @throws ERR_POLICY_MISSING where there is none, or no before; whatever else is wrong with one
 */
export async function withPoliciesBefore(io: CommandIo, targets: readonly OpenTarget[]): Promise<AuditTarget[]> {
  const bases = targets.map(({ base, baseName, name }) => {
    if (base !== undefined) return { commit: base, label: baseName ?? labelOf(base) }
    throw new GitsignError(
      "ERR_POLICY_MISSING",
      `${name} is a whole history, which has no before that a policy could come from`,
      {
        hint: "say which one counts: --policy-ref HEAD, or --policy FILE; or begin somewhere: --since-commit COMMIT",
      },
    )
  })
  const found = await readPoliciesAt(io, bases)
  const judged: AuditTarget[] = []
  for (const [index, { base: _, baseName: __, ...target }] of targets.entries()) {
    const policy = found[index]
    if (isGitsignError(policy)) throw policy
    if (policy === undefined) throw await noPolicy(io, bases[index]?.label ?? "")
    judged.push({ ...target, policy })
  }
  return judged
}

/**
 * Makes sure that what a change brings in leaves a policy that can be used: the next change will be judged by it.
 *
 * @throws what is wrong with the policy in it; ERR_POLICY_MISSING when the change takes it away
 */
export async function checkPoliciesAfter(io: CommandIo, targets: readonly AuditTarget[]): Promise<void> {
  // Only where the policy of the repository counts, and a branch is what is asked about.
  const changes = targets.filter(({ policy, walk }) => walk && policy !== undefined && policy.paths.length > 0)
  const tips = changes.flatMap(({ include }) => include)
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

/** Whether a policy is there from before a single revision; a first commit has no before. */
export async function policyBefore(io: CommandIo, base: string): Promise<PolicyInForce | undefined> {
  if ((await tryResolve(io, `${base}^{commit}`)) === undefined) return undefined
  return readPolicyAt(io, base, labelOf(base))
}

const labelOf = (commit: string): string => commit.replace(/^([0-9a-f]{12})[0-9a-f]+/, "$1")

async function noPolicy(io: CommandIo, where: string): Promise<GitsignError> {
  const now = await readPolicyAt(io, "HEAD").catch(() => undefined)
  const propose = "propose one with: gitsign policy init"
  return new GitsignError("ERR_POLICY_MISSING", `nobody has said whom to expect: there is no policy in ${where}`, {
    hint: `${now === undefined ? propose : "go by the one in HEAD with: --policy-ref HEAD"}; or say whom to expect with --certificate-identity and --certificate-oidc-issuer`,
  })
}
