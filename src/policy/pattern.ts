/**
 * Regular expressions from users, in the syntax of RE2 (https://github.com/google/re2/wiki/Syntax): no pattern can hang
 * the verifier.
 *
 * @module
 */

import { GitsignError, messageOf } from "../errors.ts"

/** Whether a text has a match anywhere; `^` and `$` are the pattern's own business, as in the Go program. */
export type Matcher = (text: string) => boolean

/**
 * Compiles a pattern. The engine is loaded on the first use, since most verifications compare literally.
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
