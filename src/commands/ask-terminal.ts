/**
 * Reads a line from the person at the terminal, past git, which has stdin and stdout for itself.
 *
 * @module
 */

import { closeSync, constants, openSync, readSync } from "node:fs"
import { setTimeout as wait } from "node:timers/promises"

/** How often the terminal is looked at. In milliseconds. */
const POLL_MS = 40

/** The longest answer that is read, in bytes: an address with a login code in it is long. */
const MAX_ANSWER = 16 * 1024

/** The terminal to read from, until it is closed. */
export interface TerminalInput {
  /** Throws away what was typed before: it is no answer to what will be asked. */
  forget(): void
  /**
   * One line without its end; undefined when there is none in time, the input has ended, or the signal says so.
   *
   * @param limitMs how long it is waited for
   */
  line(limitMs: number, signal?: AbortSignal): Promise<string | undefined>
  close(): void
}

/**
 * Opens the terminal; undefined where there is none.
 *
 * It is never waited for: a blocking read in a thread would outlive Ctrl-C and the time limit. A terminal opened anew is a file
 * of its own, so that this changes nothing for the others who have it open.
 */
export function openTerminalInput(): TerminalInput | undefined {
  // Windows has no such reads.
  if (process.platform === "win32") return undefined
  let fd: number
  try {
    fd = openSync("/dev/tty", constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    return undefined
  }
  return {
    forget: () => forgetTyped(fd),
    line: (limitMs, signal) => readLine(fd, limitMs, signal),
    close: () => closeSync(fd),
  }
}

/** What is there to be read: undefined when nothing is, empty at the end of input. */
function readSome(fd: number): Buffer | undefined {
  const chunk = Buffer.alloc(1024)
  try {
    return chunk.subarray(0, readSync(fd, chunk))
  } catch (error) {
    const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
    // Otherwise the terminal is gone, or this process may not read from it.
    return code === "EAGAIN" || code === "EINTR" ? undefined : chunk.subarray(0, 0)
  }
}

/** Somebody who pastes without an end is not waited for. */
function forgetTyped(fd: number): void {
  for (let i = 0; i < 64; i++) {
    if (!readSome(fd)?.length) return
  }
}

async function readLine(fd: number, limitMs: number, signal?: AbortSignal): Promise<string | undefined> {
  const end = performance.now() + limitMs
  let line = ""
  while (performance.now() < end && !signal?.aborted) {
    const chunk = readSome(fd)
    if (chunk === undefined) {
      await wait(POLL_MS)
      continue
    }
    if (chunk.length === 0) return undefined
    line += chunk.toString("latin1")
    const [answer, ...more] = line.split(/[\r\n]/)
    if (more.length > 0 || line.length >= MAX_ANSWER) return answer
  }
  return undefined
}
