/**
 * Asks the person at the terminal whether to sign, past git, which has stdin and stdout for itself.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { printableLines } from "../formats/printable.ts"
import { openTerminalInput } from "./ask-terminal.ts"
import { openTerminal } from "./io.ts"

/** A question that nobody answers in this time has been answered with no. In milliseconds. */
const ANSWER_MS = 60_000

/** The largest text that is shown, in lines of so many characters. */
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
    input.forget()
    output.write(`${bounded(text)}sign this? [y/N] `)
    const answer = await input.line(limitMs)
    // The person's own Enter ends the line of the question; here there was none.
    if (answer === undefined) output.write("\ngitsign: no answer, nothing is signed\n")
    return /^\s*(y|yes)\s*$/i.test(answer ?? "")
  } finally {
    output?.close()
    input?.close()
  }
}

/** The text as a terminal may show it, with a final line feed. */
function bounded(text: string): string {
  const lines = text.trimEnd().split("\n", MAX_LINES)
  return lines.map((line) => `${printableLines(line.slice(0, MAX_LINE))}\n`).join("")
}
