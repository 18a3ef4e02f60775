/**
 * Asks for a pass phrase at the terminal without showing it, or reads it from a file.
 *
 * @module
 */

import { openSync, writeSync } from "node:fs"
import { ReadStream } from "node:tty"
import { LIMITS } from "../../cache-daemon/protocol.ts"
import { GitsignError } from "../errors.ts"
import { type CommandIo, readInput } from "./io.ts"

/** What is asked, in this order: all answers must be the same. */
export type Questions = readonly [string, ...string[]]

/**
 * The pass phrase: the content of `file` (`-` is stdin) without its last line feed, or what the person at the terminal answers.
 *
 * @throws ERR_USAGE when it is empty, too long, not UTF-8, or the answers differ, and where there is no terminal; ERR_CANCELLED
 *   after Ctrl-C; ERR_IO when the file cannot be read
 */
export async function readPassphrase(io: CommandIo, file: string | undefined, questions: Questions): Promise<string> {
  const passphrase = file === undefined ? await ask(questions) : textOf(readInput(io, file)).replace(/\r?\n$/, "")
  if (passphrase === "") {
    const hint = file === undefined ? "choose one" : `there is nothing in ${file === "-" ? "stdin" : file}`
    throw new GitsignError("ERR_USAGE", "the pass phrase is empty", { hint })
  }
  if (passphrase.length > LIMITS.passphrase) {
    throw new GitsignError("ERR_USAGE", `the pass phrase has more than ${LIMITS.passphrase} characters`)
  }
  return passphrase
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new GitsignError("ERR_USAGE", "the pass phrase is not UTF-8")
  }
}

async function ask([first, ...others]: Questions): Promise<string> {
  const terminal = openHidden()
  try {
    const answer = await terminal.line(first)
    for (const question of others) {
      if (answer === "") break
      if ((await terminal.line(question)) !== answer) {
        throw new GitsignError("ERR_USAGE", "the two pass phrases differ", { hint: "run the command again" })
      }
    }
    return answer
  } finally {
    terminal.close()
  }
}

const CTRL_C = "\x03"
const CTRL_D = "\x04"
const CTRL_U = "\x15"
const ERASE = ["\x7f", "\b"]

/** The terminal with its echo switched off, until it is closed. */
function openHidden(): { line(prompt: string): Promise<string>; close(): void } {
  let fd: number
  try {
    fd = openSync("/dev/tty", "r+")
  } catch (cause) {
    throw new GitsignError("ERR_USAGE", "there is no terminal to ask for the pass phrase", {
      cause,
      hint: "give it with --passphrase-file FILE, or - for stdin",
    })
  }
  const input = new ReadStream(fd)
  input.setEncoding("utf8")
  input.setRawMode(true)
  let typed: string[] = []
  const lines: string[] = []
  let ended = false
  let notify = (): void => undefined
  const onKey = (character: string): void => {
    if (character === "\r" || character === "\n") {
      lines.push(typed.join(""))
      typed = []
    } else if (character === CTRL_C || (character === CTRL_D && typed.length === 0)) ended = true
    else if (ERASE.includes(character)) typed.pop()
    else if (character === CTRL_U) typed = []
    else if (character >= " ") typed.push(character)
  }
  input.on("data", (chunk) => {
    const text = String(chunk)
    // An arrow key comes as a sequence of its own.
    if (!text.startsWith("\x1b")) for (const character of text) onKey(character)
    notify()
  })
  input.on("error", () => {
    ended = true
    notify()
  })
  const restore = (): void => {
    input.setRawMode(false)
  }
  const stop = (): never => {
    restore()
    process.exit(3)
  }
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) process.once(signal, stop)
  return {
    async line(prompt) {
      writeSync(fd, prompt)
      while (lines.length === 0 && !ended) {
        await new Promise<void>((done) => {
          notify = done
        })
      }
      writeSync(fd, "\n")
      const line = lines.shift()
      if (line === undefined) {
        throw new GitsignError("ERR_CANCELLED", "cancelled", { hint: "nothing has changed; run the command again" })
      }
      return line
    },
    close() {
      for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) process.removeListener(signal, stop)
      restore()
      // This closes the descriptor too.
      input.destroy()
    },
  }
}
