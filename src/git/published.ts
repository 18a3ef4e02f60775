/**
 * Which refs lead to some commits: what is on a remote already, which tags and branches point to them (git-for-each-ref(1),
 * git-fetch(1) on remote-tracking branches).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { listRefs, walkCommits } from "./revisions.ts"
import { type GitContext, runGit } from "./run.ts"

/** Refs are listed in this many bytes. */
const MAX_LISTING = 256 * 1024 * 1024

/**
 * Which of the commits that `tip` has and none of `exclude` has are on a remote, as far as this repository knows: reachable from a
 * remote-tracking branch, wherever fetch puts those, or from what maintenance has prefetched.
 *
 * @returns their ids, and the full name of one ref that has the oldest of them, of one that stands for itself where there is one
 */
export async function publishedCommits(
  context: GitContext,
  tip: string,
  exclude: readonly string[],
): Promise<{ readonly ids: ReadonlySet<string>; readonly ref: string | undefined }> {
  const prefixes = await remotePrefixes(context)
  const refs = (await listRefs(context, ...prefixes)).filter(({ type }) => type === "commit")
  const all = await walkCommits(context, [tip], exclude)
  const here = new Set(await walkCommits(context, [tip], [...exclude, ...new Set(refs.map(({ id }) => id))]))
  const published = all.filter((id) => !here.has(id))
  const oldest = published.at(-1)
  return {
    ids: new Set(published),
    ref: oldest === undefined ? undefined : (await refsWith(context, oldest, prefixes))[0],
  }
}

/** Whoever has merged more than this is not told by which refs to leave it out. */
const MAX_MERGED = 16

/**
 * As few refs as will do that together have all of some commits that are on a remote, by their full names; none when these are very
 * many.
 */
export async function refsThatPublish(context: GitContext, ids: readonly string[]): Promise<string[]> {
  if (ids.length > MAX_MERGED) return []
  const prefixes = await remotePrefixes(context)
  const found = new Map<string, Set<string>>()
  for (const id of ids) {
    for (const ref of await refsWith(context, id, prefixes)) found.set(ref, (found.get(ref) ?? new Set()).add(id))
  }
  const chosen: string[] = []
  for (let left = ids; left.length > 0; ) {
    const has = (ref: string): number => left.filter((id) => found.get(ref)?.has(id)).length
    const [best] = [...found.keys()].sort((one, other) => has(other) - has(one))
    if (best === undefined || has(best) === 0) return []
    chosen.push(best)
    left = left.filter((id) => !found.get(best)?.has(id))
  }
  return chosen
}

/** Where fetch keeps what remotes have: `refs/remotes/`, and whatever the refspecs of remotes name beside it. */
async function remotePrefixes(context: GitContext): Promise<string[]> {
  const { stdout } = await runGit(context, ["config", "-z", "--get-regexp", "^remote\\..*\\.fetch$"])
  const targets = stdout.toString("utf8").matchAll(/:(refs\/[^*\0\n]*)/g)
  const named = [...targets].map(([, target = ""]) => target)
  // Tags are the same on both sides, and mark nothing as published.
  const others = named.filter((target) => !/^refs\/(remotes|tags|notes)\//.test(target))
  return [...new Set(["refs/remotes/", "refs/prefetch/", ...others])]
}

/** The refs that have a commit; one that stands for itself is the first, where there is one. */
async function refsWith(context: GitContext, id: string, prefixes: readonly string[]): Promise<string[]> {
  const args = ["for-each-ref", "--format=%(refname) %(symref)", `--contains=${id}`, ...prefixes]
  const { status, stdout } = await runGit(context, args, MAX_LISTING)
  const lines = status === 0 ? stdout.toString("utf8").split("\n").filter(Boolean) : []
  // `refs/remotes/origin/HEAD` says less than the branch that it stands for.
  const [own, links] = [lines.filter((line) => line.endsWith(" ")), lines.filter((line) => !line.endsWith(" "))]
  return [...own, ...links].map((line) => line.split(" ", 1)[0] ?? "")
}

/** What leads to some commits. Names are full; branches that only stand for another branch are left out. */
export interface LeadingRefs {
  /** Tags of one of the commits. */
  readonly tags: readonly string[]
  /** Branches whose tip is one of the commits. */
  readonly branches: readonly { readonly ref: string; readonly id: string }[]
  /** Branches that have further commits on top of them. */
  readonly descendants: readonly string[]
}

/** A command line takes this many ids. */
const MAX_ROOTS = 64

/**
 * The tags and branches that lead to some commits.
 *
 * @param roots those of them that have none of the others as a parent
 * @throws ERR_GIT when git cannot list its refs
 */
export async function findLeadingRefs(
  context: GitContext,
  ids: ReadonlySet<string>,
  roots: readonly string[],
): Promise<LeadingRefs> {
  const listed = await forEachRef(context, ["--format=%(objectname) %(*objectname) %(refname)", "refs/tags/"])
  const tags = listed.flatMap((line) => {
    const [id = "", peeled = "", name = ""] = line.split(" ")
    return ids.has(id) || ids.has(peeled) ? [name] : []
  })
  const contains = roots.slice(0, MAX_ROOTS).map((id) => `--contains=${id}`)
  const format = "--format=%(objectname) %(symref) %(refname)"
  const found = contains.length === 0 ? [] : await forEachRef(context, [format, ...contains, "refs/heads/"])
  const branches = found.flatMap((line) => {
    const [id = "", symref = "", ref = ""] = line.split(" ")
    return symref === "" ? [{ ref, id }] : []
  })
  return {
    tags,
    branches: branches.filter(({ id }) => ids.has(id)),
    descendants: branches.filter(({ id }) => !ids.has(id)).map(({ ref }) => ref),
  }
}

async function forEachRef(context: GitContext, args: readonly string[]): Promise<string[]> {
  const { status, stdout, stderr } = await runGit(context, ["for-each-ref", ...args], MAX_LISTING)
  if (status !== 0) throw new GitsignError("ERR_GIT", stderr)
  return stdout.toString("utf8").split("\n").filter(Boolean)
}
