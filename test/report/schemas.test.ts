/**
 * The reports for machines are what their public schemas say: for a result as a person would meet it, for a hostile one, for none, and for
 * every object of fixtures/.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { Ajv, type AnySchemaObject, type ValidateFunction } from "ajv"
import { Ajv2020 } from "ajv/dist/2020.js"
import addFormats from "ajv-formats"
import { beforeAll, describe, expect, test } from "vitest"
import { validateXML } from "xmllint-wasm"
import { checkObject } from "../../src/audit/check.ts"
import type { AuditedObject, AuditResult } from "../../src/audit/result.ts"
import { type ReportFormat, reportFor } from "../../src/report/report.ts"
import { audited, auditOf, HOSTILE, hostileAudit, sample } from "../support/audits.ts"
import { type Case, casesOf, trustedRootOf } from "../support/fixtures.ts"

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")
const verifySchema: AnySchemaObject = JSON.parse(read("docs/verify.schema.json"))
const XSD = read("fixtures/schemas/jenkins-junit.xsd")

const ajv2020 = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true })
const ajvDraft7 = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false })
for (const ajv of [ajv2020, ajvDraft7]) addFormats.default(ajv)

/** Every object schema refuses what it does not name, so that the document cannot have a member that the schema forgot. */
function closed(schema: AnySchemaObject): AnySchemaObject {
  const copy: AnySchemaObject = JSON.parse(JSON.stringify(schema))
  const close = (part: unknown): void => {
    if (typeof part !== "object" || part === null) return
    if ("properties" in part) Object.assign(part, { unevaluatedProperties: false })
    for (const [name, value] of Object.entries(part)) if (name !== "if" && name !== "then") close(value)
  }
  close(copy)
  // A document and a line are each another schema and more.
  for (const name of ["summary", "object"]) delete copy.$defs[name].unevaluatedProperties
  Object.assign(copy.properties.objects.items, { type: "object", unevaluatedProperties: false })
  return { ...copy, $id: "urn:gitsign:verify:closed" }
}

ajv2020.addSchema(closed(verifySchema))
const validator = (id: string): ValidateFunction => {
  const found = ajv2020.getSchema(id)
  if (found === undefined) throw new Error(`no schema ${id}`)
  return found
}
const isDocument = validator("urn:gitsign:verify:closed")
const isLine = validator("urn:gitsign:verify:closed#/$defs/line")
const isSummary = validator("urn:gitsign:verify:closed#/$defs/summary")
const isCodeQuality = ajv2020.compile(JSON.parse(read("fixtures/schemas/gitlab-code-quality.json")))
// Draft 4 differs from draft 7 in `id` alone, as far as this schema goes.
const { id: _id, $schema: _schema, ...sarif } = JSON.parse(read("fixtures/schemas/sarif-2.1.0-rtm.5.json"))
const isSarif = ajvDraft7.compile(sarif)

const errorsOf = (validate: ValidateFunction, value: unknown): unknown => (validate(value) ? [] : validate.errors)

interface SarifResult {
  readonly partialFingerprints: { readonly primaryLocationLineHash: string }
}

const rendered = (format: ReportFormat, result: AuditResult): string => {
  const report = reportFor(format, "1.0.0")
  return result.objects.map((object, index) => report.object(object, index)).join("") + report.end(result)
}

/** An object of fixtures/ as an audit has it that asks nobody's name. */
function auditedCase(one: Case): AuditedObject {
  const type = one.kind === "tags" ? "tag" : "commit"
  const id = one.fields.get("object-id") ?? "0".repeat(one.fields.get("object-format") === "sha256" ? 64 : 40)
  const { summary, signature } = checkObject({ type, id, raw: one.read("object") }, trustedRootOf(one))
  const { proven: _proven, sctProblem: _sct, verdict, ...rest } = signature
  return {
    ...audited(id),
    ...rest,
    type,
    subject: summary.subject,
    author: summary.author,
    committer: summary.committer,
    parents: summary.parents,
    verdict: verdict === "verified" ? "ok" : verdict === "failed" ? "bad" : "unchecked",
    identityChecked: false,
    judgement: undefined,
  }
}

const results: [string, AuditResult][] = [
  ["a result as people meet it", sample],
  ["a hostile result", hostileAudit()],
  ["nothing", auditOf([])],
]

beforeAll(() => {
  results.push(["every object of fixtures/", auditOf([...casesOf("commits"), ...casesOf("tags")].map(auditedCase))])
}, 120_000)

describe.each([0, 1, 2, 3])("result %i", (number) => {
  const resultOf = (): AuditResult => results[number]?.[1] ?? auditOf([])
  test("is not empty by mistake", () => {
    expect(resultOf().objects.length > 0).toBe(results[number]?.[0] !== "nothing")
  })

  test("json", () => {
    expect(errorsOf(isDocument, JSON.parse(rendered("json", resultOf())))).toEqual([])
  })

  test("ndjson: a line for each object, and last one with the rest", () => {
    const lines = rendered("ndjson", resultOf()).split("\n")
    expect(lines.pop()).toBe("")
    expect(errorsOf(isSummary, JSON.parse(lines.pop() ?? ""))).toEqual([])
    expect(lines).toHaveLength(resultOf().objects.length)
    for (const line of lines) expect(errorsOf(isLine, JSON.parse(line))).toEqual([])
  })

  test("sarif", () => {
    const log = JSON.parse(rendered("sarif", resultOf()))
    expect(errorsOf(isSarif, log)).toEqual([])
    const [run] = log.runs
    const { bad, unchecked } = resultOf().totals
    expect(run.results).toHaveLength(bad + unchecked)
    for (const result of run.results) expect(run.tool.driver.rules[result.ruleIndex].id).toBe(result.ruleId)
    const ids = new Set(resultOf().objects.map(({ id, name }) => `${id} ${name}`))
    const hashes = new Set(run.results.map((one: SarifResult) => one.partialFingerprints.primaryLocationLineHash))
    // GitHub takes results of one hash for one alert.
    if (ids.size === resultOf().objects.length) expect(hashes.size).toBe(bad + unchecked)
  })

  test("gitlab", () => {
    const issues = JSON.parse(rendered("gitlab", resultOf()))
    expect(errorsOf(isCodeQuality, issues)).toEqual([])
    expect(issues).toHaveLength(resultOf().totals.bad + resultOf().totals.unchecked)
  })

  test("junit", async () => {
    const contents = rendered("junit", resultOf())
    const { valid, errors } = await validateXML({ xml: { fileName: "report.xml", contents }, schema: XSD })
    expect(errors.map(({ message }) => message)).toEqual([])
    expect(valid).toBe(true)
    expect(contents.match(/<testcase /g) ?? []).toHaveLength(resultOf().objects.length)
    expect(contents.match(/<failure /g) ?? []).toHaveLength(resultOf().totals.bad)
    expect(contents.match(/<error /g) ?? []).toHaveLength(resultOf().totals.unchecked)
  })
})

test("sarif gives the advice of the other formats, and not another one for the same code", () => {
  const hint = "if this signer is right, name it in the policy, under signers"
  const [first, second] = [
    audited("1", { verdict: "bad", problem: { code: "ERR_IDENTITY", message: "no", hint } }),
    audited("2", { verdict: "bad", problem: { code: "ERR_NOT_SIGNED", message: "no", hint: "sign it" } }),
  ]
  const helpOf = (mend?: string): unknown[] => {
    const log = JSON.parse(rendered("sarif", auditOf([first, second], { mend })))
    return log.runs[0].tool.driver.rules.map(({ help }: { help?: { text: string } }) => help?.text)
  }
  expect(helpOf()).toEqual([hint, "sign it"])
  expect(helpOf("gitsign resign 2^..main")).toEqual([`${hint}\ngitsign resign 2^..main`, "gitsign resign 2^..main"])
})

describe("the checks can fail", () => {
  test("json", () => {
    const document = JSON.parse(rendered("json", sample))
    expect(errorsOf(isDocument, { ...document, more: 1 })).not.toEqual([])
    expect(errorsOf(isDocument, { ...document, schemaVersion: 1 })).not.toEqual([])
    const [object] = document.objects
    expect(errorsOf(isDocument, { ...document, objects: [{ ...object, more: 1 }] })).not.toEqual([])
    expect(errorsOf(isDocument, { ...document, objects: [{ ...object, verdict: "good" }] })).not.toEqual([])
    expect(
      errorsOf(isDocument, { ...document, objects: [{ ...object, author: { ...object.author, x: 1 } }] }),
    ).not.toEqual([])
    const { issuer: _issuer, ...signer } = object.signer
    expect(errorsOf(isDocument, { ...document, objects: [{ ...object, signer }] })).not.toEqual([])
    expect(errorsOf(isLine, object)).not.toEqual([])
  })

  test("sarif, gitlab, junit", async () => {
    const log = JSON.parse(rendered("sarif", sample))
    expect(errorsOf(isSarif, { ...log, version: "2.0.0" })).not.toEqual([])
    log.runs[0].results[0].level = "critical"
    expect(errorsOf(isSarif, log)).not.toEqual([])
    const issues = JSON.parse(rendered("gitlab", sample))
    expect(errorsOf(isCodeQuality, [{ ...issues[0], severity: "high" }])).not.toEqual([])
    for (const wrong of [
      (xml: string) => xml.replace("<testcase", "<case"),
      (xml: string) => xml.replace("bump", "\u0007"),
    ]) {
      const contents = wrong(rendered("junit", sample))
      const { valid } = await validateXML({ xml: { fileName: "report.xml", contents }, schema: XSD })
      expect(valid).toBe(false)
    }
  })
})

test("json keeps hostile text as it is", () => {
  const document = JSON.parse(rendered("json", hostileAudit()))
  expect(document.asked).toEqual([HOSTILE])
  expect(document.objects[0].subject).toBe(HOSTILE)
  expect(document.objects[0].signer.claims.tokenSubject).toBe(HOSTILE)
  expect(document.objects[0].author).toEqual({ name: HOSTILE, email: HOSTILE, date: null })
  expect(document.objects[0].committer.date).toBeNull()
})

test("the totals, the verdicts and the exit status agree", () => {
  const document = JSON.parse(rendered("json", sample))
  const verdicts = document.objects.map(({ verdict }: { verdict: string }) => verdict)
  for (const verdict of ["verified", "failed", "unavailable"]) {
    expect(verdicts.filter((one: string) => one === verdict)).toHaveLength(document.totals[verdict])
  }
  expect(document.exitStatus).toBe(1)
})
