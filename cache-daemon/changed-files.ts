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
      /** There are more: these are the first 10,000, or 1 MiB of paths. */
      readonly truncated: boolean
    }
  | { readonly status: "unknown"; readonly reason: string }

/** Sizes are in bytes. */
const LIMITS = {
  objects: 4096,
  object: 2 * 1024 * 1024,
  total: 8 * 1024 * 1024,
  files: 10_000,
  /** One tree object can be named in many places, each of which is a walk of its own: this is what all may cost. */
  walked: 16 * 1024 * 1024,
  /** What a walk through an empty folder costs, and any other beside its size. */
  folder: 1024,
  depth: 256,
  /** A path, and so any name in it. */
  path: 4096,
  paths: 1024 * 1024,
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
    walk.compare(parents[0] === undefined ? undefined : walk.store.treeOfCommit(fromHex(parents[0])), fromHex(tree))
    return { status: "proven", files: walk.files, truncated: walk.truncated }
  } catch (error) {
    if (isGitsignError(error)) return { status: "unknown", reason: error.message }
    throw error
  }
}

interface TreeEntry {
  /** Latin-1, so that its order is the order of the bytes; a folder's ends with "/", which is how git sorts it. */
  readonly place: string
  readonly mode: string
  /** Latin-1. */
  readonly id: string
}

interface Tree {
  readonly entries: readonly TreeEntry[]
  readonly size: number
}

/** git writes these; 100664 is from its first months. */
const MODES = new Set(["40000", "100644", "100755", "120000", "160000", "100664"])
const TREE = "40000"

const NOTHING: Tree = { entries: [], size: 0 }

const isTree = (entry: TreeEntry | undefined): entry is TreeEntry => entry?.mode === TREE

const fromHex = (id: string): string => Buffer.from(id, "hex").toString("latin1")
const short = (id: string): string => Buffer.from(id, "latin1").toString("hex").slice(0, 12)

/** The requester's objects under the ids that they really have, as Latin-1. */
class ObjectStore {
  readonly #objects = new Map<string, Buffer>()
  readonly #trees = new Map<string, Tree>()
  readonly #idBytes: number

  constructor(objects: readonly Uint8Array[], objectFormat: ObjectFormat) {
    if (objects.length === 0) fail("the requester sent no objects to tell them from")
    const size = objects.reduce((sum, { length }) => sum + length, 0)
    if (objects.length > LIMITS.objects || size > LIMITS.total) fail("the requester sent too many objects")
    if (objects.some(({ length }) => length > LIMITS.object)) fail("the requester sent an object that is too large")
    // Every git knows the empty tree without having it.
    for (const raw of [Buffer.from("tree 0\0", "latin1"), ...objects]) {
      const id = latin1(createHash(objectFormat).update(raw).digest())
      this.#objects.set(id, Buffer.from(raw.buffer, raw.byteOffset, raw.length))
    }
    this.#idBytes = objectFormat === "sha1" ? 20 : 32
  }

  #content(id: string, type: "commit" | "tree"): Buffer {
    const raw = this.#objects.get(id)
    if (raw === undefined) return fail(`the requester did not send the ${type} ${short(id)}`)
    const header = /^(commit|tree) (0|[1-9][0-9]{0,9})\0/.exec(latin1(raw.subarray(0, 32)))
    if (header?.[1] !== type) return fail(`object ${short(id)} is no ${type}`)
    const content = raw.subarray(header[0].length)
    return content.length === Number(header[2]) ? content : fail(`object ${short(id)} has not its own size`)
  }

  treeOfCommit(id: string): string {
    const commit = this.#content(id, "commit")
    const digits = 2 * this.#idBytes
    const [, tree = ""] = /^tree ([0-9a-f]+)\n/.exec(latin1(commit.subarray(0, digits + 6))) ?? []
    return tree.length === digits ? fromHex(tree) : fail("the parent names no tree")
  }

  /** A tree, which is parsed once however many places it has; an absent tree is an empty one. */
  tree(id: string | undefined): Tree {
    if (id === undefined) return NOTHING
    let tree = this.#trees.get(id)
    if (tree === undefined) {
      tree = parseTree(this.#content(id, "tree"), this.#idBytes)
      this.#trees.set(id, tree)
    }
    return tree
  }
}

function parseTree(content: Buffer, idBytes: number): Tree {
  const text = latin1(content)
  const entries: TreeEntry[] = []
  let last = ""
  /** The files that a folder's name could still repeat: each begins with the one before it. */
  const files: string[] = []
  for (let at = 0; at < text.length; ) {
    const space = text.indexOf(" ", at)
    const nul = text.indexOf("\0", at)
    const end = nul + 1 + idBytes
    if (space < 0 || nul < space || end > text.length) return fail("a tree is cut short")
    if (nul - space > LIMITS.path) return fail("a path is too long")
    const mode = text.slice(at, space)
    const name = text.slice(space + 1, nul)
    if (!MODES.has(mode)) fail("a tree has an entry of an unknown kind")
    if (name === "" || name === "." || name === ".." || name.includes("/")) fail("a tree has a name that is none")
    // git finds names by their order: in another one, or twice, it is not clear what would be checked out.
    const place = mode === TREE ? `${name}/` : name
    if (place <= last) fail("a tree is not in git's order")
    while (files.length > 0 && !name.startsWith(files.at(-1) ?? "")) files.pop()
    if (mode !== TREE) files.push(name)
    else if (files.at(-1) === name) fail("a tree is not in git's order")
    last = place
    entries.push({ place, mode, id: text.slice(nul + 1, end) })
    at = end
  }
  return { entries, size: text.length }
}

/** Goes through two trees side by side, along what differs. */
class TreeWalk {
  readonly store: ObjectStore
  readonly files: ChangedFile[] = []
  truncated = false
  #pathBytes = 0
  #walked = 0

  constructor(store: ObjectStore) {
    this.store = store
  }

  compare(before: string | undefined, after: string | undefined, path = "", depth = 0): void {
    if (before === after) return
    if (depth > LIMITS.depth) fail("the trees are too deep")
    if (path.length > LIMITS.path) fail("a path is too long")
    const old = this.store.tree(before)
    const now = this.store.tree(after)
    this.#walked += old.size + now.size + LIMITS.folder
    if (this.#walked > LIMITS.walked) fail("the trees are too large")
    for (let i = 0, j = 0; !this.truncated; ) {
      const one = old.entries[i]
      const other = now.entries[j]
      if (one === undefined && other === undefined) return
      const isOld = other === undefined || (one !== undefined && one.place <= other.place)
      const isNow = one === undefined || (other !== undefined && other.place <= one.place)
      if (isOld) i++
      if (isNow) j++
      this.#compareEntry(isOld ? one : undefined, isNow ? other : undefined, path, depth)
    }
  }

  /** Two entries of one place are both folders or neither: a file that becomes a folder has two places. */
  #compareEntry(old: TreeEntry | undefined, now: TreeEntry | undefined, path: string, depth: number): void {
    const entry = now ?? old
    if (entry === undefined || (old?.id === now?.id && old?.mode === now?.mode)) return
    const place = `${path}${entry.place}`
    if (!isTree(entry)) this.#add(place, old === undefined ? "added" : now === undefined ? "deleted" : "modified")
    else this.compare(old?.id, now?.id, place, depth + 1)
  }

  #add(path: string, kind: ChangedFile["kind"]): void {
    if (path.length > LIMITS.path) fail("a path is too long")
    this.#pathBytes += path.length
    if (this.files.length === LIMITS.files || this.#pathBytes > LIMITS.paths) this.truncated = true
    else this.files.push({ path: textOf(Buffer.from(path, "latin1")), kind })
  }
}
