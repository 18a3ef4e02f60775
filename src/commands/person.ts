/**
 * Speaks to the person at the terminal while git keeps stderr to itself.
 *
 * @module
 */

import { printable } from "../formats/printable.ts"
import { openTerminal } from "./io.ts"
import type { Messages } from "./messages.ts"

/** After this wait a person wants to know what is being waited for. */
const SLOW_MS = 1000

/** The person who started git, if there is a terminal; else whoever reads stderr. */
export class Person {
  readonly #messages: Messages
  readonly #terminal: ReturnType<typeof openTerminal>
  /** Whether nobody is to be disturbed: what is said goes to the log only. */
  readonly isAway: boolean

  constructor(messages: Messages, isAway = false) {
    this.#messages = messages
    this.isAway = isAway
    this.#terminal = isAway ? undefined : openTerminal()
  }

  /** Whether somebody can read a login address and answer it. */
  get isThere(): boolean {
    return this.#terminal !== undefined
  }

  /** Says one line, on the terminal where there is one. */
  tell(line: string): void {
    if (this.isAway) this.#messages.logOnly(line)
    else if (this.#terminal === undefined) this.#messages.say(line)
    else {
      this.#terminal.write(`gitsign: ${printable(line)}\n`)
      this.#messages.logOnly(line)
    }
  }

  /** Shows text that is for this moment only and for no log. */
  show(text: string): void {
    if (this.isAway) return
    if (this.#terminal === undefined) this.#messages.show(text)
    else this.#terminal.write(text)
  }

  /** Says `line` when the promise takes longer than a second. */
  async tellWhenSlow<T>(line: string, promise: Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.tell(line), SLOW_MS)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.#terminal?.close()
  }
}
