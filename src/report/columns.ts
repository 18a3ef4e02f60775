/**
 * Text in columns of a terminal (Unicode UAX #11 for wide characters, roughly).
 *
 * @module
 */

const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u
const COMBINING = /\p{M}/u

/** How many columns a text takes; combining marks take none. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += COMBINING.test(character) ? 0 : WIDE.test(character) ? 2 : 1
  return width
}

/** The text cut to at most so many columns, and so many code points: a mountain of combining marks ends somewhere. */
export function cut(text: string, columns: number): string {
  if (text.length <= columns && widthOf(text) <= columns) return text
  let kept = ""
  let width = 0
  let points = 0
  for (const character of text) {
    width += widthOf(character)
    points += 1
    if (width > columns - 1 || points > 2 * columns) return `${kept}…`
    kept += character
  }
  return kept
}

/** Filled up with spaces to so many columns. */
export const pad = (text: string, columns: number): string => text + " ".repeat(Math.max(0, columns - widthOf(text)))
