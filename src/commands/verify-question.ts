/**
 * What the arguments of `gitsign verify` ask about, in the words of git-rev-list(1): revisions, ranges, `--not`, `--all`.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { lookUp } from "../git/look-up.ts"
import {
  commitOf,
  currentBranch,
  idLength,
  isShallow,
  listRefs,
  mergeBases,
  resolveCommit,
  resolveRevision,
  tryResolve,
  walkCommits,
} from "../git/revisions.ts"
import { runGit } from "../git/run.ts"
import { type CommandIo, readInput } from "./io.ts"
import type { Before, OpenTarget } from "./verify-before.ts"

/** The arguments as typed. */
export interface AskedFor {
  readonly revisions: readonly string[]
  /** What is behind `--not` and `--since-commit`. */
  readonly not: readonly string[]
  readonly all: boolean
  /** The full name of the ref whose rules count, from `--ref`. */
  readonly ref: string | undefined
}

/**
 * Finds out what is asked about.
 *
 * @param withTags whether a tag's name stands for the tag, to be judged as one; else for its commit, as the Go program takes it
 * @throws ERR_USAGE, ERR_GIT, ERR_SHALLOW
 */
export async function targetsOf(io: CommandIo, asked: AskedFor, withTags: boolean): Promise<OpenTarget[]> {
  const excluded: Excluded[] = []
  for (const name of asked.not) excluded.push(...(await excludedBy(io, name)))
  const plain: string[] = []
  const targets: OpenTarget[] = []
  for (const revision of asked.revisions) {
    if (revision.startsWith("^")) excluded.push(...(await excludedBy(io, revision.slice(1))))
    else if (revision === "-") targets.push(...(await fromStdin(io)))
    else if (revision.includes("..")) targets.push(...(await ofRange(io, revision)))
    else if (revision.endsWith("^@")) plain.push(...(await parentsOf(io, revision)))
    else if (revision.endsWith("^!")) targets.push(await ofCommit(io, revision))
    else plain.push(revision)
  }
  if (asked.all) targets.push(...(await ofAllRefs(io, excluded, withTags)))
  else if (excluded.length > 0 && plain.length === 0 && targets.length === 0) plain.push("HEAD")
  for (const revision of plain) targets.push(await ofRevision(io, revision, excluded, withTags))
  const head = await currentBranch(io)
  return targets.map((target) => ({
    ...target,
    mendable: mendableOf(target.ref),
    // Every exclusion counts for every walk, as in git.
    exclude: target.walk ? [...new Set([...target.exclude, ...excluded.map(({ commit }) => commit)])] : [],
    ref: isTag(target) ? target.ref : (asked.ref ?? (target.isTagObject ? undefined : (branchOf(target.ref) ?? head))),
  }))
}

/** A commit that is left out with all that is behind it, and what it was called. What is left out is what one has: its policy judges. */
type Excluded = Extract<Before, { commit: string }>

async function excludedBy(io: CommandIo, name: string): Promise<Excluded[]> {
  if (name.endsWith("^@")) return (await parentsOf(io, name)).map((commit) => ({ commit }))
  return [{ commit: (await resolveCommit(io, name, "ERR_USAGE")).id, name }]
}

/**
 * What `X^@` means: the parents of X (gitrevisions(7)).
 *
 * @throws ERR_USAGE when it has none: to verify nothing, or to leave nothing out, is not what was meant; ERR_SHALLOW when they are not here
 */
async function parentsOf(io: CommandIo, revision: string): Promise<string[]> {
  const { id } = await resolveCommit(io, revision.slice(0, -2), "ERR_USAGE")
  const { stdout } = await runGit(io, ["rev-parse", `${id}^@`])
  const parents = stdout.toString("latin1").split("\n").filter(Boolean)
  if (parents.length > 0) return parents
  if (await isShallow(io)) throw new GitsignError("ERR_SHALLOW", `${revision} is not in this shallow clone`)
  throw new GitsignError("ERR_USAGE", `${revision} names nothing: this commit has no parents`, {
    hint: "see what is there with: git log --all --oneline",
  })
}

/** What `X^!` means: X, and nothing that is behind it. */
async function ofCommit(io: CommandIo, revision: string): Promise<OpenTarget> {
  const { id, ref } = await resolveCommit(io, revision.slice(0, -2), "ERR_USAGE")
  const befores = [{ parentOf: id }]
  return { name: revision, ref: branchIn(ref), include: [id], exclude: [], walk: false, fresh: false, befores }
}

/** A tag is no branch. */
const branchIn = (ref: string | undefined): string | undefined => (ref?.startsWith("refs/tags/") ? undefined : ref)

/** A local branch can be signed again; what is named otherwise, nobody knows whose it is. */
function mendableOf(ref: string | undefined): OpenTarget["mendable"] {
  return ref?.startsWith("refs/heads/") ? { branch: ref.slice("refs/heads/".length) } : undefined
}

/** Whether a target is a tag by its name; what a tag leads to are commits like others, and on no branch. */
const isTag = ({ ref, walk }: Pick<OpenTarget, "ref" | "walk">): boolean =>
  !walk && ref?.startsWith("refs/tags/") === true

/** A remote's branch has the rules of the branch of that name. A tag is no branch. */
function branchOf(ref: string | undefined): string | undefined {
  const [, name] = /^refs\/remotes\/[^/]+\/(.+)$/.exec(ref ?? "") ?? []
  return name === undefined ? branchIn(ref) : `refs/heads/${name}`
}

/** Every object whose id is in stdin. One that is not here, or is no commit or tag, says so in its place. */
async function fromStdin(io: CommandIo): Promise<OpenTarget[]> {
  const ids = readInput(io, "-")
    .toString("utf8")
    .split(/\s+/)
    .filter((id) => id !== "")
  if (ids.length === 0) {
    // A command that has failed in front of a pipe must not be taken for a good answer.
    throw new GitsignError("ERR_USAGE", "there are no object ids in stdin, so nothing was verified", {
      hint: "see whether the command before the pipe failed; a range that may be empty goes here: gitsign verify A..B",
    })
  }
  const length = await idLength(io)
  const wrong = ids.find((id) => id.length !== length || !/^[0-9a-f]+$/.test(id))
  if (wrong !== undefined) {
    throw new GitsignError(
      "ERR_USAGE",
      `stdin has to hold whole object ids of ${length} digits, and ${JSON.stringify(wrong.slice(0, 80))} is none`,
      { hint: "whole ids come from: git rev-list, git rev-parse" },
    )
  }
  const found = await lookUp(io, ids)
  const isCut = found.includes(undefined) && (await isShallow(io))
  return ids.map((id, index) => {
    const type = found[index]?.type
    const target = { name: id, ref: undefined, include: [id], exclude: [], walk: false, fresh: false }
    if (type === "commit") return { ...target, befores: [{ parentOf: id }] }
    // Before a tag is not what is before its commit: who tags a commit of their own would choose who may.
    if (type === "tag") return { ...target, isTagObject: true, befores: [HEAD] }
    return { ...target, befores: [{ error: type === undefined ? notHere(id, isCut) : notSigned(id, type) }] }
  })
}

const HEAD: Before = { commit: "HEAD" }

const notHere = (id: string, isCut: boolean): GitsignError =>
  isCut
    ? new GitsignError("ERR_SHALLOW", `${id} is not in this shallow clone`)
    : new GitsignError("ERR_GIT", `there is no object ${id} in this repository`, {
        hint: "fetch it first, or check the repository with: git fsck",
      })

const notSigned = (id: string, type: string): GitsignError =>
  new GitsignError("ERR_NOT_SIGNED", `${id} is a ${type}, which nobody signs`, { hint: "name commits and tags only" })

/** `A..B`: what B has and A has not. `A...B`: what one of them has and the other has not. */
async function ofRange(io: CommandIo, range: string): Promise<OpenTarget[]> {
  const [, left = "", dots = "", right = ""] = /^(.*?)(\.\.\.?)(?!\.)(.*)$/s.exec(range) ?? []
  const one = await resolveCommit(io, left || "HEAD", "ERR_USAGE")
  const other = await resolveCommit(io, right || "HEAD", "ERR_USAGE")
  const walk = { name: range, walk: true, fresh: false }
  if (dots === "..") {
    const befores = [{ commit: one.id, name: left || "HEAD" }]
    return [{ ...walk, ref: other.ref, include: [other.id], exclude: [one.id], befores }]
  }
  const bases = await mergeBases(io, one.id, other.id)
  // Of several, whoever made the merges that led to them has chosen which one comes first; so the policies of all of them count.
  const befores = bases.map((commit) => ({ commit }))
  return [one, other].map(({ id, ref }) => ({ ...walk, ref, include: [id], exclude: bases, befores }))
}

async function ofRevision(
  io: CommandIo,
  name: string,
  excluded: readonly Excluded[],
  withTags: boolean,
): Promise<OpenTarget> {
  const target = { name, fresh: false, exclude: [] }
  const { id: object, ref } = await resolveRevision(io, name, "ERR_USAGE")
  if (withTags && excluded.length === 0 && ref?.startsWith("refs/tags/")) {
    return { ...target, ref, include: [object], walk: false, befores: [HEAD] }
  }
  const id = await commitOf(io, name, object, "ERR_USAGE")
  if (excluded.length > 0) return { ...target, ref: branchIn(ref), include: [id], walk: true, befores: excluded }
  if (withTags && object !== id) {
    return { ...target, ref: undefined, include: [object], walk: false, isTagObject: true, befores: [HEAD] }
  }
  return { ...target, ref: branchIn(ref), include: [id], walk: false, befores: [{ parentOf: id }] }
}

/** All branches, those of remotes too, all tags, and a detached HEAD. */
async function ofAllRefs(io: CommandIo, excluded: readonly Excluded[], withTags: boolean): Promise<OpenTarget[]> {
  const refs = await listRefs(io, "refs/heads/", "refs/remotes/", "refs/tags/")
  const tags = refs.filter(({ name }) => name.startsWith("refs/tags/"))
  const branches = refs.filter(({ name }) => !name.startsWith("refs/tags/"))
  const ids = new Set(branches.filter(({ name }) => !isRemoteHead(name)).map(({ id }) => id))
  const target = { exclude: [], fresh: false, befores: excluded }
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
  const befores = excluded.length > 0 ? excluded : [HEAD]
  return [
    ...walks,
    ...named.map(({ name, id }) => ({ ...target, name, ref: name, include: [id], walk: false, befores })),
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
