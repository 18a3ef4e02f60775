/**
 * The date that git reads in a payload (commit.c find_commit_header, ident.c split_ident_line): the one that a key has to be valid at.
 *
 * @module
 */

import { latin1 } from "./der.ts"

/**
 * Seconds since 1970 in the committer header, for tags in the tagger header; undefined when there is none that git can read.
 *
 * Nothing proves it: the author of the object chose it.
 */
export function signingDate(payload: Uint8Array): number | undefined {
  const blank = Buffer.from(payload.buffer, payload.byteOffset, payload.length).indexOf("\n\n")
  const headers = latin1(blank < 0 ? payload : payload.subarray(0, blank)).split("\n")
  const name = headers[0]?.startsWith("tree ") ? "committer " : "tagger "
  const line = headers.find((header) => header.startsWith(name))
  const [, digits] = /> *(\d+) +[+-]\d+ *$/.exec(line ?? "") ?? []
  const seconds = Number(digits ?? Number.NaN)
  return Number.isSafeInteger(seconds) && seconds > 0 ? seconds : undefined
}
