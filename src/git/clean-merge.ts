/**
 * Whether a merge is what git makes of its parents by itself (git-merge-tree(1)): then it brings in nothing of its own.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { GitsignError } from "../errors.ts"
import { type GitContext, runGit } from "./run.ts"

/** A merge and what it claims to be. */
export interface Merge {
  readonly tree: string
  readonly parents: readonly string[]
}

/**
 * Merges the parents again and compares the trees. A merge with conflicts, or of more than two parents, is not clean. Nothing is
 * written to the repository: what git makes goes to a folder that is removed.
 *
 * @throws ERR_GIT when git is older than 2.38, or an object is missing
 */
export async function areCleanMerges(context: GitContext, merges: readonly Merge[]): Promise<boolean[]> {
  if (merges.length === 0) return []
  const { stdout } = await runGit(context, ["rev-parse", "--git-path", "objects"])
  const objects = resolve(context.cwd, stdout.toString("utf8").trimEnd())
  const folder = mkdtempSync(join(tmpdir(), "gitsign-merge-"))
  const inherited = context.env.GIT_ALTERNATE_OBJECT_DIRECTORIES
  const alternates = [quoted(objects), ...(inherited ? [inherited] : [])]
  const env = {
    ...context.env,
    GIT_OBJECT_DIRECTORY: folder,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: alternates.join(":"),
  }
  try {
    const found: boolean[] = []
    for (const merge of merges) found.push(await isClean({ cwd: context.cwd, env }, merge))
    return found
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A colon would end the name in git's list of folders; inside of quotes it does not. */
const quoted = (path: string): string => `"${path.replace(/["\\]/g, "\\$&")}"`

async function isClean(context: GitContext, { tree, parents }: Merge): Promise<boolean> {
  const [one, other, ...more] = parents
  if (one === undefined || other === undefined || more.length > 0) return false
  // The machine's own wishes must not decide what a clean merge is.
  const settings = [
    "merge.renames=true",
    "merge.renormalize=false",
    "merge.directoryRenames=conflict",
    "merge.conflictStyle=merge",
  ]
  const args = settings.flatMap((setting) => ["-c", setting])
  const { status, stdout, stderr } = await runGit(context, [
    ...args,
    "merge-tree",
    "--write-tree",
    "--no-messages",
    one,
    other,
  ])
  if (status === 1) return false
  if (status !== 0) {
    const old = /usage: git merge-tree|not a valid object name|unknown option/i.test(stderr)
    throw new GitsignError("ERR_GIT", old ? "git 2.38 or newer is needed to see whether a merge is clean" : stderr)
  }
  return stdout.toString("latin1").trim() === tree
}
