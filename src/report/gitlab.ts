/**
 * An audit as a GitLab code quality report (GitLab documentation, "Code Quality report format").
 *
 * @module
 */

import { createHash } from "node:crypto"
import type { AuditedObject } from "../audit/result.ts"
import { jsonText } from "../formats/printable.ts"
import { policyPath } from "./policy-path.ts"
import type { Report } from "./report.ts"
import { idLength, inLog, notOk, problemOf, reasonText, titleOf } from "./words.ts"

/** One array at the end, with an issue for everything that is not in order; empty when all is. */
export const gitlabReport = (): Report => ({
  object: () => "",
  end: (result) => {
    const digits = idLength(result.objects.length)
    const path = policyPath(result)
    return inLog(jsonText(notOk(result).map((object) => issueOf(object, digits, path))))
  },
})

/** GitLab shows issues at files, and a commit is none: they stand at the policy that refuses. */
const issueOf = (object: AuditedObject, digits: number, path: string): unknown => ({
  description: `${object.type} ${object.id.slice(0, digits)} (${titleOf(object)}): ${reasonText(object)}`,
  check_name: problemOf(object).code,
  fingerprint: fingerprintOf(object),
  severity: object.verdict === "bad" ? "critical" : "minor",
  location: { path, lines: { begin: 1 } },
})

/** The same for the same refusal of the same object, and for no other; 64 hex digits. */
export const fingerprintOf = (object: AuditedObject): string =>
  createHash("sha256")
    .update(`${object.type} ${object.id} ${object.name} ${problemOf(object).code}`)
    .digest("hex")
