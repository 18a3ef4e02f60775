/**
 * An audit for the log of GitHub Actions: the text for people, then annotations (workflow commands of actions/runner).
 *
 * @module
 */

import type { AuditedObject, AuditResult } from "../audit/result.ts"
import type { Report } from "./report.ts"
import { textReport } from "./text.ts"
import { adviceFor, hintsOf, idLength, isUnasked, problemOf, reasonText, titleOf } from "./words.ts"

/** GitHub shows ten annotations of a kind for a step; the last one counts the rest. */
const MAX_ANNOTATIONS = 10

/** Everything at the end: the caller MUST write it to stdout, where the runner looks for commands. */
export const githubReport = (): Report => ({
  object: () => "",
  end: (result) =>
    [
      textReport(result, { verbose: false, colour: false }),
      ...annotationsOf(result, "bad", "error"),
      ...annotationsOf(result, "unchecked", "warning"),
    ].join(""),
})

function annotationsOf(result: AuditResult, verdict: AuditedObject["verdict"], command: "error" | "warning"): string[] {
  const objects = result.objects.filter((object) => object.verdict === verdict)
  const digits = idLength(result.objects.length)
  const all = objects.length <= MAX_ANNOTATIONS
  const lines = objects.slice(0, all ? MAX_ANNOTATIONS : MAX_ANNOTATIONS - 1).map((object) => {
    const { code } = problemOf(object)
    const unchecked = isUnasked(object) ? "is verified, but nobody was asked for" : "could not be checked"
    const what = verdict === "bad" ? "is refused" : unchecked
    const message = `${titleOf(object)}\n${reasonText(object)} [${code}]`
    return annotation(command, `${object.type} ${object.id.slice(0, digits)} ${what}`, [
      message,
      ...adviceFor(object, result),
    ])
  })
  if (all) return lines
  const rest = objects.length - MAX_ANNOTATIONS + 1
  return [
    ...lines,
    annotation(command, `and ${rest} more`, ["the log of this step and its summary list them", hintsOf(result, 1)[0]]),
  ]
}

/** One command. What would end it or begin another one is escaped as the runner reads it. */
function annotation(command: string, title: string, lines: readonly (string | undefined)[]): string {
  const message = lines.filter((line) => line !== undefined).join("\n")
  return `::${command} title=${property(`gitsign: ${title}`)}::${data(message)}\n`
}

const data = (text: string): string => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A")
const property = (text: string): string => data(text).replaceAll(":", "%3A").replaceAll(",", "%2C")
