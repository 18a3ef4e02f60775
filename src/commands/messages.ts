/**
 * What people get to read on stderr, and its copy in the log file that GITSIGN_LOG or gitsign.logPath names.
 *
 * @module
 */

import { closeSync, constants, openSync, writeSync } from "node:fs"
import { resolve } from "node:path"
import { ERROR_CODES, type ExitStatus, isGitsignError, messageOf, reasonOf } from "../errors.ts"
import { printableLines } from "../formats/printable.ts"
import type { CommandIo } from "./io.ts"

/** How many causes behind an error the log tells. */
const MAX_CAUSES = 10

/** The messages of one run. */
export class Messages {
  readonly #io: CommandIo
  #log: number | undefined
  #logPath: string | undefined

  constructor(io: CommandIo) {
    this.#io = io
    this.useLog(io.env.GITSIGN_LOG)
  }

  /**
   * Copies all further messages to a file, made with mode 0600 when it is not there. One that cannot be written is told
   * once and is no error.
   */
  useLog(path: string | undefined): void {
    if (!path || path === this.#logPath) return
    this.#logPath = path
    try {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND
      this.#log = openSync(resolve(this.#io.cwd, path), flags, 0o600)
    } catch (error) {
      this.#io.stderr(printableLines(`gitsign: cannot write the log ${path}: ${reasonOf(error)}\n`))
    }
  }

  /** Says one line. Whatever in it could deceive a terminal is escaped. */
  say(line: string): void {
    this.write(`gitsign: ${line}\n`)
  }

  /** Writes lines as they are but for what could deceive a terminal. */
  write(text: string): void {
    this.#io.stderr(printableLines(text))
    this.#append(text)
  }

  /** Shows text for this moment, which no log keeps. */
  show(text: string): void {
    this.#io.stderr(printableLines(text))
  }

  /** Keeps a line for the log that was shown to the person elsewhere. */
  logOnly(line: string): void {
    this.#append(`gitsign: ${line}\n`)
  }

  /** Tells an error with its hint; its causes go to the log. Returns the exit status that it stands for. */
  error(error: unknown): ExitStatus {
    const { text, status } = describeError(error)
    this.write(text)
    this.#append(causesOf(error))
    return status
  }

  /** The last message has been written. */
  close(): void {
    if (this.#log !== undefined) closeSync(this.#log)
    this.#log = undefined
  }

  #append(text: string): void {
    if (this.#log === undefined || text === "") return
    try {
      writeSync(this.#log, withoutTokens(printableLines(text)))
    } catch (error) {
      this.#log = undefined
      this.#io.stderr(printableLines(`gitsign: cannot write the log ${this.#logPath}: ${reasonOf(error)}\n`))
    }
  }
}

/** The lines for an error: what happened, its code, and one action. */
export function describeError(error: unknown): { text: string; status: ExitStatus } {
  if (isGitsignError(error)) {
    const hint = error.hint === undefined ? "" : `gitsign: hint: ${oneLine(error.hint)}\n`
    return { text: `gitsign: error: ${oneLine(error.message)} [${error.code}]\n${hint}`, status: error.exitStatus }
  }
  const { exit, hint } = ERROR_CODES.ERR_BUG
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return {
    text: `gitsign: error: this should not have happened [ERR_BUG]\n${stack}\ngitsign: hint: ${hint}\n`,
    status: exit,
  }
}

/** What others put into a message must not look like a line of ours. */
const oneLine = (text: string): string => text.trimEnd().replaceAll("\n", "; ")

function causesOf(error: unknown): string {
  const lines: string[] = []
  let cause = error instanceof Error ? error.cause : undefined
  while (cause !== undefined && cause !== null && lines.length < MAX_CAUSES) {
    lines.push(`gitsign: cause: ${cause instanceof Error ? `${cause.name}: ` : ""}${messageOf(cause)}\n`)
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return lines.join("")
}

/** No message should hold an identity token; a library's may, and a log file is kept. */
const withoutTokens = (text: string): string => text.replace(/eyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, "(token)")
