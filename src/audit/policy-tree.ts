/**
 * A policy in the tree of a commit, read without a work tree.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import type { GitObject } from "../git/objects.ts"
import type { GitContext } from "../git/run.ts"
import { entryOf, type TreeEntry, TreeReader } from "../git/tree-reader.ts"
import {
  MAX_FILE_BYTES,
  missing,
  notOrdinary,
  POLICY_PATHS,
  type PolicyPlace,
  partsOf,
  repositoryPaths,
  tooLarge,
} from "./policy-place.ts"

const KIND_WORDS: Readonly<Record<TreeEntry["kind"], string>> = {
  file: "a file, not a folder",
  folder: "a folder, not a file",
  link: "a link",
  submodule: "a submodule",
}

/**
 * The policy that lies where policies are looked for; undefined when there is none. Closing it is the business of whoever made the
 * reader. Policies with the same `key` are equal, with all that lies beside them.
 *
 * @param label what to call the commit
 * @throws ERR_POLICY_FILE, ERR_POLICY_LIMIT, ERR_GIT, ERR_DAMAGED
 */
export async function findInTree(
  reader: TreeReader,
  root: GitObject,
  label: string,
): Promise<(PolicyPlace & { readonly key: string }) | undefined> {
  for (const path of POLICY_PATHS) {
    const [folder = "", name = ""] = path.split("/")
    const source = `${label}:${path}`
    const tree = await folderIn(reader, root, folder, `${label}:${folder}`)
    const entry = tree && entryOf(tree, name)
    if (tree === undefined || entry === undefined) continue
    return { ...(await placeOf(reader, tree, entry, path, source)), key: `${folder}/${tree.id}`, close: async () => {} }
  }
  return undefined
}

/**
 * The policy that `REVISION:PATH` names.
 *
 * @throws ERR_POLICY_MISSING when either is not there, and as {@link findInTree}
 */
export async function treePlace(
  context: GitContext,
  revision: string,
  path: string,
  source: string,
): Promise<PolicyPlace> {
  if (revision === "") throw missing(source, "no commit is named before the colon")
  const parts = partsOf(path, source)
  const reader = new TreeReader(context)
  const hint = (name: string): string =>
    `say which: refs/heads/${name}${revision.slice(name.length)}:${path}, refs/tags/…, or a whole object id`
  try {
    const root = await reader.root(revision)
    if (root === undefined) throw missing(source, `there is no commit ${revision} in this repository`)
    let tree: GitObject = root
    for (const [index, part] of parts.slice(0, -1).entries()) {
      const next = await folderIn(reader, tree, part, `${revision}:${parts.slice(0, index + 1).join("/")}`)
      if (next === undefined) throw missing(source, "that commit has no such file")
      tree = next
    }
    const entry = entryOf(tree, parts.at(-1) ?? "")
    if (entry === undefined) throw missing(source, "that commit has no such file")
    return { ...(await placeOf(reader, tree, entry, path, source)), close: () => reader.close(hint) }
  } catch (error) {
    // That a name is ambiguous says more than what was found under one of its meanings.
    await reader.close(hint)
    throw error
  }
}

async function placeOf(
  reader: TreeReader,
  folder: GitObject,
  entry: TreeEntry,
  path: string,
  source: string,
): Promise<Omit<PolicyPlace, "close">> {
  return {
    source,
    text: await fileOf(reader, entry, source),
    paths: (beside) => repositoryPaths(path, beside),
    beside: async (name) => {
      const what = `${name} beside ${source}`
      const parts = partsOf(name, what)
      let tree = folder
      for (const part of parts.slice(0, -1)) {
        const next = await folderIn(reader, tree, part, `${part} on the way to ${what}`)
        if (next === undefined) return undefined
        tree = next
      }
      const found = entryOf(tree, parts.at(-1) ?? "")
      return found && fileOf(reader, found, what)
    },
  }
}

async function folderIn(
  reader: TreeReader,
  tree: GitObject,
  name: string,
  what: string,
): Promise<GitObject | undefined> {
  const entry = entryOf(tree, name)
  if (entry === undefined) return undefined
  if (entry.kind !== "folder") throw notOrdinary(what, KIND_WORDS[entry.kind])
  const found = await reader.tree(entry.id)
  if (found.type !== "tree") throw new GitsignError("ERR_DAMAGED", `the repository is damaged: ${what} is no tree`)
  return found
}

async function fileOf(reader: TreeReader, entry: TreeEntry, what: string): Promise<Buffer> {
  if (entry.kind !== "file") throw notOrdinary(what, KIND_WORDS[entry.kind])
  const bytes = await reader.blob(entry.id, MAX_FILE_BYTES)
  if (bytes === "larger") throw tooLarge(what)
  return bytes
}
