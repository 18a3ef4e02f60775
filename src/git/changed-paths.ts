/**
 * Which paths a commit changes (git-diff-tree(1)), and for merges which ones the merge itself changes.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../errors.ts"
import { feedGit, mergeBases } from "./revisions.ts"
import type { GitContext } from "./run.ts"

/** A commit whose changes are asked for. */
export interface CommitParents {
  /** Hex. */
  readonly id: string
  readonly parents: readonly string[]
  /** How large the commit itself is; git keeps in memory what it has read of commits. */
  readonly bytes?: number
}

/** What one commit has to be compared with. */
interface Comparison {
  readonly id: string
  readonly bytes: number
  /** Each two ids, of a commit and of what stands before it, or the one of a commit that changes all it has. */
  readonly lines: readonly string[]
  readonly changes: (sets: readonly ReadonlySet<string>[]) => readonly string[]
}

/** Comparisons in one git process: its answer has to fit into memory, and a merge of two long branches has a long one. */
const LINES_AT_ONCE = 512

/** Of the commits that are compared in one git process. */
const BYTES_AT_ONCE = 64 * 1024 * 1024

/** Each parent is compared with each base. With more, everything in which such a merge differs from a parent counts as changed by it. */
const MAX_PARENTS = 16

/**
 * The paths that each commit changes, as git stores them, read as UTF-8; in few git processes, and one more for each merge.
 *
 * A commit without parents changes all its paths. A merge changes the paths that are as in none of its parents, and those where it
 * throws away what a parent had changed since the histories parted: taking everything from one side is a change, too.
 *
 * @returns for a commit of which git cannot tell, since a parent or a tree is missing or damaged, the error in its place: one of them must
 * not hide the others
 * @throws ERR_GIT when git cannot be run
 */
export async function changedPaths(
  context: GitContext,
  commits: readonly CommitParents[],
): Promise<Map<string, readonly string[] | GitsignError>> {
  const found = new Map<string, readonly string[] | GitsignError>()
  const comparisons: Comparison[] = []
  for (const commit of commits) {
    const comparison = await orError(comparisonOf(context, commit))
    if (isGitsignError(comparison)) found.set(commit.id, comparison)
    else comparisons.push(comparison)
  }
  for (const chunk of chunksOf(comparisons)) await answerAll(context, chunk, found)
  return found
}

async function orError<T>(work: Promise<T>): Promise<T | GitsignError> {
  try {
    return await work
  } catch (error) {
    if (isGitsignError(error)) return error
    throw error
  }
}

async function comparisonOf(context: GitContext, { id, parents, bytes = 0 }: CommitParents): Promise<Comparison> {
  const [only] = parents
  if (parents.length <= 1) {
    return { id, bytes, lines: [only === undefined ? id : `${id} ${only}`], changes: ([paths]) => [...(paths ?? [])] }
  }
  const bases = parents.length > MAX_PARENTS ? [] : await basesOf(context, parents)
  // First the merge against each parent, then each parent against each base.
  const lines = [
    ...parents.map((parent) => `${id} ${parent}`),
    ...parents.flatMap((parent) => bases.map((base) => `${parent} ${base}`)),
  ]
  return { id, bytes, lines, changes: (sets) => changesOfMerge(parents.length, bases.length, sets) }
}

/** The best common ancestors of the first parent with each other one. */
async function basesOf(context: GitContext, [first = "", ...others]: readonly string[]): Promise<string[]> {
  const bases = new Set<string>()
  for (const other of others) for (const base of await mergeBases(context, first, other)) bases.add(base)
  return [...bases]
}

function changesOfMerge(parents: number, bases: number, sets: readonly ReadonlySet<string>[]): string[] {
  const differs = sets.slice(0, parents)
  const changed = new Set<string>()
  for (const [index, paths] of differs.entries()) {
    const since = sets.slice(parents + index * bases, parents + (index + 1) * bases)
    for (const path of paths) {
      const unlikeAll = differs.every((one) => one.has(path))
      // Without a common ancestor each side has made all it has.
      const thrownAway = bases === 0 || since.some((one) => one.has(path))
      if (unlikeAll || thrownAway) changed.add(path)
    }
  }
  return [...changed]
}

function* chunksOf(comparisons: readonly Comparison[]): Generator<Comparison[]> {
  let chunk: Comparison[] = []
  let lines = 0
  let bytes = 0
  for (const comparison of comparisons) {
    lines += comparison.lines.length
    bytes += comparison.bytes
    if (chunk.length > 0 && (lines > LINES_AT_ONCE || bytes > BYTES_AT_ONCE)) {
      yield chunk
      chunk = []
      lines = comparison.lines.length
      bytes = comparison.bytes
    }
    chunk.push(comparison)
  }
  if (chunk.length > 0) yield chunk
}

/** Answers for some commits; where git fails, for each half of them, until it is known for which one it does. */
async function answerAll(
  context: GitContext,
  comparisons: readonly Comparison[],
  found: Map<string, readonly string[] | GitsignError>,
): Promise<void> {
  // What stands before a commit becomes its parent for as long as the process lives. So a commit that has none comes first: behind a line
  // in which it was compared with itself, as the base of a merge, it would change nothing.
  const lines = comparisons.flatMap((one) => one.lines)
  const ordered = [...new Set([...lines.filter((line) => !line.includes(" ")), ...lines])]
  const sets = await orError(compare(context, ordered))
  if (!isGitsignError(sets)) {
    for (const { id, lines: own, changes } of comparisons) found.set(id, changes(own.map((line) => setOf(sets, line))))
    return
  }
  const [only] = comparisons
  if (only !== undefined && comparisons.length === 1) {
    found.set(only.id, sets)
    return
  }
  const middle = Math.ceil(comparisons.length / 2)
  await answerAll(context, comparisons.slice(0, middle), found)
  await answerAll(context, comparisons.slice(middle), found)
}

function setOf(sets: ReadonlyMap<string, ReadonlySet<string>>, line: string): ReadonlySet<string> {
  const found = sets.get(line)
  if (found === undefined) throw new GitsignError("ERR_BUG", "git was not asked to compare this")
  return found
}

/** Compares each commit with the one beside it on its line, or with nothing. */
async function compare(
  context: GitContext,
  lines: readonly string[],
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const args = [
    "diff-tree",
    "--stdin",
    "-r",
    "-z",
    "--root",
    "--always",
    "--raw",
    "--no-renames",
    "--no-ext-diff",
    "--ignore-submodules=none",
  ]
  const { status, stdout, stderr } = await feedGit(context, args, `${lines.join("\n")}\n`)
  if (status !== 0) throw new GitsignError("ERR_GIT", `git cannot tell what commits change: ${stderr}`)
  const sets: Set<string>[] = []
  // `ID NUL`, then for each change `:MODES IDS STATUS NUL PATH NUL`. Not --name-only: there a path could pass for the next id.
  const fields = stdout.toString("utf8").split("\0")
  for (let i = 0; i + 1 < fields.length; i++) {
    if (fields[i]?.startsWith(":")) sets[sets.length - 1]?.add(fields[++i] ?? "")
    else sets.push(new Set())
  }
  if (sets.length !== lines.length) throw new GitsignError("ERR_GIT", "git did not compare all commits")
  return new Map(lines.map((line, index) => [line, sets[index] ?? new Set<string>()]))
}
