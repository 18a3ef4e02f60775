/**
 * What a command gets to see of its process, and the descriptors behind it.
 *
 * @module
 */

import { closeSync, openSync, readSync, writeSync } from "node:fs"
import { resolve } from "node:path"
import { GitsignError, isGitsignError, reasonOf } from "../errors.ts"

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

/** The io of a process, which also knows whether its output arrived. */
export interface ProcessIo extends CommandIo {
  /** ERR_IO when output was lost; undefined when all of it went out, or its reader had enough of it. */
  outputFailure(): GitsignError | undefined
}

/**
 * The io of this process. Its `stdout` throws nothing: what a verb finds out counts, whoever reads it, so it goes on and output
 * behind a failure is dropped. A reader that is gone, such as `head`, is no failure.
 */
export function processIo(): ProcessIo {
  let isCut = false
  let failure: GitsignError | undefined
  const stdout = (text: string): void => {
    if (isCut) return
    try {
      writeAll(STDOUT, Buffer.from(text, "utf8"), "stdout")
    } catch (error) {
      isCut = true
      if (isGitsignError(error) && errnoOf(error.cause) !== "EPIPE") failure = error
    }
  }
  return {
    env: process.env,
    cwd: workingDirectory(),
    stdout,
    stderr: (text) => writeWhatGoes(STDERR, text),
    outputFailure: () => failure,
  }
}

/**
 * Tells the process that has started this one something, on stdout.
 *
 * @throws ERR_IO when it is gone
 */
export const tellStarter = (text: string): void => writeAll(STDOUT, Buffer.from(text, "utf8"), "stdout")

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
