/**
 * Finds trees in which git would not look for paths as it compares them (git's tree-walk.c, tree-diff.c and the checks of git-fsck(1)).
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../errors.ts"
import { type GitObject, readEach } from "./objects.ts"

/**
 * Reads trees and says which of them cannot be trusted in a comparison: an entry whose name is empty or holds a slash, entries in another
 * order than git's, or two of one name. git compares `a/b` in one tree with the folder `a`, and finds no difference, while it checks out
 * something else; most servers take such trees.
 *
 * @param trees ids, or `COMMIT^{tree}`, in hex
 * @returns by what was asked for, the error of each tree that is malformed (ERR_GIT_OBJECT) or cannot be read (ERR_GIT, ERR_DAMAGED)
 * @throws ERR_GIT when git cannot be run
 */
export async function malformedTrees(
  context: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
  trees: readonly string[],
): Promise<Map<string, GitsignError>> {
  const found = new Map<string, GitsignError>()
  let index = 0
  for await (const tree of readEach(context, trees)) {
    const asked = trees[index++] ?? ""
    const error = isGitsignError(tree) ? tree : malformation(tree)
    if (error !== undefined) found.set(asked, error)
  }
  return found
}

/** What is wrong with a tree; undefined when nothing is. Modes are left to git, which reads old ones too. */
function malformation({ id, type, raw }: GitObject): GitsignError | undefined {
  const malformed = (what: string): GitsignError =>
    new GitsignError("ERR_GIT_OBJECT", `the tree ${id} ${what}, so that nobody can say what it holds`, {
      hint: "make the commit anew with git's own commands, and check with: git fsck",
    })
  if (type !== "tree") return malformed(`is a ${type}`)
  const idBytes = id.length / 2
  // Latin-1, so that its order is the order of the bytes.
  const text = raw.toString("latin1")
  let last = ""
  /** The files whose names a folder could still repeat: each begins with the one before it. */
  const files: string[] = []
  for (let at = 0; at < text.length; ) {
    const blank = text.indexOf(" ", at)
    const nul = blank < 0 ? -1 : text.indexOf("\0", blank)
    const next = nul + 1 + idBytes
    if (nul < 0 || next > text.length) return malformed("is cut short")
    const name = text.slice(blank + 1, nul)
    if (name === "" || name.includes("/")) return malformed("has an entry whose name is none")
    // A folder has its place as if its name ended with a slash.
    const isFolder = (Number.parseInt(text.slice(at, blank), 8) & 0o170000) === 0o040000
    const place = isFolder ? `${name}/` : name
    while (files.length > 0 && !name.startsWith(files.at(-1) ?? "")) files.pop()
    if (place === last || (isFolder && files.at(-1) === name)) return malformed("holds one name twice")
    if (place < last) return malformed("is not in git's order")
    if (!isFolder) files.push(name)
    last = place
    at = next
  }
  return undefined
}
