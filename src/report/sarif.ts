/**
 * An audit as SARIF 2.1.0 (OASIS standard, with what GitHub's code scanning asks for beyond it).
 *
 * @module
 */

import type { AuditedObject, AuditResult } from "../audit/result.ts"
import { ERROR_CODES, type ErrorCode } from "../errors.ts"
import { jsonText } from "../formats/printable.ts"
import { fingerprintOf } from "./gitlab.ts"
import { totalsJson } from "./json.ts"
import { policyPath } from "./policy-path.ts"
import type { Report } from "./report.ts"
import { hintsOf, idLength, inLog, notOk, problemOf, reasonText, titleOf } from "./words.ts"

const SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

/** More than this nobody reads. */
const MAX_HINTS = 3

/** One log at the end, with a result for everything that is not in order. What is in order is only counted: viewers take every result for a defect. */
export const sarifReport = (version: string): Report => ({
  object: () => "",
  end: (result) => inLog(jsonText({ $schema: SCHEMA, version: "2.1.0", runs: [runOf(result, version)] })),
})

function runOf(result: AuditResult, version: string): unknown {
  const refused = notOk(result)
  const codes = [...new Set(refused.map((object) => problemOf(object).code))].sort()
  const digits = idLength(result.objects.length)
  const uri = policyPath(result)
  return {
    tool: { driver: { name: "gitsign", version, rules: codes.map((code) => ruleOf(code, result)) } },
    automationDetails: { id: "gitsign/" },
    invocations: [{ executionSuccessful: true }],
    columnKind: "utf16CodeUnits",
    properties: { asked: result.asked, refs: result.refs, totals: totalsJson(result) },
    results: refused.map((object) => resultOf(object, codes.indexOf(problemOf(object).code), digits, uri)),
  }
}

/** Bad is an error. What could not be checked is a warning and not SARIF's kind `open`, which viewers leave out. */
const resultOf = (object: AuditedObject, ruleIndex: number, digits: number, uri: string): unknown => ({
  ruleId: problemOf(object).code,
  ruleIndex,
  level: object.verdict === "bad" ? "error" : "warning",
  message: {
    text: messageText(`${object.type} ${object.id.slice(0, digits)} (${titleOf(object)}): ${reasonText(object)}`),
  },
  locations: [
    {
      physicalLocation: { artifactLocation: { uri, uriBaseId: "%SRCROOT%" }, region: { startLine: 1 } },
      logicalLocations: [{ name: object.id, kind: object.type }],
    },
  ],
  // All stand at one line of one file; without this GitHub takes them for one alert.
  partialFingerprints: { primaryLocationLineHash: `${fingerprintOf(object)}:1`, "gitsignObject/v1": object.id },
})

/** Beside what a rule is for, the advice that every other format gives about the objects that it is about. */
function ruleOf(code: ErrorCode, result: AuditResult): unknown {
  const { exit } = ERROR_CODES[code]
  const objects = result.objects.filter((object) => object.problem?.code === code)
  const hints = hintsOf({ ...result, objects }, MAX_HINTS)
  const text = code.replace(/^ERR_/, "").replaceAll("_", " ").toLowerCase()
  return {
    id: code,
    shortDescription: { text },
    ...(hints.length === 0 ? {} : { help: { text: messageText(hints.join("\n")) } }),
    defaultConfiguration: { level: exit === 3 ? "warning" : "error" },
  }
}

/** Braces are placeholders (§3.11.5) and are doubled; `[text](uri)` is a link (§3.11.6), which nobody else shall put into ours. */
const messageText = (text: string): string => text.replace(/[{}]/g, "$&$&").replaceAll("](", "] (")
