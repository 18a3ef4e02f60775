/**
 * Regular expressions from users, in the syntax of RE2 (https://github.com/google/re2/wiki/Syntax): no pattern can hang
 * the verifier.
 *
 * @module
 */

import { GitsignError, messageOf } from "../errors.ts"

/** Whether a text matches. */
export type Matcher = (text: string) => boolean

const MAX_PATTERN = 1000
/** Instructions of a compiled program; an address with a domain has some fifty, and `(a{30}){30}` has 902. */
const MAX_PROGRAM = 1000
/** Characters. No identity or issuer is that long, and matching costs the product of both. */
export const MAX_TEXT = 2000

/**
 * Compiles a pattern that has a match anywhere; `^` and `$` are the pattern's own business, as in the Go program. The engine
 * is loaded on the first use, since most verifications compare literally.
 *
 * @param flag the option the pattern was given with, for the message
 * @throws ERR_PATTERN when it is not RE2
 */
export async function compilePattern(pattern: string, flag: string): Promise<Matcher> {
  const { RE2JS } = await import("re2js")
  try {
    const compiled = RE2JS.compile(pattern)
    return (text) => compiled.matcher(text).find()
  } catch (cause) {
    throw new GitsignError("ERR_PATTERN", `${flag} is not a regular expression: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Compiles a pattern of a policy. It never matches a text of more than 2,000 characters, nor one with U+017F or U+212A that it does not
 * have itself: without regard to case these are the letters s and k, so that `(?i)kate@…` would let two strangers in.
 *
 * @param whole whether it has to match the whole text; else anywhere is enough
 * @param where what to call it in messages, such as `.gitsign/policy.yaml line 7: subjectRegExp`
 * @param letters `any case`: as if the pattern began with `(?i)`
 * @returns with how many instructions it has
 * @throws ERR_PATTERN when it is not RE2; ERR_POLICY_LIMIT when it, or what it compiles to, is too large
 */
export async function compilePolicyPattern(
  pattern: string,
  whole: boolean,
  where: string,
  letters: "as written" | "any case" = "as written",
): Promise<{ readonly matches: Matcher; readonly size: number }> {
  if (pattern.length > MAX_PATTERN) {
    throw new GitsignError(
      "ERR_POLICY_LIMIT",
      `${where} has ${pattern.length} characters, and a pattern may have ${MAX_PATTERN}`,
    )
  }
  const { RE2JS } = await import("re2js")
  let compiled: ReturnType<typeof RE2JS.compile>
  try {
    compiled = RE2JS.compile(pattern, letters === "any case" ? RE2JS.CASE_INSENSITIVE : 0)
  } catch (cause) {
    throw new GitsignError("ERR_PATTERN", `${where} is not a regular expression: ${messageOf(cause)}`, { cause })
  }
  if (compiled.programSize() > MAX_PROGRAM) {
    throw new GitsignError("ERR_POLICY_LIMIT", `${where} is too large a regular expression; repeat less in it`)
  }
  const matches = (text: string): boolean => {
    if (text.length > MAX_TEXT) return false
    for (const folding of ["\u017f", "\u212a"]) if (text.includes(folding) && !pattern.includes(folding)) return false
    return whole ? compiled.matches(text) : compiled.matcher(text).find()
  }
  return { matches, size: compiled.programSize() }
}
