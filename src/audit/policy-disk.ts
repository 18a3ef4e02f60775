/**
 * A policy in a file on disk.
 *
 * @module
 */

import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, realpathSync } from "node:fs"
import { dirname, join, relative, resolve, sep } from "node:path"
import { GitsignError, isGitsignError, reasonOf } from "../errors.ts"
import { type GitContext, runGit } from "../git/run.ts"
import {
  MAX_FILE_BYTES,
  missing,
  notOrdinary,
  type PolicyPlace,
  partsOf,
  repositoryPaths,
  tooLarge,
} from "./policy-place.ts"

/**
 * The policy in a file. The file itself is never a link, nor is a folder on the way to it from the top of the work tree: what is
 * checked out is chosen by whoever wrote the commit.
 *
 * @throws ERR_POLICY_MISSING when it is not there; ERR_POLICY_FILE when it is a link or no file; ERR_POLICY_LIMIT when it is larger
 * than 1 MiB; ERR_IO when it cannot be read
 */
export async function diskPlace(context: GitContext, cwd: string, where: string): Promise<PolicyPlace> {
  const file = resolve(cwd, where)
  const inside = insideOf(await topOf(context), file)
  if (inside !== undefined) foldersAreOrdinary(inside.top, inside.parts.slice(0, -1), where)
  const text = readOrdinary(file, where)
  if (text === undefined) throw missing(where, "there is no such file")
  return {
    source: where,
    text,
    paths: (beside) => (inside === undefined ? [] : repositoryPaths(inside.parts.join("/"), beside)),
    beside: async (name) => {
      const what = `${name} beside ${where}`
      const parts = partsOf(name, what)
      foldersAreOrdinary(dirname(file), parts.slice(0, -1), what)
      return readOrdinary(join(dirname(file), ...parts), what)
    },
    close: async () => undefined,
  }
}

/** The top of the work tree; undefined in a bare repository, and where there is none. */
async function topOf(context: GitContext): Promise<string | undefined> {
  const { status, stdout } = await runGit(context, ["rev-parse", "--show-toplevel"])
  return status === 0 ? stdout.toString("utf8").replace(/\n$/, "") : undefined
}

/** Where the work tree begins on the way to the file, and the parts of the path from there; undefined when it is outside. */
function insideOf(top: string | undefined, file: string): { top: string; parts: readonly string[] } | undefined {
  if (top === undefined) return undefined
  let found: string | undefined
  // The outermost folder that is the top: further in, a link may lead back to it.
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (realPath(folder) === realPath(top)) found = folder
    if (folder === dirname(folder)) break
  }
  return found === undefined ? undefined : { top: found, parts: relative(found, file).split(sep) }
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function foldersAreOrdinary(base: string, parts: readonly string[], what: string): void {
  let folder = base
  for (const part of parts) {
    folder = join(folder, part)
    const kind = lstatSync(folder, { throwIfNoEntry: false })
    if (kind?.isSymbolicLink()) throw notOrdinary(`${part} on the way to ${what}`, "a link")
  }
}

/** Never waits for a writer, and reads no more than it may. */
function readOrdinary(path: string, what: string): Buffer | undefined {
  let fd: number | undefined
  try {
    // Where the system has no O_NOFOLLOW, and to tell a link from a loop.
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) throw notOrdinary(what, "a link")
    fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
    const found = fstatSync(fd)
    if (!found.isFile()) throw notOrdinary(what, found.isDirectory() ? "a folder, not a file" : "no ordinary file")
    if (found.size > MAX_FILE_BYTES) throw tooLarge(what)
    return readUpTo(fd, what)
  } catch (cause) {
    if (isGitsignError(cause)) throw cause
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined
    if (code === "ENOENT" || code === "ENOTDIR") return undefined
    throw new GitsignError("ERR_IO", `cannot read ${what}: ${reasonOf(cause)}`, { cause })
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** The size that was asked for is not the size that is read: the file may grow. */
function readUpTo(fd: number, what: string): Buffer {
  const buffer = Buffer.alloc(MAX_FILE_BYTES + 1)
  let size = 0
  for (;;) {
    const count = readSync(fd, buffer, size, buffer.length - size, null)
    size += count
    if (size > MAX_FILE_BYTES) throw tooLarge(what)
    if (count === 0) return Buffer.from(buffer.subarray(0, size))
  }
}
