/**
 * How far a long work has come, as one line on the terminal; nothing where stderr is not one.
 *
 * @module
 */

import { isatty } from "node:tty"
import { openTerminal } from "./io.ts"

/** A line that is written anew as the work goes on. */
export interface Progress {
  show(done: number, total: number): void
  /** Takes the line away. */
  end(): void
}

/** Nobody reads faster; in milliseconds. */
const INTERVAL_MS = 100
/** What takes less than this needs no words. */
const PATIENCE_MS = 500
const BAR_WIDTH = 24

/** Begins a line such as `gitsign: signing ######.................. 12 of 40, 3 s left`. The caller MUST end it. */
export function startProgress(what: string): Progress {
  const terminal = isatty(2) ? openTerminal() : undefined
  const began = performance.now()
  let shownAt = Number.NEGATIVE_INFINITY
  // The cursor goes back to the beginning, so that whatever else is written there takes the line's place.
  return {
    show: (done, total) => {
      const now = performance.now()
      if (terminal === undefined || now - began < PATIENCE_MS || now - shownAt < INTERVAL_MS) return
      shownAt = now
      const full = Math.round((BAR_WIDTH * done) / Math.max(1, total))
      const left = Math.ceil((((now - began) / Math.max(1, done)) * (total - done)) / 1000)
      const bar = `${"#".repeat(full)}${".".repeat(BAR_WIDTH - full)}`
      terminal.write(`gitsign: ${what} ${bar} ${done} of ${total}, ${left} s left\u001b[K\r`)
    },
    end: () => {
      if (shownAt > 0) terminal?.write("\u001b[K")
      terminal?.close()
    },
  }
}
