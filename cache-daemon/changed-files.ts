/**
 * Which files a commit changes, proven from git objects that the requester sends (git's trees, `MODE SP NAME NUL ID`).
 *
 * An object is believed only as the bytes that its id stands for, beginning with the ids in the payload itself. A
 * requester that lies, or leaves something out, gets "unknown". In a SHA-1 repository the proof is as good as SHA-1 is.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError, isGitsignError } from "../src/errors.ts"
import { latin1 } from "../src/formats/der.ts"
import type { ObjectFormat } from "../src/formats/git-object.ts"
import { parseSignedPayload } from "../src/formats/signed-payload.ts"
import { textOf } from "./display-line.ts"

/** A path whose content, kind or mode is another one than in the first parent. */
export interface ChangedFile {
  /** From the top of the repository; bytes that are not UTF-8 are escapes. The caller MUST escape it where it is shown. */
  readonly path: string
  readonly kind: "added" | "deleted" | "modified"
}

/** What follows from the objects. */
export type ChangedFiles =
  | {
      readonly status: "proven"
      /** In the order of their names; a submodule is one entry. */
      readonly files: readonly ChangedFile[]
      /** There are more: these are the first 10,000, or 4 MiB of paths. */
      readonly truncated: boolean
    }
  | { readonly status: "unknown"; readonly reason: string }

/** Sizes are in bytes. */
const LIMITS = {
  objects: 4096,
  object: 2 * 1024 * 1024,
  total: 8 * 1024 * 1024,
  files: 10_000,
  /** Entries read in all: one tree object can be named in many places, each of which is a walk of its own. */
  entries: 400_000,
  depth: 256,
  path: 4096,
  paths: 4 * 1024 * 1024,
} as const

const fail = (reason: string): never => {
  throw new GitsignError("ERR_GIT_OBJECT", reason)
}

/**
 * Finds the files that differ between the payload's tree and the tree of its first parent; all files for a commit
 * without parents.
 *
 * @param objects raw git objects, `TYPE SP SIZE NUL CONTENT`: the first parent, and the trees on the changed paths of
 * both sides. Others do no harm.
 * @returns "unknown" with a reason for anything that does not prove it; the reason may quote the payload. Never throws.
 */
export function changedFiles(payload: Uint8Array, objects: readonly Uint8Array[]): ChangedFiles {
  try {
    const { type, objectFormat, tree, parents } = parseSignedPayload(payload)
    if (type !== "commit" || tree === undefined) return { status: "unknown", reason: "a tag changes no files" }
    const walk = new TreeWalk(new ObjectStore(objects, objectFormat))
    walk.compare(parents[0] === undefined ? undefined : walk.store.treeOfCommit(parents[0]), tree)
    return { status: "proven", files: walk.files, truncated: walk.truncated }
  } catch (error) {
    if (isGitsignError(error)) return { status: "unknown", reason: error.message }
    throw error
  }
}

interface TreeEntry {
  readonly mode: string
  /** Latin-1, so that its order is the order of the bytes. */
  readonly name: string
  readonly id: string
}

/** git writes these; 100664 is from its first months. */
const MODES = ["40000", "100644", "100755", "120000", "160000", "100664"]
const TREE = "40000"

const isTree = (entry: TreeEntry | undefined): entry is TreeEntry => entry?.mode === TREE

/** The requester's objects under the ids that they really have. */
class ObjectStore {
  readonly #objects = new Map<string, Buffer>()
  readonly #idBytes: number
  #entries = 0

  constructor(objects: readonly Uint8Array[], objectFormat: ObjectFormat) {
    if (objects.length === 0) fail("the requester sent no objects to tell them from")
    const size = objects.reduce((sum, { length }) => sum + length, 0)
    if (objects.length > LIMITS.objects || size > LIMITS.total) fail("the requester sent too many objects")
    if (objects.some(({ length }) => length > LIMITS.object)) fail("the requester sent an object that is too large")
    // Every git knows the empty tree without having it.
    for (const raw of [Buffer.from("tree 0\0", "latin1"), ...objects]) {
      const id = createHash(objectFormat).update(raw).digest("hex")
      this.#objects.set(id, Buffer.from(raw.buffer, raw.byteOffset, raw.length))
    }
    this.#idBytes = objectFormat === "sha1" ? 20 : 32
  }

  #content(id: string, type: "commit" | "tree"): Buffer {
    const raw = this.#objects.get(id)
    if (raw === undefined) return fail(`the requester did not send the ${type} ${id.slice(0, 12)}`)
    const header = /^(commit|tree) (0|[1-9][0-9]{0,9})\0/.exec(latin1(raw.subarray(0, 32)))
    if (header?.[1] !== type) return fail(`object ${id.slice(0, 12)} is no ${type}`)
    const content = raw.subarray(header[0].length)
    return content.length === Number(header[2]) ? content : fail(`object ${id.slice(0, 12)} has not its own size`)
  }

  treeOfCommit(id: string): string {
    const commit = this.#content(id, "commit")
    const digits = 2 * this.#idBytes
    const [, tree = ""] = /^tree ([0-9a-f]+)\n/.exec(latin1(commit.subarray(0, digits + 6))) ?? []
    return tree.length === digits ? tree : fail("the parent names no tree")
  }

  /** The entries of a tree by their names; an absent tree is an empty one. */
  entries(id: string | undefined): ReadonlyMap<string, TreeEntry> {
    const entries = new Map<string, TreeEntry>()
    if (id === undefined) return entries
    const content = this.#content(id, "tree")
    let last = ""
    for (let at = 0; at < content.length; ) {
      if (++this.#entries > LIMITS.entries) fail("the trees are too large")
      const space = content.indexOf(0x20, at)
      const nul = content.indexOf(0, at)
      const end = nul + 1 + this.#idBytes
      if (space < 0 || nul < space || end > content.length) return fail("a tree is cut short")
      const mode = content.toString("latin1", at, space)
      const name = content.toString("latin1", space + 1, nul)
      if (!MODES.includes(mode)) fail("a tree has an entry of an unknown kind")
      if (name === "" || name === "." || name === ".." || name.includes("/")) fail("a tree has a name that is none")
      // git finds names by their order: in another one, or twice, it is not clear what would be checked out.
      const place = mode === TREE ? `${name}/` : name
      if (place <= last || entries.has(name)) fail("a tree is not in git's order")
      last = place
      entries.set(name, { mode, name, id: content.toString("hex", nul + 1, end) })
      at = end
    }
    return entries
  }
}

/** Goes through two trees side by side, along what differs. */
class TreeWalk {
  readonly store: ObjectStore
  readonly files: ChangedFile[] = []
  truncated = false
  #pathBytes = 0

  constructor(store: ObjectStore) {
    this.store = store
  }

  compare(before: string | undefined, after: string | undefined, path = "", depth = 0): void {
    if (before === after) return
    if (depth > LIMITS.depth) fail("the trees are too deep")
    const old = this.store.entries(before)
    const now = this.store.entries(after)
    const names = [...old.keys()].filter((name) => differ(old.get(name), now.get(name)))
    const added = [...now.keys()].filter((name) => !old.has(name))
    for (const name of [...names, ...added].sort()) {
      if (this.truncated) return
      this.#compareEntry(old.get(name), now.get(name), `${path}${name}`, depth)
    }
  }

  #compareEntry(old: TreeEntry | undefined, now: TreeEntry | undefined, path: string, depth: number): void {
    const oldFile = old !== undefined && !isTree(old)
    const newFile = now !== undefined && !isTree(now)
    // A file that becomes a directory is deleted, and the files in that are added.
    if (oldFile || newFile) this.#add(path, oldFile && newFile ? "modified" : oldFile ? "deleted" : "added")
    const oldTree = isTree(old) ? old.id : undefined
    const newTree = isTree(now) ? now.id : undefined
    this.compare(oldTree, newTree, `${path}/`, depth + 1)
  }

  #add(path: string, kind: ChangedFile["kind"]): void {
    if (path.length > LIMITS.path) fail("a path is too long")
    this.#pathBytes += path.length
    if (this.files.length === LIMITS.files || this.#pathBytes > LIMITS.paths) this.truncated = true
    else this.files.push({ path: textOf(Buffer.from(path, "latin1")), kind })
  }
}

const differ = (one: TreeEntry | undefined, other: TreeEntry | undefined): boolean =>
  one?.mode !== other?.mode || one?.id !== other?.id
