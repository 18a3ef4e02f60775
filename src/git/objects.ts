/**
 * Reads git objects as stored, many from one process (git-cat-file(1), `--batch`).
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError, isGitsignError } from "../errors.ts"
import { collectStderr, type GitContext, startError, startGit } from "./run.ts"

/** One object, its bytes exactly as they are hashed and signed. */
export interface GitObject {
  readonly type: "commit" | "tag" | "tree" | "blob"
  /** 40 hex digits in a SHA-1 repository, 64 in a SHA-256 repository. */
  readonly id: string
  /** The content without git's `type size NUL` header. */
  readonly raw: Buffer
}

/** Commits and tags are small; what is larger than this was not made to be signed. 16 MiB. */
const MAX_OBJECT_BYTES = 16 * 1024 * 1024

/**
 * Reads the objects that the revisions name, in their order, from one git process. The id of each object is computed
 * again from its bytes, since git does not do so when it reads: what is verified is what the id stands for.
 *
 * The revisions go to git's stdin, never into its arguments, so none can be taken for an option. One that names nothing
 * ends the reading; what was read before stays good.
 *
 * @throws ERR_GIT when a revision names nothing or is ambiguous, or a tree or file is larger than 16 MiB; ERR_GIT_OBJECT when a
 * commit or tag is; ERR_DAMAGED when an object is damaged
 */
export async function* readObjects(context: GitContext, revisions: readonly string[]): AsyncGenerator<GitObject> {
  for await (const found of readEach(context, revisions)) {
    if (isGitsignError(found)) throw found
    yield found
  }
}

/**
 * The same, but what cannot be read is answered by an error in its place, and the reading goes on behind it: one damaged
 * object must not hide the others.
 *
 * @throws ERR_GIT when git cannot be run, or a name is ambiguous
 */
export async function* readEach(
  context: GitContext,
  revisions: readonly string[],
): AsyncGenerator<GitObject | GitsignError> {
  for (const revision of revisions) {
    if (/[\n\0]/.test(revision)) throw new GitsignError("ERR_GIT", "a revision cannot hold a line feed or a NUL")
  }
  for (let from = 0; from < revisions.length; ) {
    for await (const found of readFrom(context, revisions.slice(from))) {
      from++
      yield found
    }
  }
}

/** Reads until git ends, which it does in the middle when an object is damaged in certain ways: then the last answer is that error. */
async function* readFrom(context: GitContext, revisions: readonly string[]): AsyncGenerator<GitObject | GitsignError> {
  const child = startGit(context, ["-c", "core.warnAmbiguousRefs=true", "cat-file", "--batch", "--buffer"])
  const stderr = collectStderr(child)
  const ended = new Promise<GitsignError | undefined>((resolve) => {
    child.on("error", (error) => resolve(startError(error)))
    child.on("close", () => resolve(undefined))
  })
  // git may end before it has read everything; that shows in its answers.
  child.stdin.on("error", () => undefined)
  child.stdin.end(revisions.map((revision) => `${revision}\n`).join(""))
  const reader = new ByteReader(child.stdout)
  let idLength = 0
  try {
    for (const revision of revisions) {
      const object = await readObject(reader, revision)
      if (object !== undefined && "id" in object) idLength = object.id.length
      if (object === undefined) {
        const notStarted = await ended
        if (notStarted !== undefined) throw notStarted
        yield isDamage(stderr())
          ? new GitsignError("ERR_DAMAGED", `the repository is damaged: ${stderr()}`)
          : new GitsignError("ERR_GIT", stderr() || `git did not read ${revision}`)
        return
      }
      yield object
    }
    await ended
    const name = ambiguousName(stderr(), idLength)
    if (name !== undefined) throw ambiguous(name)
  } finally {
    // Also when the caller stops early: git must not wait for a reader that is gone.
    child.kill()
  }
}

/**
 * The name of which git says that it stands for more than one thing: a tag or branch may be named like another, or like the beginning of
 * an id, and what is checked out by that name may be something else. `HEAD` (`@`), a whole name and a whole id are always what they say.
 *
 * @param idLength how many digits a whole id has
 */
export function ambiguousName(stderr: string, idLength: number): string | undefined {
  const names = [...stderr.matchAll(/refname '(.*)' is ambiguous/g)].map(([, name = ""]) => name)
  return names.find(
    (name) => !/^(HEAD|@|refs\/.*)$/s.test(name) && !(name.length === idLength && /^[0-9a-f]+$/.test(name)),
  )
}

/** The error for it. */
export const ambiguous = (name: string): GitsignError =>
  new GitsignError("ERR_GIT", `${name} names more than one thing in this repository`, {
    hint: "say which: refs/heads/NAME, refs/tags/NAME, or a whole object id",
  })

/** Whether git's words are about an object that is there and cannot be read. */
const isDamage = (stderr: string): boolean => /corrupt|inflate|unpack|bad object|hash mismatch/.test(stderr)

/**
 * Reads the one object that `revision` names.
 *
 * @throws ERR_GIT as {@link readObjects}
 */
export async function readOneObject(context: GitContext, revision: string): Promise<GitObject> {
  let found: GitObject | undefined
  for await (const object of readObjects(context, [revision])) found = object
  if (found !== undefined) return found
  throw new GitsignError("ERR_BUG", "git neither answered nor failed")
}

/** Reads one answer of git: `id SP type SP size LF content LF`; undefined when the stream ends before it is complete. */
async function readObject(reader: ByteReader, revision: string): Promise<GitObject | GitsignError | undefined> {
  const header = await reader.line()
  if (header === undefined) return undefined
  const [, id, type, size] = /^([0-9a-f]{40,64}) (commit|tag|tree|blob) (\d+)$/.exec(header) ?? []
  if (id === undefined || type === undefined || size === undefined) return noObject(revision, header)
  if (Number(size) > MAX_OBJECT_BYTES) {
    if (!(await reader.skip(Number(size) + 1))) return undefined
    // A commit that is too large is refused, and not one that could not be checked: whoever makes it chooses how large it is.
    const code = type === "commit" || type === "tag" ? "ERR_GIT_OBJECT" : "ERR_GIT"
    return new GitsignError(code, `${type} ${id} is larger than ${MAX_OBJECT_BYTES} bytes`)
  }
  const raw = await reader.bytes(Number(size))
  if (raw === undefined || (await reader.bytes(1)) === undefined) return undefined
  const hash = createHash(id.length === 40 ? "sha1" : "sha256").update(`${type} ${size}\0`)
  if (hash.update(raw).digest("hex") !== id) {
    return new GitsignError("ERR_DAMAGED", `the repository is damaged: ${type} ${id} holds bytes of another object`)
  }
  return { type: type as GitObject["type"], id, raw }
}

function noObject(revision: string, header: string): GitsignError {
  if (header.endsWith(" ambiguous")) {
    return new GitsignError("ERR_GIT", `${revision} is the beginning of more than one object id`, {
      hint: "give more digits of the id",
    })
  }
  const [, name = revision, type] = /^(.*)\^\{(commit|tag)\}$/s.exec(revision) ?? []
  const what = type === undefined ? name : `${type} ${name}`
  return new GitsignError("ERR_GIT", `there is no ${what} in this repository`, {
    hint: "see what is there with: git log",
  })
}

/** Takes lines and counted bytes from a stream, and no more chunks than these need. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(stream: NodeJS.ReadableStream) {
    this.#chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  /** Text up to the next line feed, without it. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#rest.indexOf(10)
      if (end >= 0) return this.#take(end + 1).toString("utf8", 0, end)
      const next = await this.#chunks.next()
      if (next.done) return undefined
      this.#rest = Buffer.concat([this.#rest, next.value])
    }
  }

  async bytes(count: number): Promise<Buffer | undefined> {
    const chunks = [this.#rest]
    let size = this.#rest.length
    while (size < count) {
      const next = await this.#chunks.next()
      if (next.done) return undefined
      chunks.push(next.value)
      size += next.value.length
    }
    this.#rest = chunks.length === 1 ? this.#rest : Buffer.concat(chunks)
    return this.#take(count)
  }

  /** Passes over bytes without keeping them; false when the stream ends before. */
  async skip(count: number): Promise<boolean> {
    let left = count - this.#rest.length
    let last = this.#rest
    while (left > 0) {
      const next = await this.#chunks.next()
      if (next.done) return false
      last = next.value
      left -= last.length
    }
    this.#rest = last.subarray(last.length + left)
    return true
  }

  #take(count: number): Buffer {
    const taken = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return taken
  }
}
