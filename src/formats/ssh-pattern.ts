/**
 * Pattern lists of OpenSSH (ssh_config(5) PATTERNS, match.c): `*`, `?`, commas, and `!` for what must not match.
 *
 * @module
 */

/** OpenSSH takes no pattern between commas that is longer, in bytes: the whole list then matches nothing more. */
const MAX_PATTERN = 1022

/**
 * Whether the list matches: at least one pattern does, and none of those with `!`. As bytes, in their case.
 *
 * Both texts hold one byte in each character (Latin-1).
 */
export function matchSshPatternList(text: string, list: string): boolean {
  let isMatch = false
  for (const entry of splitSshPatternList(list)) {
    const isNegated = entry.startsWith("!")
    const pattern = isNegated ? entry.slice(1) : entry
    if (pattern.length > MAX_PATTERN) return false
    if (!matchSshPattern(text, pattern)) continue
    if (isNegated) return false
    isMatch = true
  }
  return isMatch
}

/** The patterns of a list as OpenSSH takes them apart: there is none behind a last comma. */
const splitSshPatternList = (list: string): string[] => {
  const entries = list.split(",")
  return entries.at(-1) === "" ? entries.slice(0, -1) : entries
}

/** Whether one pattern matches the whole text. Goes over the text once for each `*` at most: no pattern makes it hang. */
export function matchSshPattern(text: string, pattern: string): boolean {
  let at = 0
  let inText = 0
  let star = -1
  let behindStar = 0
  while (inText < text.length) {
    const wanted = pattern[at]
    if (wanted === "*") {
      star = at++
      behindStar = inText
    } else if (wanted !== undefined && (wanted === "?" || wanted === text[inText])) {
      at++
      inText++
    } else if (star >= 0) {
      at = star + 1
      inText = ++behindStar
    } else return false
  }
  while (pattern[at] === "*") at++
  return at === pattern.length
}
