/**
 * Breaks text for people into lines.
 *
 * @module
 */

/** Lines of `width` columns with as many of the words as fit, each behind `indent` blanks; a word that is longer stays whole. */
export function wrapWords(words: readonly string[], width: number, indent: number): string {
  const lines: string[] = []
  for (const word of words) {
    const line = lines.at(-1)
    if (line === undefined || line.length + 1 + word.length > width) lines.push(" ".repeat(indent) + word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines.join("\n")
}
