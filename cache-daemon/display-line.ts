/**
 * Untrusted text as part of one line that a person decides by: nothing in it can forge, hide or reorder what is around
 * it (Unicode UAX #9 for the bidirectional controls, UAX #11 for wide characters).
 *
 * @module
 */

import { isUtf8 } from "node:buffer"

/** How much of the untrusted text is looked at: the rest is cut anyway. In UTF-16 code units. */
const MAX_INPUT = 4096

/**
 * Controls, format characters, line separators, private and unassigned code points, lone surrogates; whatever is shown
 * as nothing or as blank: default-ignorable code points, blank letters and all spaces but the ordinary one.
 */
const DECEIVING = /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/u

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]/u

const MARK = /\p{M}/u

/** Marks over one letter; more of them would be drawn over the lines above and below. */
const MAX_MARKS = 3

const HEX = Buffer.from("0123456789abcdef", "latin1")

/** The text of a name or path in an object: UTF-8, with an escape such as `\xff` for each byte that is none. */
export function textOf(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")
  const text = Buffer.alloc(4 * bytes.length)
  let size = 0
  const put = (byte: number | undefined): void => {
    text[size++] = byte ?? 0
  }
  for (const byte of bytes) {
    if (byte < 0x80) put(byte)
    else for (const one of [0x5c, 0x78, HEX[byte >> 4], HEX[byte & 15]]) put(one)
  }
  return text.toString("latin1", 0, size)
}

/** Whether a character may be shown as it is; `before` is the one before it, `marks` counts the marks up to it. */
function isPlain(character: string, before: string, marks: number): boolean {
  // Several spaces in a row, or some at an end, would push what follows out of sight; a first mark covers the label.
  if (character === " ") return before !== " " && before !== ""
  return marks <= (before === "" ? 0 : MAX_MARKS) && !DECEIVING.test(character)
}

interface Piece {
  readonly text: string
  readonly columns: number
}

/**
 * Makes one line of untrusted text: deceiving characters become escapes such as `\u{202e}`, and what does not fit into
 * `columns` (and twice as many bytes of UTF-8) is cut, with `…` where it was.
 *
 * @param cut where text may be lost: at the end, or in the middle for paths, whose end says most
 */
export function displayLine(text: string, columns: number, cut: "end" | "middle" = "end"): string {
  // The middle is lost before the escaping, so that a path of megabytes costs nothing.
  const long = text.length > MAX_INPUT
  const pieces = piecesOf(long ? text.slice(0, MAX_INPUT / 2) : text)
  const tail = long ? piecesOf(text.slice(-MAX_INPUT / 2)) : []
  const all = [...pieces, ...tail]
  if (!long && fits(all, columns)) return join(all)
  const kept = cut === "end" ? take(pieces, columns - 1) : take(pieces, Math.floor((columns - 1) / 3))
  if (cut === "end") return `${join(kept)}…`
  const used = kept.reduce((sum, piece) => sum + piece.columns, 0)
  const end = take(all.slice(kept.length).reverse(), columns - 1 - used).reverse()
  return `${join(kept)}…${join(end)}`
}

function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = []
  let before = ""
  let marks = 0
  const body = text.endsWith(" ") ? text.slice(0, -1) : text
  for (const character of body) {
    marks = MARK.test(character) ? marks + 1 : 0
    pieces.push(isPlain(character, before, marks) ? plain(character) : escaped(character))
    before = character
  }
  if (body !== text) pieces.push(escaped(" "))
  return pieces
}

/** Two bytes a column: characters of three and four bytes count as more than they take up. */
const plain = (text: string): Piece => ({
  text,
  columns: Math.max(WIDE.test(text) ? 2 : 1, Buffer.byteLength(text) / 2),
})

function escaped(character: string): Piece {
  const text = `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  return { text, columns: text.length }
}

const fits = (pieces: readonly Piece[], columns: number): boolean =>
  pieces.reduce((sum, one) => sum + one.columns, 0) <= columns

function take(pieces: readonly Piece[], columns: number): Piece[] {
  const taken: Piece[] = []
  let used = 0
  for (const one of pieces) {
    used += one.columns
    if (used > columns) break
    taken.push(one)
  }
  return taken
}

const join = (pieces: readonly Piece[]): string => pieces.map(({ text }) => text).join("")
