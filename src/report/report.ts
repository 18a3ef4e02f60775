/**
 * The formats in which an audit can be had, each made from the one result.
 *
 * @module
 */

import type { AuditedObject, AuditResult } from "../audit/result.ts"
import { githubReport } from "./github.ts"
import { gitlabReport } from "./gitlab.ts"
import { jsonReport, ndjsonReport } from "./json.ts"
import { junitReport } from "./junit.ts"
import { sarifReport } from "./sarif.ts"

/** Every format that machines read; people read {@link textReport} of text.ts. */
export const REPORT_FORMATS = ["json", "ndjson", "github", "gitlab", "sarif", "junit"] as const

/** One of {@link REPORT_FORMATS}. */
export type ReportFormat = (typeof REPORT_FORMATS)[number]

/** Text for stdout while an audit runs and when it is over. */
export interface Report {
  /** What is printed as soon as one object is done. The caller MUST call it in the order of the result. */
  object(object: AuditedObject, index: number): string
  /** What is printed last. */
  end(result: AuditResult): string
}

/**
 * The report in a format. It keeps nothing between calls.
 *
 * @param version gitsign's own, for the formats that name the program
 */
export function reportFor(format: ReportFormat, version: string): Report {
  return REPORTS[format](version)
}

const REPORTS: Readonly<Record<ReportFormat, (version: string) => Report>> = {
  json: jsonReport,
  ndjson: ndjsonReport,
  github: githubReport,
  gitlab: gitlabReport,
  sarif: sarifReport,
  junit: junitReport,
}
