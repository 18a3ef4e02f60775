/**
 * Whether a merge is what git makes of its parents by itself (git-merge-tree(1)): then it brings in nothing of its own.
 *
 * @module
 */

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join, resolve } from "node:path"
import { GitsignError } from "../errors.ts"
import { type GitContext, runGit } from "./run.ts"

/** A merge and what it claims to be. */
export interface Merge {
  /** Hex. */
  readonly tree: string
  readonly parents: readonly string[]
}

/**
 * Merges the parents again and compares the trees. A merge with conflicts, of more than two parents, or of histories that have nothing in
 * common is not clean. Nothing is written to the repository.
 *
 * It is done in an empty repository beside it that borrows its objects. In the repository itself `.gitattributes` of whatever is checked
 * out could choose how files are merged, down to the programs that are configured here, and so what counts as clean.
 *
 * @throws ERR_GIT when git is older than 2.38, or an object is missing
 */
export async function areCleanMerges(context: GitContext, merges: readonly Merge[]): Promise<boolean[]> {
  if (merges.length === 0) return []
  const { stdout } = await runGit(context, ["rev-parse", "--git-path", "objects", "--git-path", "shallow"])
  const [objects = "", shallow = ""] = stdout.toString("utf8").trimEnd().split("\n")
  const folder = mkdtempSync(join(tmpdir(), "gitsign-merge-"))
  try {
    makeRepository(folder, merges[0]?.tree.length === 64 ? "sha256" : "sha1")
    const ends = resolve(context.cwd, shallow)
    if (existsSync(ends)) copyFileSync(ends, join(folder, "shallow"))
    const place = { cwd: folder, env: environmentOf(context, folder, resolve(context.cwd, objects)) }
    const found: boolean[] = []
    for (const merge of merges) found.push(await isClean(place, merge))
    return found
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** As little as git takes for a repository (gitrepository-layout(5)). */
function makeRepository(folder: string, objectFormat: "sha1" | "sha256"): void {
  for (const name of ["objects", "refs"]) mkdirSync(join(folder, name))
  writeFileSync(join(folder, "HEAD"), "ref: refs/heads/none\n")
  const version = objectFormat === "sha1" ? 0 : 1
  const extension = objectFormat === "sha1" ? "" : "[extensions]\n\tobjectFormat = sha256\n"
  writeFileSync(join(folder, "config"), `[core]\n\trepositoryFormatVersion = ${version}\n\tbare = true\n${extension}`)
}

/** Of the environment, nothing that says where a repository is or how git is configured: the machine's wishes decide nothing here. */
function environmentOf({ cwd, env }: GitContext, folder: string, objects: string): NodeJS.ProcessEnv {
  const others = Object.entries(env).filter(([name]) => !/^GIT_(?!EXEC_PATH$|TRACE)/i.test(name))
  const inherited = env.GIT_ALTERNATE_OBJECT_DIRECTORIES
  return {
    ...Object.fromEntries(others),
    GIT_DIR: folder,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: join(folder, "none"),
    GIT_ATTR_NOSYSTEM: "1",
    // Without it git takes attributes from a file in the home directory.
    XDG_CONFIG_HOME: folder,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: [quoted(objects), ...(inherited ? [fromHere(cwd, inherited)] : [])].join(
      delimiter,
    ),
  }
}

/** Relative folders in the list are relative to where git was started, and that is elsewhere now. */
const fromHere = (cwd: string, list: string): string =>
  list.includes('"')
    ? list
    : list
        .split(delimiter)
        .map((path) => quoted(resolve(cwd, path)))
        .join(delimiter)

/** A colon would end the name in git's list of folders; inside of quotes it does not. */
const quoted = (path: string): string => `"${path.replace(/["\\]/g, "\\$&")}"`

async function isClean(context: GitContext, { tree, parents }: Merge): Promise<boolean> {
  const [one, other, ...more] = parents
  if (one === undefined || other === undefined || more.length > 0) return false
  const args = ["merge-tree", "--write-tree", "--no-messages", one, other]
  const { status, stdout, stderr } = await runGit(context, ["-c", "merge.directoryRenames=conflict", ...args])
  if (status === 1 || stderr.includes("refusing to merge unrelated histories")) return false
  if (status !== 0) {
    const old = /usage: git merge-tree|not a valid object name|unknown option/i.test(stderr)
    throw new GitsignError("ERR_GIT", old ? "git 2.38 or newer is needed to see whether a merge is clean" : stderr)
  }
  return stdout.toString("latin1").trim() === tree
}
