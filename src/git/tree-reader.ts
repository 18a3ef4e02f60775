/**
 * Reads single files of a commit out of its trees, without a work tree (git-cat-file(1), `--batch`). A tree is
 * a row of `mode SP name NUL id` (git's tree-walk.c).
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError } from "../errors.ts"
import { ambiguous, ambiguousName, ByteReader, type GitObject } from "./objects.ts"
import { isWholeName } from "./revisions.ts"
import { collectStderr, type GitContext, startError, startGit } from "./run.ts"

/** What one name in a tree stands for. */
export interface TreeEntry {
  readonly kind: "file" | "folder" | "link" | "submodule"
  /** Hex. */
  readonly id: string
}

/** The root tree of a commit: 200,000 names of 100 bytes. */
const MAX_TREE_BYTES = 32 * 1024 * 1024

/** Asks one git process for one object after the other. The caller MUST call {@link TreeReader.close} and wait for it. */
export class TreeReader {
  readonly #child: ReturnType<typeof startGit>
  readonly #reader: ByteReader
  readonly #stderr: () => string
  readonly #ended: Promise<GitsignError | undefined>
  readonly #context: GitContext
  #idLength = 0

  constructor(context: GitContext) {
    this.#context = context
    // What is not here is told; a verification is no time for a download.
    const offline = { cwd: context.cwd, env: { ...context.env, GIT_NO_LAZY_FETCH: "1" } }
    this.#child = startGit(offline, ["-c", "core.warnAmbiguousRefs=true", "cat-file", "--batch"])
    this.#stderr = collectStderr(this.#child)
    this.#ended = new Promise((resolve) => {
      this.#child.on("error", (error) => resolve(startError(error)))
      this.#child.on("close", () => resolve(undefined))
    })
    // git may end before it has read everything; that shows in its answers.
    this.#child.stdin.on("error", () => undefined)
    this.#reader = new ByteReader(this.#child.stdout)
  }

  /**
   * The root tree that a revision stands for; undefined where it names nothing. `HEAD` and a whole name are what they say, whatever tags
   * are called so.
   *
   * @throws ERR_GIT when it is ambiguous or cannot be read; ERR_DAMAGED when its bytes are not those of its id
   */
  async root(revision: string): Promise<GitObject | undefined> {
    if (/[\n\0]/.test(revision)) throw new GitsignError("ERR_GIT", "a revision cannot hold a line feed or a NUL")
    const found = await this.#read(`${revision}^{tree}`, MAX_TREE_BYTES)
    if (found === undefined || !(await isWholeName(this.#context, revision))) return undefined
    return found === "larger" ? this.#tooLarge("tree", revision) : found
  }

  /**
   * A tree by its id.
   *
   * @throws ERR_GIT when it is not here; ERR_DAMAGED as {@link root}
   */
  async tree(id: string): Promise<GitObject> {
    const found = await this.#read(id, MAX_TREE_BYTES)
    return found === "larger" ? this.#tooLarge("tree", id) : (found ?? this.#absent("tree", id))
  }

  /**
   * The bytes of a file by its id; "larger" when they are more than `maxBytes`, none of which is read then, and the reader
   * can then only be closed.
   *
   * @throws as {@link tree}
   */
  async blob(id: string, maxBytes: number): Promise<Buffer | "larger"> {
    const found = await this.#read(id, maxBytes)
    if (found === "larger") return found
    return (found ?? this.#absent("file", id)).raw
  }

  /**
   * Ends git.
   *
   * @throws ERR_GIT when a revision that was asked for stands for more than one thing: whoever may push a tag could put it
   * before the branch of the same name
   * @param hint says how to name the one that is meant
   */
  async close(hint?: (name: string) => string): Promise<void> {
    this.#child.stdin.end()
    this.#child.stdout.destroy()
    await this.#ended
    const name = ambiguousName(this.#stderr(), this.#idLength)
    if (name === undefined) return
    const error = ambiguous(name)
    throw hint === undefined ? error : new GitsignError(error.code, error.message, { hint: hint(name) })
  }

  async #read(name: string, maxBytes: number): Promise<GitObject | undefined | "larger"> {
    this.#child.stdin.write(`${name}\n`)
    const header = await this.#reader.line()
    if (header === undefined) throw await this.#failure(name)
    if (header.endsWith(" missing")) return undefined
    const [, id = "", type = "", size = ""] = /^([0-9a-f]{40,64}) (commit|tag|tree|blob) (\d+)$/.exec(header) ?? []
    if (id === "") throw new GitsignError("ERR_GIT", `${name} names more than one thing in this repository`)
    this.#idLength = id.length
    if (Number(size) > maxBytes) return "larger"
    const raw = await this.#reader.bytes(Number(size))
    if (raw === undefined || (await this.#reader.bytes(1)) === undefined) throw await this.#failure(name)
    const hash = createHash(id.length === 40 ? "sha1" : "sha256").update(`${type} ${size}\0`)
    if (hash.update(raw).digest("hex") !== id) {
      throw new GitsignError("ERR_DAMAGED", `the repository is damaged: ${type} ${id} holds bytes of another object`)
    }
    return { type: type as GitObject["type"], id, raw }
  }

  async #failure(name: string): Promise<GitsignError> {
    return (await this.#ended) ?? new GitsignError("ERR_GIT", this.#stderr() || `git did not read ${name}`)
  }

  #absent(what: string, id: string): never {
    throw new GitsignError("ERR_GIT", `the ${what} ${id} is not in this clone`, {
      hint: `fetch it with: git cat-file -e ${id}`,
    })
  }

  #tooLarge(what: string, name: string): never {
    throw new GitsignError("ERR_GIT", `the ${what} of ${name} is larger than ${MAX_TREE_BYTES} bytes`)
  }
}

/** The type bits of a mode (git's object.h), which trees hold in octal digits. */
const KINDS: ReadonlyMap<number, TreeEntry["kind"]> = new Map([
  [0o04, "folder"],
  [0o10, "file"],
  [0o12, "link"],
  [0o16, "submodule"],
])

/**
 * What a name stands for in a tree; undefined when it is not in it.
 *
 * @throws ERR_DAMAGED when the tree is malformed, or holds the name twice: git takes either, so that nobody could say which one was
 * meant. So it is with names that are empty or have a slash: `.gitsign/policy.yaml` may be one of them
 */
export function entryOf(tree: GitObject, name: string): TreeEntry | undefined {
  const idBytes = tree.id.length / 2
  const wanted = Buffer.from(name, "utf8")
  let found: TreeEntry | undefined
  for (let at = 0; at < tree.raw.length; ) {
    const blank = tree.raw.indexOf(0x20, at)
    const end = blank < 0 ? -1 : tree.raw.indexOf(0, blank)
    const next = end + 1 + idBytes
    const mode = blank < 0 ? "" : tree.raw.toString("latin1", at, blank)
    if (end < 0 || next > tree.raw.length || !/^[0-7]{5,6}$/.test(mode)) {
      throw new GitsignError("ERR_DAMAGED", `the repository is damaged: tree ${tree.id} is malformed`)
    }
    const here = tree.raw.subarray(blank + 1, end)
    if (here.length === 0 || here.includes(0x2f)) {
      const what = here.length === 0 ? "an entry without a name" : "an entry with a slash in its name"
      throw new GitsignError("ERR_DAMAGED", `the repository is damaged: tree ${tree.id} holds ${what}`)
    }
    if (wanted.equals(here)) {
      const kind = KINDS.get(Number.parseInt(mode, 8) >> 12)
      if (found !== undefined || kind === undefined) {
        const what = found === undefined ? `gives ${name} the mode ${mode}` : `holds ${name} twice`
        throw new GitsignError("ERR_DAMAGED", `the repository is damaged: tree ${tree.id} ${what}`)
      }
      found = { kind, id: tree.raw.toString("hex", end + 1, next) }
    }
    at = next
  }
  return found
}
