/**
 * What is known of one object, a line for each fact.
 *
 * @module
 */

import type { AuditedObject, PersonLine } from "../audit/result.ts"
import { printable } from "../formats/printable.ts"
import { exemptText, isProven, shownTo, signerText, utc } from "./words.ts"

/** Everything but what is wrong: people, signer, log, times, policy, and the numbered steps of docs/verification.md. */
export function storyLines(object: AuditedObject): readonly string[] {
  return [
    `${object.type === "tag" ? "tagger" : "author"}     ${personText(object.author)}`,
    ...(samePerson(object.author, object.committer) ? [] : [`committer  ${personText(object.committer)}`]),
    ...signerLines(object),
    ...logLines(object),
    ...policyLines(object),
    ...stepLines(object),
  ]
}

/** Who an object says made it, and when; nothing proves it. */
export const personText = ({ name, email, date }: PersonLine): string =>
  `${shownTo(200, `${name} <${email}>`.trim())}${date === undefined ? "" : `, ${utc(date)}`}`

const samePerson = (one: PersonLine, other: PersonLine): boolean => personText(one) === personText(other)

function signerLines(object: AuditedObject): readonly string[] {
  if (object.signer === undefined) return [`signature  ${SCHEMES[object.scheme]}`]
  return [`${isProven(object) ? "signed by " : "claims    "} ${signerText(object.signer)}`]
}

const SCHEMES = {
  keyless: "of gitsign, from whom is not known",
  openpgp: "OpenPGP, from whom is not known",
  ssh: "SSH, from whom is not known",
  other: "of another kind",
  none: "none",
} as const

/** Where and when the log took it in, timestamps, and the author's own clock. */
export function logLines({ log, timestamps, claimedSigningTime, mode, scheme }: AuditedObject): readonly string[] {
  if (scheme !== "keyless") return []
  const carried = mode === "offline" ? "carried by the signature" : "kept by the log alone"
  return [
    ...(log === undefined
      ? [`log        not known, entry ${carried}`]
      : [
          `log        ${log.time === undefined ? "" : `${utc(log.time)}, `}index ${printable(log.index)} of ${printable(log.origin)}, entry ${carried}`,
        ]),
    ...timestamps.map((time) => `timestamp  ${utc(time)}`),
    ...(claimedSigningTime === undefined ? [] : [`own clock  ${utc(claimedSigningTime)}, which nothing proves`]),
  ]
}

/** Which rules were satisfied, which one refused, and what came nearest. */
export function policyLines(object: AuditedObject): readonly string[] {
  const { judgement } = object
  if (judgement === undefined) return []
  const exempt = exemptText(object)
  return [
    ...(judgement.satisfied.length > 0
      ? [`rules      satisfied: ${judgement.satisfied.map(printable).join(", ")}`]
      : []),
    ...(judgement.refusedBy === undefined ? [] : [`refused    by rule ${printable(judgement.refusedBy)}`]),
    ...(judgement.nearest === undefined ? [] : [`nearest    ${printable(judgement.nearest)}`]),
    ...(exempt === undefined ? [] : [`accepted   ${exempt}`]),
  ]
}

/** The numbered steps with how each went; nothing for schemes that have none. */
export const stepLines = ({ scheme, steps }: AuditedObject): readonly string[] =>
  scheme !== "keyless"
    ? []
    : steps.map(({ step, outcome }, index) => `${String(index + 1).padStart(9)}  ${step}: ${outcome}`)
