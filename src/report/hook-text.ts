/**
 * What whoever pushes reads when a hook refuses, or warns.
 *
 * @module
 */

import type { AuditResult } from "../audit/result.ts"
import { printable } from "../formats/printable.ts"
import { refusalRows } from "./text.ts"
import { countOf, hintsOf, idLength, notOk, nounFor } from "./words.ts"

/** About one ref of a push. */
export interface HookTextOptions {
  /** The full name of the ref. */
  readonly ref: string
  /** What becomes of the push: it is refused (also when left out), it would be refused by the other side, or it goes through with a warning. */
  readonly outcome?: "refused" | "would be refused" | "warning" | undefined
}

/** A push of many bad commits is mended as a whole; nobody reads a list of them all. */
const MAX_LISTED = 20
const MAX_HINTS = 3

/** Lines without git's `remote: `, each with a line feed; empty when everything is in order. */
export function hookText(result: AuditResult, { ref, outcome = "refused" }: HookTextOptions): string {
  const refused = notOk(result)
  if (refused.length === 0) return ""
  const listed = refusalRows(refused.slice(0, MAX_LISTED), idLength(result.objects.length))
  const more = refused.length - listed.length
  return [
    `gitsign: ${OUTCOMES[outcome](printable(ref))}: ${numbers(result)}\n`,
    ...listed.map((row) => `  ${row}\n`),
    ...(more > 0 ? [`  and ${more} more\n`] : []),
    ...result.notes.map((note) => `gitsign: ${printable(note)}\n`),
    ...hintsOf(result, MAX_HINTS).map((hint) => `gitsign: hint: ${hint}\n`),
  ].join("")
}

const OUTCOMES = {
  refused: (ref: string) => `refused ${ref}`,
  "would be refused": (ref: string) => `the other side would refuse ${ref}`,
  warning: (ref: string) => `warning for ${ref}`,
} as const

/** `1 of 12 new commits`, `1 of 12 new commits, and 2 could not be checked`. */
function numbers(result: AuditResult): string {
  const { bad, unchecked } = result.totals
  const count = countOf(result)
  const all = `of ${count} new ${nounFor(result, count)}`
  if (bad === 0) return `${unchecked} ${all} could not be checked`
  return unchecked === 0 ? `${bad} ${all}` : `${bad} ${all}, and ${unchecked} could not be checked`
}
