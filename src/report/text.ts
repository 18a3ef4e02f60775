/**
 * An audit as lines for people: what is fine in groups, what is not one by one, and what to do next.
 *
 * @module
 */

import type { AuditedObject, AuditResult } from "../audit/result.ts"
import { printable } from "../formats/printable.ts"
import { cut, pad, widthOf } from "./columns.ts"
import { storyLines } from "./story.ts"
import {
  countOf,
  exemptText,
  hintsOf,
  idLength,
  notOk,
  problemOf,
  reasonText,
  shownTo,
  signerText,
  titleOf,
} from "./words.ts"

/** How a text report looks. */
export interface TextOptions {
  /** Tells everything about every object, however many there are. */
  readonly verbose: boolean
  /** Colours the verdicts with ECMA-48 escapes. */
  readonly colour: boolean
}

/** More than this nobody reads; they are counted. */
const MAX_LISTED = 50
const MAX_GROUPS = 50
const MAX_HINTS = 5

const GREEN = 32
const RED = 31
const YELLOW = 33

/** The report, with a final line feed; ready to be written to a terminal. */
export function textReport(result: AuditResult, options: TextOptions): string {
  const { ok, bad, unchecked } = result.totals
  const digits = String(Math.max(ok, bad, unchecked)).length + 1
  const paint = painter(options.colour)
  const count = (number: number): string => String(number).padStart(digits)
  const listed = options.verbose ? result.objects : notOk(result)
  const tables = {
    bad: tableOf(
      listed.filter(({ verdict }) => verdict === "bad"),
      result,
      options,
      digits + 2,
    ),
    unchecked: tableOf(
      listed.filter(({ verdict }) => verdict === "unchecked"),
      result,
      options,
      digits + 2,
    ),
  }
  return [
    ...groupsOf(result).map(({ label, size }) => `${count(size)} ${paint("ok", GREEN)}   ${label}\n`),
    ...(countOf(result) === 0 ? [`${count(0)} ok   nothing to verify${askedText(result)}\n`] : []),
    ...(options.verbose ? storiesOf(result, "ok", digits + 2) : []),
    ...(bad > 0 ? [`${count(bad)} ${paint("bad", RED)}\n`, ...tables.bad] : []),
    ...(unchecked > 0 ? [`${count(unchecked)} ${paint("unchecked", YELLOW)}\n`, ...tables.unchecked] : []),
    ...result.notes.map((note) => `gitsign: ${printable(note)}\n`),
    ...hintsOf(result, MAX_HINTS).map((hint) => `gitsign: hint: ${hint}\n`),
  ].join("")
}

const painter =
  (colour: boolean) =>
  (word: string, code: number): string =>
    colour ? `\u001b[${code}m${word}\u001b[0m` : word

const askedText = ({ asked }: AuditResult): string => (asked.length === 0 ? "" : ` in ${printable(asked.join(" "))}`)

/** What is fine, by who signed it, the most first; then what was not judged by its signer, which is never counted among what was. */
function groupsOf({ objects }: AuditResult): readonly { label: string; size: number }[] {
  const signed = new Map<string, number>()
  const exempted = new Map<string, number>()
  for (const object of objects) {
    if (object.verdict !== "ok") continue
    const exempt = exemptText(object)
    const label = exempt ?? (object.signer === undefined ? "without a signer" : signerText(object.signer))
    const sizes = exempt === undefined ? signed : exempted
    sizes.set(label, (sizes.get(label) ?? 0) + 1)
  }
  return [...mostOf(signed, "other signers"), ...mostOf(exempted, "other reasons why they were not judged")]
}

function mostOf(sizes: ReadonlyMap<string, number>, others: string): readonly { label: string; size: number }[] {
  const groups = [...sizes].map(([label, size]) => ({ label, size })).sort((a, b) => b.size - a.size)
  if (groups.length <= MAX_GROUPS) return groups
  const rest = groups.slice(MAX_GROUPS - 1)
  const size = rest.reduce((sum, group) => sum + group.size, 0)
  return [...groups.slice(0, MAX_GROUPS - 1), { label: `${rest.length} ${others}`, size }]
}

/** A line for each object in columns that fit the widest, or with `verbose` its whole story. */
function tableOf(
  objects: readonly AuditedObject[],
  result: AuditResult,
  { verbose }: TextOptions,
  indent: number,
): readonly string[] {
  const space = " ".repeat(indent)
  if (verbose) return objects.flatMap((object) => storyOf(object, result, indent))
  const rows = refusalRows(objects.slice(0, MAX_LISTED), idLength(result.objects.length))
  const more = objects.length - rows.length
  return [...rows, ...(more > 0 ? [`and ${more} more; --verbose lists all`] : [])].map((row) => `${space}${row}\n`)
}

/** Id, subject, author and reason of each object, in columns; without line feeds. */
export function refusalRows(objects: readonly AuditedObject[], digits: number): readonly string[] {
  const rows = objects.map((object) => ({
    id: object.id.slice(0, digits),
    title: cut(titleOf(object), 40) || "(no subject)",
    author: shownTo(20, object.author.name || object.author.email) || "(nobody)",
    reason: `${reasonText(object)}  [${problemOf(object).code}]`,
  }))
  const titles = Math.max(0, ...rows.map(({ title }) => widthOf(title)))
  const authors = Math.max(0, ...rows.map(({ author }) => widthOf(author)))
  return rows.map(({ id, title, author, reason }) => `${id}  ${pad(title, titles)}  ${pad(author, authors)}  ${reason}`)
}

const storiesOf = (result: AuditResult, verdict: AuditedObject["verdict"], indent: number): readonly string[] =>
  result.objects.filter((object) => object.verdict === verdict).flatMap((object) => storyOf(object, result, indent))

function storyOf(object: AuditedObject, { objects }: AuditResult, indent: number): readonly string[] {
  const head = `${object.id.slice(0, idLength(objects.length))}  ${titleOf(object) || "(no subject)"}`
  const reason = object.verdict === "ok" ? [] : [`${reasonText(object)}  [${problemOf(object).code}]`]
  return [head, ...[...reason, ...storyLines(object)].map((line) => `  ${line}`)].map(
    (line) => `${" ".repeat(indent)}${line}\n`,
  )
}
