/**
 * What a command gets to see of its process, and the descriptors behind it.
 *
 * @module
 */

import { closeSync, openSync, readSync, writeSync } from "node:fs"
import { resolve } from "node:path"
import { GitsignError, isGitsignError } from "../errors.ts"

/** What a command reads from its process and where its output goes. */
export interface CommandIo {
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** For the caller: what was asked for, and nothing else. */
  stdout(text: string): void
  /** For people. */
  stderr(text: string): void
}

const STDIN = 0
const STDOUT = 1
const STDERR = 2

/** A payload or signature larger than this was not made by git; in bytes, 64 MiB. */
const MAX_INPUT_BYTES = 64 * 1024 * 1024

/** The io of this process. Its `stdout` throws ERR_IO when the output cannot be written. */
export function processIo(): CommandIo {
  return {
    env: process.env,
    cwd: workingDirectory(),
    stdout: (text) => writeAll(STDOUT, Buffer.from(text, "utf8"), "stdout"),
    stderr: (text) => writeWhatGoes(STDERR, text),
  }
}

/** A directory that was removed under the process; everything that needs it fails by itself. */
function workingDirectory(): string {
  try {
    return process.cwd()
  } catch {
    return "."
  }
}

/**
 * Writes all bytes to a descriptor, however slowly its reader reads.
 *
 * @param name what the descriptor is, for the message
 * @throws ERR_IO when it is closed, or the disk is full
 */
export function writeAll(fd: number, bytes: Uint8Array, name: string): void {
  let offset = 0
  while (offset < bytes.length) {
    try {
      offset += writeSync(fd, bytes, offset)
    } catch (cause) {
      // A pipe that the other side has made non-blocking is full; its reader needs a moment.
      if (errnoOf(cause) === "EAGAIN") pause(5)
      else throw new GitsignError("ERR_IO", `cannot write to ${name}: ${reasonOf(cause)}`, { cause })
    }
  }
}

/** Writes a message for people; where nobody can read it, that is no reason to fail. */
function writeWhatGoes(fd: number, text: string): void {
  try {
    writeAll(fd, Buffer.from(text, "utf8"), "stderr")
  } catch {
    // stderr is closed.
  }
}

/**
 * Reads a file to its end, or stdin when it is `-`; a path is taken from `cwd`.
 *
 * @throws ERR_IO when it cannot be read or is larger than 64 MiB
 */
export function readInput(io: CommandIo, file: string): Buffer {
  const name = file === "-" ? "stdin" : file
  try {
    if (file === "-") return readAll(STDIN, name)
    const fd = openSync(resolve(io.cwd, file), "r")
    try {
      return readAll(fd, name)
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    if (isGitsignError(cause)) throw cause
    throw new GitsignError("ERR_IO", `cannot read ${name}: ${reasonOf(cause)}`, { cause })
  }
}

function readAll(fd: number, name: string): Buffer {
  const chunks: Buffer[] = []
  for (let size = 0; size <= MAX_INPUT_BYTES; ) {
    const chunk = Buffer.allocUnsafe(64 * 1024)
    const count = readSome(fd, chunk)
    if (count === 0) return Buffer.concat(chunks)
    chunks.push(chunk.subarray(0, count))
    size += count
  }
  throw new GitsignError("ERR_IO", `${name} has more than ${MAX_INPUT_BYTES} bytes`)
}

function readSome(fd: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, chunk)
    } catch (cause) {
      // Windows ends a pipe so.
      if (errnoOf(cause) === "EOF") return 0
      // A pipe in non-blocking mode with nothing in it yet.
      if (errnoOf(cause) !== "EAGAIN") throw cause
      pause(5)
    }
  }
}

/**
 * A writer to the person at the terminal, past git, which keeps stderr to itself; undefined where there is no terminal.
 * What is written is not waited for and cannot fail.
 */
export function openTerminal(): { write(text: string): void; close(): void } | undefined {
  let fd: number
  try {
    fd = openSync(process.platform === "win32" ? "\\\\.\\CONOUT$" : "/dev/tty", "w")
  } catch {
    return undefined
  }
  return { write: (text) => writeWhatGoes(fd, text), close: () => closeSync(fd) }
}

const pause = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

const errnoOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : ""

const REASONS: Readonly<Record<string, string>> = {
  EPIPE: "nobody reads it any more",
  EBADF: "it is closed",
  ENOSPC: "the disk is full",
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
}

/** What an error of the system means, in words. */
export const reasonOf = (error: unknown): string => REASONS[errnoOf(error)] ?? String(error)
