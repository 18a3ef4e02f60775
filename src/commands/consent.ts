/**
 * Asks the person at the terminal whether to sign, past git, which has stdin and stdout for itself.
 *
 * @module
 */

import { closeSync, constants, openSync, readSync } from "node:fs"
import { setTimeout as wait } from "node:timers/promises"
import { GitsignError } from "../errors.ts"
import { printableLines } from "../formats/printable.ts"
import { openTerminal } from "./io.ts"

/** A question that nobody answers in this time has been answered with no. In milliseconds. */
const ANSWER_MS = 60_000

/** How often the terminal is looked at. In milliseconds. */
const POLL_MS = 40

/** The longest answer that is read, and the largest text that is shown; in bytes and in lines of so many characters. */
const MAX_ANSWER = 1024
const MAX_LINES = 40
const MAX_LINE = 240

/**
 * Shows `text` on the terminal and asks whether to sign it.
 *
 * What was typed before the question is thrown away: it was no answer to it.
 *
 * @param limitMs how long the question stands
 * @returns true for `y` or `yes` only; false for every other line, the end of input, and no answer
 * @throws ERR_AGENT_REFUSED when there is no terminal
 */
export async function askAtTerminal(text: string, limitMs: number = ANSWER_MS): Promise<boolean> {
  const output = openTerminal()
  const input = openTerminalInput()
  try {
    if (output === undefined || input === undefined) {
      throw new GitsignError(
        "ERR_AGENT_REFUSED",
        "each signature has to be agreed to, and there is no terminal to ask at",
        {
          hint: "sign in a terminal, or turn it off with: git config --global gitsign.agentConfirm false && gitsign agent stop",
        },
      )
    }
    forgetTyped(input)
    output.write(`${bounded(text)}sign this? [y/N] `)
    const answer = await readLine(input, limitMs)
    // The person's own Enter ends the line of the question; here there was none.
    if (answer === undefined) output.write("\ngitsign: no answer, nothing is signed\n")
    return /^\s*(y|yes)\s*$/i.test(answer ?? "")
  } finally {
    output?.close()
    if (input !== undefined) closeSync(input)
  }
}

/** The text as a terminal may show it, with a final line feed. */
function bounded(text: string): string {
  const lines = text.trimEnd().split("\n", MAX_LINES)
  return lines.map((line) => `${printableLines(line.slice(0, MAX_LINE))}\n`).join("")
}

/**
 * A descriptor of the terminal that is never waited for: a blocking read in a thread would outlive Ctrl-C and the time
 * limit. A terminal opened anew is a file of its own, so that this changes nothing for the others who have it open.
 */
function openTerminalInput(): number | undefined {
  // Windows has no such reads.
  if (process.platform === "win32") return undefined
  try {
    return openSync("/dev/tty", constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    return undefined
  }
}

/** What is there to be read: undefined when nothing is, empty at the end of input. */
function readSome(fd: number): Buffer | undefined {
  const chunk = Buffer.alloc(MAX_ANSWER)
  try {
    return chunk.subarray(0, readSync(fd, chunk))
  } catch (error) {
    const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
    // Otherwise the terminal is gone, or this process may not read from it.
    return code === "EAGAIN" || code === "EINTR" ? undefined : chunk.subarray(0, 0)
  }
}

/** Throws away what is there; somebody who pastes without an end is not waited for. */
function forgetTyped(fd: number): void {
  for (let i = 0; i < 64; i++) {
    if (!readSome(fd)?.length) return
  }
}

/** One line without its end; undefined when there is none in time, or the input has ended. */
async function readLine(fd: number, limitMs: number): Promise<string | undefined> {
  const end = performance.now() + limitMs
  let line = ""
  while (performance.now() < end) {
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
