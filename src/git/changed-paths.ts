/**
 * Which paths a commit changes (git-diff-tree(1)), and for merges which ones the merge itself changes.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { feedGit, mergeBases } from "./revisions.ts"
import type { GitContext } from "./run.ts"

/** A commit whose changes are asked for. */
export interface CommitParents {
  /** Hex. */
  readonly id: string
  readonly parents: readonly string[]
}

/**
 * The paths that each commit changes, as git stores them, read as UTF-8; in one git process, and one more for each merge.
 *
 * A commit without parents changes all its paths. A merge changes the paths that are as in none of its parents, and those where it
 * throws away what a parent had changed since the histories parted: taking everything from one side is a change, too.
 *
 * @throws ERR_GIT when a commit, a parent or a tree is missing
 */
export async function changedPaths(
  context: GitContext,
  commits: readonly CommitParents[],
): Promise<Map<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>()
  const questions: { lines: string[]; answer: (sets: ReadonlySet<string>[]) => void }[] = []
  for (const { id, parents } of commits) {
    const [only] = parents
    if (parents.length <= 1) {
      const line = only === undefined ? id : `${id} ${only}`
      questions.push({ lines: [line], answer: ([paths]) => found.set(id, [...(paths ?? [])]) })
      continue
    }
    const bases = await basesOf(context, parents)
    // First the merge against each parent, then each parent against each base.
    const lines = [
      ...parents.map((parent) => `${id} ${parent}`),
      ...parents.flatMap((parent) => bases.map((base) => `${parent} ${base}`)),
    ]
    questions.push({ lines, answer: (sets) => found.set(id, changesOfMerge(parents.length, bases.length, sets)) })
  }
  const sets = await compare(
    context,
    questions.flatMap(({ lines }) => lines),
  )
  let next = 0
  for (const { lines, answer } of questions) {
    answer(sets.slice(next, next + lines.length))
    next += lines.length
  }
  return found
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

/** Compares each commit with the one beside it on its line, or with nothing. */
async function compare(context: GitContext, lines: readonly string[]): Promise<ReadonlySet<string>[]> {
  if (lines.length === 0) return []
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
  return sets
}
