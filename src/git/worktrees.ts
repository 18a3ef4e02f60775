/**
 * What other things are done with a branch just now, in this worktree and the others (git-worktree(1),
 * gitrepository-layout(5)).
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { type GitContext, runGit } from "./run.ts"

/** Something that must end before a branch is moved. */
export type BranchUse =
  | { readonly kind: "operation"; readonly operation: string; readonly worktree: string | undefined }
  | { readonly kind: "checked out"; readonly worktree: string }

/** The files and refs that tell of an operation, in the directory of a worktree. */
const OPERATIONS = [
  ["rebase-merge", "rebase"],
  ["rebase-apply/applying", "git am"],
  ["rebase-apply", "rebase"],
  ["MERGE_HEAD", "merge"],
  ["CHERRY_PICK_HEAD", "cherry-pick"],
  ["REVERT_HEAD", "revert"],
  ["sequencer/todo", "cherry-pick or revert"],
  ["BISECT_START", "bisect"],
] as const

/**
 * What stands in the way of moving `ref`, a branch or `HEAD`: an operation that is under way in this worktree where `ref` is what it
 * works on, a rebase or bisect of the branch in any, another worktree that has the branch checked out; undefined when nothing does.
 */
export async function findBranchUse(context: GitContext, ref: string): Promise<BranchUse | undefined> {
  const { stdout } = await runGit(context, ["rev-parse", "--absolute-git-dir", "--git-common-dir"])
  const [own = "", common = ""] = stdout.toString("utf8").replace(/\n$/, "").split("\n")
  // One directory has many names where there are links.
  const here = realpathSync(resolve(context.cwd, own))
  for (const directory of worktreesOf(realpathSync(resolve(context.cwd, common)), here)) {
    const isHere = directory === here
    const worktree = isHere ? undefined : placeOf(directory)
    const head = ref === "HEAD" && isHere ? "HEAD" : await headOf(context, directory)
    if (head === ref || awaitedRefs(directory).includes(ref)) {
      const operation = OPERATIONS.find(([file]) => existsSync(join(directory, file)))?.[1]
      if (operation !== undefined) return { kind: "operation", operation, worktree }
    }
    if (worktree !== undefined && head === ref && !(await isBare(context, directory))) {
      return { kind: "checked out", worktree }
    }
  }
  return undefined
}

/** The directories of all worktrees, this one first. One whose files were removed is not used by anybody. */
function worktreesOf(common: string, here: string): string[] {
  const parent = join(common, "worktrees")
  const linked = existsSync(parent) ? readdirSync(parent).map((name) => join(parent, name)) : []
  return [here, common, ...linked.filter((path) => existsSync(gitFileOf(path)))].filter(
    (path, index, all) => all.indexOf(path) === index,
  )
}

/** The path of the `.git` file of a linked worktree. */
function gitFileOf(directory: string): string {
  return resolve(directory, readText(join(directory, "gitdir")))
}

/** Where the files of a worktree are, for people. */
function placeOf(directory: string): string {
  if (basename(dirname(directory)) === "worktrees") return dirname(gitFileOf(directory))
  return basename(directory) === ".git" ? dirname(directory) : directory
}

const at = (directory: string, args: readonly string[]): readonly string[] => [`--git-dir=${directory}`, ...args]

async function headOf(context: GitContext, directory: string): Promise<string | undefined> {
  const { status, stdout } = await runGit(context, at(directory, ["symbolic-ref", "--quiet", "HEAD"]))
  return status === 0 ? stdout.toString("utf8").trim() : undefined
}

/** The HEAD of a bare repository is no check-out. */
async function isBare(context: GitContext, directory: string): Promise<boolean> {
  const { stdout } = await runGit(context, at(directory, ["rev-parse", "--is-bare-repository"]))
  return stdout.toString("latin1").trim() === "true"
}

/**
 * The branches that an operation goes back to or moves at its end: those that a rebase and a bisect were started on, and those of
 * `git rebase --update-refs`.
 */
function awaitedRefs(directory: string): string[] {
  const started = ["rebase-merge", "rebase-apply"].map((name) => readText(join(directory, name, "head-name")))
  const updated = readText(join(directory, "rebase-merge/update-refs"))
  const bisected = readText(join(directory, "BISECT_START"))
  return [
    ...started,
    ...updated.split("\n").filter((line) => line.startsWith("refs/")),
    // HEAD was detached since, and the file has the branch without `refs/heads/`.
    bisected.startsWith("refs/") ? bisected : `refs/heads/${bisected}`,
  ]
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8").trim()
  } catch {
    return ""
  }
}
