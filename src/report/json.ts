/**
 * An audit as JSON, one document or one line for each object; docs/verify.schema.json describes both.
 *
 * @module
 */

import {
  type AuditedObject,
  type AuditedSigner,
  type AuditResult,
  auditStatusOf,
  type PersonLine,
} from "../audit/result.ts"
import { jsonLine } from "../formats/printable.ts"
import type { Report } from "./report.ts"
import { inLog, isoOf } from "./words.ts"

/** The version of docs/verify.schema.json. Within one version members are only ever added. */
const SCHEMA_VERSION = 2

const VERDICTS = { ok: "verified", bad: "failed", unchecked: "unavailable" } as const

/** One document at the end: a line for each member, and one for each object. */
export const jsonReport = (version: string): Report => ({
  object: () => "",
  end: (result) => {
    const members = Object.entries(summaryJson(result, version)).map(
      ([name, value]) => `  "${name}": ${inLog(jsonLine(value))},\n`,
    )
    const objects = result.objects.map((object) => `    ${inLog(jsonLine(objectJson(object)))}`).join(",\n")
    return `{\n${members.join("")}  "objects": [${objects === "" ? "" : `\n${objects}\n  `}]\n}\n`
  },
})

/** A line for each object as it comes, and last one with everything else. */
export const ndjsonReport = (version: string): Report => ({
  object: (object) => `${inLog(jsonLine({ schemaVersion: SCHEMA_VERSION, ...objectJson(object) }))}\n`,
  end: (result) => `${inLog(jsonLine(summaryJson(result, version)))}\n`,
})

const summaryJson = (result: AuditResult, version: string): Readonly<Record<string, unknown>> => ({
  schemaVersion: SCHEMA_VERSION,
  gitsign: version,
  asked: result.asked,
  refs: result.refs,
  policies: result.policies.map(({ source, sha256 }) => ({ source, sha256 })),
  anyIdentity: result.anyIdentity,
  totals: totalsJson(result),
  exitStatus: auditStatusOf(result),
  notes: result.notes,
  mend: result.mend ?? null,
})

/** The totals by the words that JSON has for verdicts. */
export const totalsJson = ({ totals }: AuditResult): Readonly<Record<string, number>> => ({
  verified: totals.ok,
  failed: totals.bad,
  unavailable: totals.unchecked,
})

const objectJson = (object: AuditedObject): Readonly<Record<string, unknown>> => ({
  object: { type: object.type, id: object.id, name: object.name },
  verdict: VERDICTS[object.verdict],
  error: problemJson(object.problem),
  notAllowed: object.notAllowed,
  subject: object.subject,
  author: personJson(object.author),
  committer: personJson(object.committer),
  parents: object.parents,
  scheme: object.scheme,
  identityChecked: object.identityChecked,
  signer: object.signer === undefined ? null : signerJson(object.signer),
  mode: object.scheme === "keyless" ? object.mode : null,
  log:
    object.log === undefined
      ? null
      : { origin: object.log.origin, index: object.log.index, time: isoOf(object.log.time) },
  timestamps: object.timestamps.map(isoOf),
  claimedSigningTime: isoOf(object.claimedSigningTime),
  policy: policyJson(object.judgement),
  steps: object.steps.map(({ step, outcome }, index) => ({ number: index + 1, step, outcome })),
})

const problemJson = (problem: AuditedObject["problem"]): unknown =>
  problem === undefined ? null : { code: problem.code, message: problem.message, hint: problem.hint ?? null }

const personJson = ({ name, email, date }: PersonLine): unknown => ({ name, email, date: isoOf(date) })

function signerJson(signer: AuditedSigner): unknown {
  const { scheme, identity, fingerprint } = signer
  if (signer.scheme !== "keyless") return { scheme, identity, fingerprint }
  return {
    scheme,
    identity,
    identities: signer.identities.map(({ type, value }) => ({ type, value })),
    issuer: signer.issuer,
    claims: signer.claims,
    fingerprint,
    notBefore: isoOf(signer.notBefore),
    notAfter: isoOf(signer.notAfter),
  }
}

function policyJson(judgement: AuditedObject["judgement"]): unknown {
  if (judgement === undefined) return null
  const { allowed, satisfied, refusedBy, nearest, exempt } = judgement
  return {
    allowed,
    satisfied,
    refusedBy: refusedBy ?? null,
    nearest: nearest ?? null,
    exempt: exempt === undefined ? null : { kind: exempt.kind, reason: exempt.reason },
  }
}
