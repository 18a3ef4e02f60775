/**
 * What names stand for, many of them asked of one git process (git-cat-file(1), `--batch-check`).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { feedGit } from "./revisions.ts"
import type { GitContext } from "./run.ts"

/** An object that is there. */
export interface FoundObject {
  readonly type: "commit" | "tag" | "tree" | "blob"
  readonly id: string
}

/**
 * Looks up object ids, or paths in commits such as `ID:path`, and answers in their order; undefined for what is not there. The names
 * go to git's stdin, so none can be taken for an option.
 *
 * @throws ERR_GIT when git cannot be run, or answers less than it was asked
 */
export async function lookUp(
  context: GitContext,
  names: readonly string[],
): Promise<readonly (FoundObject | undefined)[]> {
  if (names.length === 0) return []
  for (const name of names) {
    if (/[\n\0]/.test(name)) throw new GitsignError("ERR_GIT", "a name cannot hold a line feed or a NUL")
  }
  const args = ["cat-file", "--batch-check=%(objecttype) %(objectname)", "--buffer"]
  const { status, stdout, stderr } = await feedGit(context, args, `${names.join("\n")}\n`)
  const lines = stdout.toString("latin1").split("\n").slice(0, -1)
  if (status !== 0 || lines.length !== names.length) {
    throw new GitsignError("ERR_GIT", stderr || "git did not look up everything that it was asked for")
  }
  return lines.map((line) => {
    const [, type, id] = /^(commit|tag|tree|blob) ([0-9a-f]{40,64})$/.exec(line) ?? []
    return type === undefined || id === undefined ? undefined : { type: type as FoundObject["type"], id }
  })
}
