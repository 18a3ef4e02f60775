/**
 * An audit as Markdown, for the summary of a job (GitHub Flavored Markdown; CommonMark §2.5 for the escapes).
 *
 * @module
 */

import { type AuditedObject, type AuditResult, exitStatusOf } from "../audit/result.ts"
import { printable } from "../formats/printable.ts"
import {
  countOf,
  exemptText,
  hintsOf,
  idLength,
  notOk,
  nounFor,
  problemOf,
  reasonText,
  shownTo,
  signerText,
  titleOf,
} from "./words.ts"

/** More rows make a page nobody reads, and GitHub takes 1 MiB for a step. */
const MAX_ROWS = 100

/** What the caller knows and the audit does not. */
export interface SummaryOptions {
  /** The beginning of the address of a commit's page, such as `https://github.com/acme/app/commit/`. */
  readonly commitUrl?: string | undefined
}

/** The Markdown, with a final line feed, to be appended to the file that GITHUB_STEP_SUMMARY names. */
export function stepSummary(result: AuditResult, options: SummaryOptions = {}): string {
  const refused = notOk(result)
  const more = refused.length - MAX_ROWS
  return [
    `### gitsign: ${headline(result)}\n\n`,
    ...(refused.length === 0 ? [] : ["| | id | subject | author | reason |\n| --- | --- | --- | --- | --- |\n"]),
    ...refused.slice(0, MAX_ROWS).map((object) => rowOf(object, idLength(result.objects.length), options)),
    ...(more > 0 ? [`\nand ${more} more; the log of this step counts them\n`] : []),
    ...hintsOf(result, 5).map((hint) => `\n**To mend it:** ${code(hint)}\n`),
    ...(result.totals.ok > 0
      ? [`\n<details><summary>${result.totals.ok} ok</summary>\n\n${signersOf(result)}\n</details>\n`]
      : []),
    ...result.notes.map((note) => `\n${markdown(note)}\n`),
    ...result.policies.map(({ source, sha256 }) => `\nPolicy: ${code(source)}, SHA-256 ${code(sha256)}\n`),
  ].join("")
}

function headline(result: AuditResult): string {
  const { bad, unchecked } = result.totals
  const count = countOf(result)
  if (count === 0) return "nothing to verify"
  const noun = `${count} ${nounFor(result, count)}`
  const parts = [...(bad > 0 ? [`${bad} refused`] : []), ...(unchecked > 0 ? [`${unchecked} not checked`] : [])]
  return exitStatusOf(result.totals) === 0 ? `${noun} verified` : `${parts.join(", ")} of ${noun}`
}

function rowOf(object: AuditedObject, digits: number, { commitUrl }: SummaryOptions): string {
  const id = code(object.id.slice(0, digits))
  const cells = [
    object.verdict === "bad" ? "bad" : "unchecked",
    commitUrl === undefined || object.type !== "commit"
      ? id
      : `<a href="${attribute(commitUrl)}${object.id}">${id}</a>`,
    code(titleOf(object)),
    markdown(shownTo(40, object.author.name || object.author.email)),
    `${markdown(reasonText(object))} ${code(problemOf(object).code)}`,
  ]
  return `| ${cells.join(" | ")} |\n`
}

function signersOf({ objects }: AuditResult): string {
  const sizes = new Map<string, number>()
  for (const object of objects) {
    if (object.verdict !== "ok") continue
    const label = exemptText(object) ?? (object.signer === undefined ? "without a signer" : signerText(object.signer))
    sizes.set(label, (sizes.get(label) ?? 0) + 1)
  }
  const groups = [...sizes].sort((a, b) => b[1] - a[1])
  const rows = groups.slice(0, MAX_ROWS).map(([label, size]) => `- ${size}: ${markdown(label)}\n`)
  const rest = groups.slice(MAX_ROWS).reduce((sum, [, size]) => sum + size, 0)
  return `${rows.join("")}${rest > 0 ? `- ${rest}: others\n` : ""}`
}

/** A character reference is text and never structure: no Markdown, no HTML, no link can be made of it. */
const markdown = (text: string): string =>
  printable(text).replace(/[!-/:-@[-`{-~]/g, (character) => `&#${character.charCodeAt(0)};`)

/** GitHub makes no mentions and no issue links in it either. */
const code = (text: string): string => `<code>${markdown(text) || " "}</code>`

const attribute = (text: string): string => (/^https?:\/\/[\w.:/-]+$/.test(text) ? text : "")
