/**
 * Which paths a commit changes (git-diff-tree(1)), and for merges which ones the merge itself changes.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../errors.ts"
import { malformedTrees } from "./malformed-trees.ts"
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

/** What a commit changes. */
export interface Changes {
  readonly paths: readonly string[]
  /** Those of them that are or were a link or a submodule: what these lead to is found in the place of a folder. */
  readonly links: readonly string[]
}

/** What one commit has to be compared with. */
interface Comparison {
  readonly id: string
  readonly bytes: number
  /** Each two ids, of a commit and of what stands before it, or the one of a commit that changes all it has. */
  readonly lines: readonly string[]
  readonly changes: (sets: readonly ReadonlySet<string>[]) => readonly string[]
}

/** What git says of two commits. */
interface Difference {
  readonly paths: ReadonlySet<string>
  readonly links: ReadonlySet<string>
  /** The ids of the trees below the top that differ, of both sides. */
  readonly trees: ReadonlySet<string>
}

/** Comparisons in one git process: its answer has to fit into memory, and a merge of two long branches has a long one. */
const LINES_AT_ONCE = 512

/** Of the commits that are compared in one git process. */
const BYTES_AT_ONCE = 64 * 1024 * 1024

/** Each parent is compared with each base. With more, everything in which such a merge differs from a parent counts as changed by it. */
const MAX_PARENTS = 8

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
): Promise<Map<string, Changes | GitsignError>> {
  const found = new Map<string, Changes | GitsignError>()
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

/**
 * The best common ancestors of each two parents. Those with the first one are not enough: what the second parent has taken back since the
 * third one would look unchanged to an old first one.
 */
async function basesOf(context: GitContext, parents: readonly string[]): Promise<string[]> {
  const bases = new Set<string>()
  for (const [index, one] of parents.entries()) {
    for (const other of parents.slice(index + 1)) {
      for (const base of await mergeBases(context, one, other)) bases.add(base)
    }
  }
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
  found: Map<string, Changes | GitsignError>,
): Promise<void> {
  // What stands before a commit becomes its parent for as long as the process lives. So a commit that has none comes first: behind a line
  // in which it was compared with itself, as the base of a merge, it would change nothing.
  const lines = comparisons.flatMap((one) => one.lines)
  const ordered = [...new Set([...lines.filter((line) => !line.includes(" ")), ...lines])]
  const differences = await orError(compare(context, ordered))
  if (!isGitsignError(differences)) {
    const malformed = await malformedTrees(context, [...treesOf(differences)])
    for (const { id, lines: own, changes } of comparisons) {
      const all = own.map((line) => differenceOf(differences, line))
      const [tree] = own
        .flatMap((line, index) => [...rootsOf(line), ...(all[index]?.trees ?? [])])
        .filter((one) => malformed.has(one))
      const paths = changes(all.map((one) => one.paths))
      const links = paths.filter((path) => all.some((one) => one.links.has(path)))
      found.set(id, (tree && malformed.get(tree)) || { paths, links })
    }
    return
  }
  const [only] = comparisons
  if (only !== undefined && comparisons.length === 1) {
    found.set(only.id, differences)
    return
  }
  const middle = Math.ceil(comparisons.length / 2)
  await answerAll(context, comparisons.slice(0, middle), found)
  await answerAll(context, comparisons.slice(middle), found)
}

/** The trees at the top of the commits on a line; git does not list these, nor what is below one of which nothing differs. */
const rootsOf = (line: string): string[] => line.split(" ").map((commit) => `${commit}^{tree}`)

function treesOf(differences: ReadonlyMap<string, Difference>): Set<string> {
  const trees = new Set<string>()
  for (const [line, difference] of differences) {
    for (const tree of rootsOf(line)) trees.add(tree)
    for (const tree of difference.trees) trees.add(tree)
  }
  return trees
}

function differenceOf(differences: ReadonlyMap<string, Difference>, line: string): Difference {
  const found = differences.get(line)
  if (found === undefined) throw new GitsignError("ERR_BUG", "git was not asked to compare this")
  return found
}

/** Compares each commit with the one beside it on its line, or with nothing. */
async function compare(context: GitContext, lines: readonly string[]): Promise<ReadonlyMap<string, Difference>> {
  const args = [
    "diff-tree",
    "--stdin",
    "-r",
    "-t",
    "-z",
    "--root",
    "--always",
    "--raw",
    "--no-abbrev",
    "--no-renames",
    "--no-ext-diff",
    "--ignore-submodules=none",
  ]
  const { status, stdout, stderr } = await feedGit(context, args, `${lines.join("\n")}\n`)
  if (status !== 0) throw new GitsignError("ERR_GIT", `git cannot tell what commits change: ${stderr}`)
  const found: { paths: Set<string>; links: Set<string>; trees: Set<string> }[] = []
  // `ID NUL`, then for each change `:MODES IDS STATUS NUL PATH NUL`. Not --name-only: there a path could pass for the next id.
  const fields = stdout.toString("utf8").split("\0")
  for (let i = 0; i + 1 < fields.length; i++) {
    const change = /^:(\d+) (\d+) (\S+) (\S+)/.exec(fields[i] ?? "")
    if (change === null) {
      found.push({ paths: new Set(), links: new Set(), trees: new Set() })
      continue
    }
    const [, oldMode = "", newMode = "", oldId = "", newId = ""] = change
    const path = fields[++i] ?? ""
    if (oldMode === TREE) found.at(-1)?.trees.add(oldId)
    if (newMode === TREE) found.at(-1)?.trees.add(newId)
    const isFolder = [oldMode, newMode].every((mode) => mode === TREE || mode === ABSENT)
    if (!isFolder) found.at(-1)?.paths.add(path)
    if (LINKS.has(oldMode) || LINKS.has(newMode)) found.at(-1)?.links.add(path)
  }
  if (found.length !== lines.length) throw new GitsignError("ERR_GIT", "git did not compare all commits")
  return new Map(lines.map((line, index) => [line, found[index] ?? NO_DIFFERENCE]))
}

const NO_DIFFERENCE: Difference = { paths: new Set(), links: new Set(), trees: new Set() }

/** The modes of a link and of a submodule. */
const LINKS: ReadonlySet<string> = new Set(["120000", "160000"])
/** The mode of a folder, which is no path of its own. */
const TREE = "040000"
/** The mode of what is not there on one side. */
const ABSENT = "000000"
