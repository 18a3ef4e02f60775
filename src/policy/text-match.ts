/**
 * Texts and patterns of a policy, ready to be compared.
 *
 * @module
 */

import { skeleton } from "./lookalike.ts"
import type { TextMatch } from "./model.ts"
import { compilePolicyPattern, type Matcher } from "./pattern.ts"

/** One text or pattern. */
export interface TextMatcher {
  /** Byte for byte, or as the pattern says. */
  readonly matches: Matcher
  /** As well in other letters: for signers that are not trusted, where a difference in case must not help. */
  readonly matchesWidely: Matcher
  readonly exact: string | undefined
  /** Of an exact text, for finding what looks like it. */
  readonly skeleton: string
  /** Instructions of a pattern. */
  readonly size: number
  /** For people: the text, or the pattern between slashes. */
  readonly shown: string
}

const wide = (text: string): string =>
  text
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[./]+$/, "")

/**
 * Compiles one text or pattern.
 *
 * @param where what to call it in messages
 * @throws ERR_PATTERN, ERR_POLICY_LIMIT
 */
export async function compileText(match: TextMatch, where: string): Promise<TextMatcher> {
  if ("exact" in match) {
    const { exact } = match
    const folded = wide(exact)
    return {
      matches: (text) => text === exact,
      matchesWidely: (text) => text === exact || wide(text) === folded,
      exact,
      skeleton: skeleton(exact),
      size: 0,
      shown: exact,
    }
  }
  const { matches, size } = await compilePolicyPattern(match.pattern, match.whole, where)
  return {
    matches,
    matchesWidely: (text) => matches(text) || matches(text.toLowerCase()) || matches(wide(text)),
    exact: undefined,
    skeleton: "",
    size,
    shown: `/${match.pattern}/`,
  }
}

/** The same for a text that may be missing. */
export const compileOptional = (match: TextMatch | undefined, where: string): Promise<TextMatcher | undefined> =>
  match === undefined ? Promise.resolve(undefined) : compileText(match, where)
