/**
 * What every report says alike: who signed, what is wrong, how long an id is; all of it made fit to be shown.
 *
 * @module
 */

import { isMendedAtOnce } from "../audit/mend.ts"
import type { AuditedObject, AuditedSigner, AuditResult, Problem } from "../audit/result.ts"
import { printable } from "../formats/printable.ts"
import { cut } from "./columns.ts"

/** Columns. A subject may have a megabyte, and a certificate's names kilobytes. */
const MAX_TITLE = 120
const MAX_REASON = 600

/** JSON that means the same and holds no command for a runner. */
export const inLog = (json: string): string => json.replaceAll("##", "#\\u0023")

/** How many hex digits name an object here: as many as git would show, taking the objects for an eighth of the repository. */
export function idLength(objects: number): number {
  const bits = Math.floor(Math.log2(Math.max(1, objects * 8))) + 1
  return Math.max(7, Math.ceil(bits / 2))
}

/** `2026-11-21 10:14:03 UTC`; a year that ISO 8601 has no four digits for, or no date at all, is `at no date that makes sense`. */
export function utc(date: Date): string {
  const iso = isoOf(date)
  return iso === null ? "at no date that makes sense" : `${iso.slice(0, 19).replace("T", " ")} UTC`
}

/** RFC 3339, or null for what it cannot say: before year 0, after year 9999, undefined. */
export function isoOf(date: Date | undefined): string | null {
  const year = date?.getUTCFullYear() ?? Number.NaN
  return date !== undefined && year >= 0 && year <= 9999 ? date.toISOString() : null
}

/** Who signed, as people read it: identity and issuer, or identity and the kind of key. */
export function signerText(signer: AuditedSigner): string {
  const whence =
    signer.scheme === "keyless" ? signer.issuer || "no issuer" : `${KEYS[signer.scheme]} ${signer.fingerprint}`
  return shownTo(MAX_REASON, `${signer.identity || "nobody"} (${whence})`)
}

const KEYS = { openpgp: "OpenPGP key", ssh: "SSH key" } as const

/** Whether the claims about the signer were proven: all is well, or only the policy says no, or nobody was asked for. */
export const isProven = (object: AuditedObject): boolean =>
  object.verdict === "ok" || object.notAllowed || isUnasked(object)

/** Whether all that could be checked is in order, and nobody has said whom to expect. */
export const isUnasked = ({ problem }: AuditedObject): boolean => problem?.code === "ERR_IDENTITY_REQUIRED"

/** What a report says of an object that is not in order, even where the audit gave no reason. */
export const problemOf = ({ problem }: AuditedObject): Problem =>
  problem ?? { code: "ERR_BUG", message: "refused without a reason", hint: undefined }

/** The beginning of a text of any length, fit to be shown, in at most so many columns. */
export const shownTo = (columns: number, text: string): string => cut(printable(text.slice(0, 4 * columns)), columns)

/** Why an object is not in order, in one sentence, with whoever signed it where the sentence does not name them itself. */
export function reasonText(object: AuditedObject): string {
  const message = shownTo(MAX_REASON, problemOf(object).message)
  const { signer } = object
  if (signer === undefined || message.includes(shownTo(MAX_REASON, signer.identity || "nobody"))) return message
  return `${isProven(object) ? "signed by" : "in the name of"} ${signerText(signer)}: ${message}`
}

/** The first line of what an object says of itself: for a tag its name comes first. */
export function titleOf(object: AuditedObject): string {
  if (object.type === "commit") return shownTo(MAX_TITLE, object.subject)
  const name = object.name.replace(/^refs\/tags\//, "")
  return shownTo(MAX_TITLE, [`tag ${name}`.trim(), object.subject].filter((part) => part !== "").join(": "))
}

/** Why an object counts as fine without its signer having been judged. */
export function exemptText(object: AuditedObject): string | undefined {
  const exempt = object.judgement?.exempt
  return exempt === undefined ? undefined : shownTo(MAX_REASON, `${EXEMPT[exempt.kind]}: ${exempt.reason}`)
}

const EXEMPT = {
  exempted: "exempted",
  older: "older than the policy",
  "vouched for": "vouched for by a merge",
  "no rule": "no rule applies",
} as const

/** What is not in order, the bad first, each kind in the order of the audit. */
export const notOk = ({ objects }: AuditResult): readonly AuditedObject[] => [
  ...objects.filter(({ verdict }) => verdict === "bad"),
  ...objects.filter(({ verdict }) => verdict === "unchecked"),
]

/** How many objects were looked at. */
export const countOf = ({ totals }: AuditResult): number => totals.ok + totals.bad + totals.unchecked

/** `1 commit`, `12 objects`: commits when all are. */
export function nounFor(result: AuditResult, count: number): string {
  const noun = result.objects.every(({ type }) => type === "commit") ? "commit" : "object"
  return `${noun}${count === 1 ? "" : "s"}`
}

/** What to do about one object: what has to be set right first, and the one command that mends all that is bad, where there is one. */
export function adviceFor(object: AuditedObject, { mend }: Pick<AuditResult, "mend">): readonly string[] {
  const { code, hint } = problemOf(object)
  const own = hint === undefined ? [] : [printable(hint)]
  if (mend === undefined || object.verdict !== "bad") return own
  return [...(isMendedAtOnce(code) ? [] : own), printable(mend)]
}

/**
 * What to do next about everything that is not in order, each advice once; at most `most`. What nobody may be told to sign comes first:
 * whoever began with what is only not signed would sign the rest as well.
 */
export function hintsOf(result: AuditResult, most: number): readonly string[] {
  const isFirst = (object: AuditedObject): boolean =>
    !isMendedAtOnce(problemOf(object).code) && object.verdict === "bad"
  const objects = notOk(result)
  const isUnsigned = ({ type, problem }: AuditedObject): boolean =>
    type === "commit" && problem?.code === "ERR_NOT_SIGNED"
  // Who begins at the first commit signs all that stands on it.
  const fromFirst = objects.some((object) => isUnsigned(object) && object.parents.length === 0)
  const isOnIt = (object: AuditedObject): boolean => fromFirst && isUnsigned(object) && object.parents.length > 0
  const ordered = [...objects.filter(isFirst), ...objects.filter((object) => !isFirst(object) && !isOnIt(object))]
  return [...new Set(ordered.flatMap((object) => adviceFor(object, result)))].slice(0, most)
}
