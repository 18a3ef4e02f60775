/**
 * Texts and patterns of a policy, ready to be compared.
 *
 * @module
 */

import { skeleton } from "./lookalike.ts"
import type { TextMatch } from "./model.ts"
import { compilePolicyPattern, MAX_TEXT, type Matcher } from "./pattern.ts"

/** One text or pattern. */
export interface TextMatcher {
  /** Byte for byte, or as the pattern says. */
  readonly matches: Matcher
  readonly exact: string | undefined
  /** Of an exact text, for finding what looks like it. */
  readonly skeleton: string
  /** Instructions of a pattern. */
  readonly size: number
  /** For people: the text, or the pattern between slashes. */
  readonly shown: string
}

/**
 * Compiles one text or pattern.
 *
 * @param where what to call it in messages
 * @throws ERR_PATTERN, ERR_POLICY_LIMIT
 */
export async function compileText(match: TextMatch, where: string): Promise<TextMatcher> {
  if ("exact" in match) {
    const { exact } = match
    return {
      matches: (text) => text === exact,
      exact,
      skeleton: skeleton(exact),
      size: 0,
      shown: exact,
    }
  }
  const { matches, size } = await compilePolicyPattern(match.pattern, match.whole, where)
  return {
    matches,
    exact: undefined,
    skeleton: "",
    size,
    shown: `/${match.pattern}/`,
  }
}

/** The same for a text that may be missing. */
export const compileOptional = (match: TextMatch | undefined, where: string): Promise<TextMatcher | undefined> =>
  match === undefined ? Promise.resolve(undefined) : compileText(match, where)

/**
 * Compiles one text or pattern to tell who is not trusted: neither other letters, nor a difference in case, nor a name that is too long for a
 * pattern must help. The caller MUST use it only to refuse: it matches widely.
 *
 * @param where what to call it in messages
 * @returns with how many instructions a pattern has
 * @throws ERR_PATTERN, ERR_POLICY_LIMIT
 */
export async function compileWidely(
  match: TextMatch,
  where: string,
): Promise<{ readonly matches: Matcher; readonly size: number }> {
  if ("exact" in match) {
    const folded = fold(match.exact)
    return { matches: (text) => text === match.exact || fold(text) === folded, size: 0 }
  }
  const { matches, size } = await compilePolicyPattern(match.pattern, match.whole, where, "any case")
  const isMeant = (form: string): boolean => form.length > MAX_TEXT || matches(form)
  return { matches: (text) => [text, sameLetters(text), fold(text)].some(isMeant), size }
}

const sameLetters = (text: string): string => text.normalize("NFKC").toLowerCase()

function fold(text: string): string {
  const folded = sameLetters(text)
  let end = folded.length
  while (end > 0 && "./".includes(folded.charAt(end - 1))) end--
  return folded.slice(0, end)
}
