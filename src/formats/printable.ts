/**
 * Untrusted text made fit for a terminal and for a shell: identities, subjects and names in objects are chosen by whoever
 * made the object (Unicode UAX #9 for the bidirectional controls).
 *
 * @module
 */

/** Controls, format characters (bidirectional overrides, zero-width ones), lone surrogates, private and unassigned code points. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu

const escapeOf = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`

/** What the runners of GitHub (`##[`), Azure (`##vso[`) and TeamCity (`##teamcity[`) take for a command anywhere in a line of a log. */
const RUNNER_COMMAND = /##(?=\w*\[)/g

/** Replaces whatever could move the cursor, hide text, forge a line or command a CI runner by an escape such as `\u{1b}`. */
export const printable = (text: string): string =>
  text.replace(UNPRINTABLE, escapeOf).replace(RUNNER_COMMAND, "#\\u{23}")

/** The same for text of several lines: line feeds stay. */
export const printableLines = (text: string): string => text.split("\n").map(printable).join("\n")

/** JSON with a final line feed; beyond what JSON escapes by itself, so is whatever could deceive a terminal. */
export const jsonText = (value: unknown): string =>
  `${JSON.stringify(value, undefined, 2).replace(UNPRINTABLE, (character) =>
    character === "\n" ? character : escapeUnits(character),
  )}\n`

/** The same on one line, without a final line feed. */
export const jsonLine = (value: unknown): string => JSON.stringify(value).replace(UNPRINTABLE, escapeUnits)

const escapeUnits = (character: string): string =>
  character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("")

/** One word of a POSIX shell command line; what cannot be shown becomes an escape in bash's `$'…'`. */
export function shellQuote(text: string): string {
  if (/^[A-Za-z0-9@%+=:,./_-]+$/.test(text)) return text
  if (printable(text) === text) return `'${text.replaceAll("'", "'\\''")}'`
  const escaped = text.replace(/[\\']/g, "\\$&").replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code > 0xff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`
  })
  return `$'${escaped}'`
}
