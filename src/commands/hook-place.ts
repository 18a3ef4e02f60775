/**
 * Where git looks for the hooks of a repository (githooks(5), `core.hooksPath`), and who else manages what is there.
 *
 * @module
 */

import { lstatSync, realpathSync, statSync } from "node:fs"
import { basename, dirname, join, resolve, sep } from "node:path"
import { GitsignError } from "../errors.ts"
import { type GitContext, runGit } from "../git/run.ts"

/** Where hooks are written. */
export interface HookPlace {
  readonly directory: string
  /** `husky`: the hooks are files of the repository, and what git calls is made anew by husky. */
  readonly kind: "git" | "husky"
  readonly isBare: boolean
  /** Where other repositories take their hooks from too, what says so: a setting, or a link. */
  readonly sharedBy: string | undefined
  /** The repository's own directory for hooks, where core.hooksPath names another one. */
  readonly ownDirectory: string
  /** As {@link HookPlace.sharedBy}, for that one. */
  readonly ownSharedBy: string | undefined
  /** What all worktrees of the repository share; git runs the hooks of the receiving side in it. */
  readonly gitDirectory: string
}

/**
 * Finds the place of the hooks.
 *
 * @throws ERR_HOOK where there is no repository, or hooks are switched off
 */
export async function hookPlace(context: GitContext): Promise<HookPlace> {
  const isBare = (await answerOf(context, ["rev-parse", "--is-bare-repository"])) === "true"
  // git runs a hook at the top of the work tree, or in a bare repository itself; a relative core.hooksPath starts there.
  const top = await answerOf(context, ["rev-parse", isBare ? "--absolute-git-dir" : "--show-toplevel"])
  const atTop = { ...context, cwd: resolve(context.cwd, top) }
  const found = resolve(atTop.cwd, await answerOf(atTop, ["rev-parse", "--git-path", "hooks"]))
  const common = resolve(atTop.cwd, await answerOf(atTop, ["rev-parse", "--git-common-dir"]))
  const ownDirectory = join(common, "hooks")
  const ownSharedBy = linkOutside(ownDirectory, [common, atTop.cwd])
  const sharedBy = found === ownDirectory ? ownSharedBy : await sharedOrigin(atTop)
  const existing = statSync(found, { throwIfNoEntry: false })
  if (existing !== undefined && !existing.isDirectory()) {
    throw new GitsignError("ERR_HOOK", `core.hooksPath is ${found}, which is no directory, so that git runs no hooks`, {
      hint: "see who set it with: git config --show-origin core.hooksPath",
    })
  }
  const kind = huskyHome(found) === undefined ? "git" : "husky"
  return {
    directory: huskyHome(found) ?? found,
    kind,
    isBare,
    sharedBy,
    ownDirectory,
    ownSharedBy,
    gitDirectory: common,
  }
}

/** The directory of husky's own hooks: from version 9 on git gets `.husky/_`, before it got `.husky` itself. */
function huskyHome(directory: string): string | undefined {
  const isThere = (...path: readonly string[]): boolean =>
    lstatSync(join(directory, ...path), { throwIfNoEntry: false }) !== undefined
  if (basename(directory) === "_" && (isThere("h") || isThere("husky.sh"))) return dirname(directory)
  return isThere("_", "husky.sh") ? directory : undefined
}

/** The link that a directory is, where it leads out of all of these; undefined when it does not. */
function linkOutside(directory: string, homes: readonly string[]): string | undefined {
  if (lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return undefined
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) return undefined
  const target = realpathSync(directory)
  return homes.some((home) => target.startsWith(`${realpathSync(home)}${sep}`)) ? undefined : `the link ${directory}`
}

/** core.hooksPath and the file in which it is set for more than this repository; undefined when it is for this one. */
async function sharedOrigin(context: GitContext): Promise<string | undefined> {
  const args = ["config", "--null", "--show-scope", "--show-origin", "--get", "core.hooksPath"]
  const { status, stdout } = await runGit(context, args)
  const [scope, origin = ""] = stdout.toString("utf8").split("\0")
  if (status !== 0 || scope === "local" || scope === "worktree") return undefined
  return `core.hooksPath in ${origin.replace(/^file:/, "")}`
}

async function answerOf(context: GitContext, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runGit(context, args)
  if (status === 0) return stdout.toString("utf8").replace(/\n$/, "")
  throw new GitsignError("ERR_HOOK", `git finds no repository here: ${stderr}`, {
    hint: "go to the top of a repository, bare or with a work tree",
  })
}
