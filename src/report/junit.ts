/**
 * An audit as JUnit XML, as Jenkins, GitLab and others read it: a test case for each object.
 *
 * @module
 */

import type { AuditedObject, AuditResult } from "../audit/result.ts"
import { printable } from "../formats/printable.ts"
import type { Report } from "./report.ts"
import { personText } from "./story.ts"
import {
  adviceFor,
  countOf,
  exemptText,
  hintsOf,
  idLength,
  problemOf,
  reasonText,
  signerText,
  titleOf,
} from "./words.ts"

/** One document at the end. A bad object is a failure, one that could not be checked an error. */
export const junitReport = (version: string): Report => ({
  object: () => "",
  end: (result) => documentOf(result, version),
})

function documentOf(result: AuditResult, version: string): string {
  const { bad, unchecked } = result.totals
  const counts = `tests="${countOf(result)}" failures="${bad}" errors="${unchecked}"`
  const digits = idLength(result.objects.length)
  const properties = [
    ["gitsign", version],
    ...result.asked.map((asked) => ["asked", asked]),
    ...result.refs.map((ref) => ["ref", ref]),
    ...result.policies.map(({ source, sha256 }) => ["policy", `${source} sha256:${sha256}`]),
  ].map(([name = "", value = ""]) => `      <property name="${xml(name)}" value="${xml(value)}"/>\n`)
  const mend = hintsOf(result, 5).map((hint) => `hint: ${hint}\n`)
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    `<testsuites name="gitsign verify" ${counts}>\n`,
    `  <testsuite name="gitsign verify" ${counts} skipped="0" time="0">\n`,
    `    <properties>\n${properties.join("")}    </properties>\n`,
    ...result.objects.map((object) => caseOf(object, result, digits)),
    mend.length === 0 ? "" : `    <system-out>${xml(mend.join(""), true)}</system-out>\n`,
    "  </testsuite>\n</testsuites>\n",
  ].join("")
}

function caseOf(object: AuditedObject, result: AuditResult, digits: number): string {
  const name = `${object.id.slice(0, digits)} ${titleOf(object)}`
  const start = `    <testcase classname="${object.type}" name="${xml(name)}" time="0">\n`
  return `${start}${outcomeOf(object, result)}      <system-out>${xml(factsOf(object), true)}</system-out>\n    </testcase>\n`
}

function outcomeOf(object: AuditedObject, result: AuditResult): string {
  if (object.verdict === "ok") return ""
  const { code } = problemOf(object)
  const element = object.verdict === "bad" ? "failure" : "error"
  const text = adviceFor(object, result)
    .map((hint) => `hint: ${hint}`)
    .join("\n")
  return `      <${element} type="${code}" message="${xml(reasonText(object))}">${xml(text, true)}</${element}>\n`
}

const factsOf = (object: AuditedObject): string =>
  [
    `${object.type} ${object.id}`,
    `author ${personText(object.author)}`,
    ...(object.signer === undefined ? [] : [`signer ${signerText(object.signer)}`]),
    ...[exemptText(object) ?? []].flat(),
  ].join("\n")

/** Text as XML 1.0 can carry it: controls, lone surrogates and noncharacters, which it cannot, become escapes like everywhere. */
function xml(text: string, lines = false): string {
  const safe = lines ? text.split("\n").map(printable).join("\n") : printable(text)
  return safe.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")
}
