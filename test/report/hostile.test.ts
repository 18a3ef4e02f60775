/**
 * Whatever others write into commits, certificates and policies stays text in every report: it forges no line, no command of a CI runner,
 * no element, no Markdown, and nothing that moves a cursor.
 *
 * @module
 */

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { AuditResult } from "../../src/audit/result.ts"
import { explainText } from "../../src/report/explain.ts"
import { hookText } from "../../src/report/hook-text.ts"
import { REPORT_FORMATS, type ReportFormat, reportFor } from "../../src/report/report.ts"
import { stepSummary } from "../../src/report/summary.ts"
import { textReport } from "../../src/report/text.ts"
import { audited, auditOf, HOSTILE, hostileAudit, unsigned } from "../support/audits.ts"

const rendered = (format: ReportFormat, result: AuditResult): string => {
  const report = reportFor(format, "1.0.0")
  return result.objects.map((object, index) => report.object(object, index)).join("") + report.end(result)
}

const rule = (text: string) =>
  ({
    name: text,
    line: 1,
    kind: "commits",
    refs: [text],
    paths: [text],
    signers: [text],
    merges: "all",
    require: {
      keyless: false,
      offlineProof: false,
      sct: true,
      timestamp: false,
      committer: false,
      claims: [{ claim: "issuer", match: { pattern: text, whole: true } }],
    },
  }) as const

const explained = (result: AuditResult, text: string): string =>
  result.objects
    .map((object) => explainText(object, result, { trustedRoot: text, rules: [rule(text)], paths: [text] }))
    .join("")

/** Every report, by name, of a result in which every text is `text`. */
const reports: Record<string, (text: string) => string> = {
  ...Object.fromEntries(REPORT_FORMATS.map((format) => [format, (text) => rendered(format, hostileAudit(text))])),
  text: (text) => textReport(hostileAudit(text), { verbose: false, colour: false }),
  verbose: (text) => textReport(hostileAudit(text), { verbose: true, colour: false }),
  explain: (text) => explained(hostileAudit(text), text),
  hook: (text) => hookText(hostileAudit(text), { ref: text }),
  summary: (text) => stepSummary(hostileAudit(text)),
}

const LOG_COMMAND = /##\w*\[/

const unprintableIn = (text: string): string[] => text.replaceAll("\n", "").match(/[\p{C}\p{Zl}\p{Zp}]/gu) ?? []

/** A command that the runner of GitHub Actions would obey (src/Runner.Common/ActionCommand.cs of actions/runner). */
interface Command {
  readonly name: string
  readonly properties: string
  readonly data: string
}

function commandsIn(text: string): readonly Command[] {
  return text.split(/\r\n|\r|\n/).flatMap((line) => {
    const [, name, properties = "", data = ""] = /^\s*::([\w-]+)(?: ([^\n]*?))?::(.*)$/.exec(line) ?? []
    if (name !== undefined) return [{ name, properties, data }]
    const [, old] = /##\[([\w-]+)[^\]]*\]/.exec(line) ?? []
    return old === undefined ? [] : [{ name: old, properties: "", data: "" }]
  })
}

describe.each(Object.keys(reports))("%s", (name) => {
  const report = reports[name] ?? (() => "")
  const hostile = report(HOSTILE)
  const harmless = report("x")

  test("holds nothing but printable characters and its own line feeds", () => {
    expect(unprintableIn(hostile)).toEqual([])
  })

  test("has the lines that it has for harmless text", () => {
    expect(hostile.split("\n")).toHaveLength(harmless.split("\n").length)
  })

  test("gives a CI runner the commands that it gives for harmless text", () => {
    const names = (text: string): string[] => commandsIn(text).map((command) => command.name)
    expect(names(hostile)).toEqual(names(harmless))
    expect(hostile.match(LOG_COMMAND)).toBeNull()
  })

  test("for any text at all", () => {
    const lines = harmless.split("\n").length
    const part = fc.constantFrom(
      "\n",
      "\r",
      "::error::",
      "##[group]",
      "]]>",
      "<!--",
      "|",
      "`",
      "\u001b[A",
      "\u202e",
      "\ud800",
      "{",
      "}",
      "](",
      "%",
    )
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(fc.oneof(part, fc.string()), { size: "medium" }).map((all) => all.join("")),
    )
    fc.assert(
      fc.property(text, (one) => {
        const found = report(one)
        expect(unprintableIn(found)).toEqual([])
        // Two texts can be the same once they are shown, and an empty one leaves a part out; never is there more.
        expect(found.split("\n").length).toBeLessThanOrEqual(lines + 1)
        expect(found.match(LOG_COMMAND)).toBeNull()
      }),
      { numRuns: 100 },
    )
  })
})

test("the check for commands can fail", () => {
  expect(commandsIn("a\n  ::set-output name=x::1\n")).toEqual([{ name: "set-output", properties: "name=x", data: "1" }])
  expect(commandsIn("fine ##[error]x")).toHaveLength(1)
})

describe("github", () => {
  test("an annotation says all there is, in its own title and message", () => {
    const subject = "50% done\n::error::forged, title=forged"
    const commands = commandsIn(rendered("github", auditOf([audited("1234567", { ...unsigned, subject })])))
    expect(commands).toEqual([
      {
        name: "error",
        properties: "title=gitsign%3A commit 1234567 is refused",
        data: "50%25 done\\u{a}::error::forged, title=forged%0Anot signed [ERR_NOT_SIGNED]%0Asign it with: git commit --amend --no-edit -S",
      },
    ])
  })

  test("there are never more than GitHub shows, and the last one counts the rest", () => {
    const commits = Array.from({ length: 30 }, (_, index) => audited(index.toString(16).padStart(7, "0"), unsigned))
    const commands = commandsIn(rendered("github", auditOf(commits)))
    expect(commands).toHaveLength(10)
    expect(commands.at(-1)?.properties).toBe("title=gitsign%3A and 21 more")
  })
})

describe("sarif", () => {
  test("no placeholder and no link is made of others' text", () => {
    const log = JSON.parse(rendered("sarif", hostileAudit()))
    for (const { message } of log.runs[0].results) {
      expect(message.text).not.toContain("](")
      expect(message.text.replaceAll("{{", "").replaceAll("}}", "")).not.toMatch(/[{}]/)
    }
  })

  test("an attacker's policy source names no file outside of the repository", () => {
    const uriOf = (source: string): string => {
      const policies = [{ source, sha256: "00" }]
      const log = JSON.parse(rendered("sarif", auditOf([audited("1", unsigned)], { policies })))
      return log.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri
    }
    expect(uriOf("main:.chainguard/source.yaml")).toBe(".chainguard/source.yaml")
    for (const source of ["main:../../etc/passwd", "main:/etc/passwd", "https://evil.example/x", "a:b c", "", "x:.."]) {
      expect(uriOf(source), source).toBe(".gitsign/policy.yaml")
    }
  })
})

describe("summary", () => {
  test("every row has five cells, and every tag is ours", () => {
    const summary = stepSummary(hostileAudit(), { commitUrl: 'https://example.com/"><script>' })
    const rows = summary.split("\n").filter((line) => line.startsWith("| "))
    expect(rows).toHaveLength(2 + 4)
    for (const row of rows) expect(row.split("|")).toHaveLength(7)
    const tags = new Set(summary.match(/<[^>]*>?/g))
    expect([...tags].filter((tag) => !/^<\/?(code|details|summary|a href="[\w]*")>$|^<\/a>$/.test(tag))).toEqual([])
    expect(summary.replace(/&#\d+;/g, "")).not.toMatch(/[`[\]\\~]|!\[|javascript:|www\./)
  })

  test("is Markdown that people can read", () => {
    const result = auditOf([audited("1"), audited("77ab01d", { ...unsigned, subject: "quick | fix" })], {
      mend: "gitsign resign 77ab01d^..HEAD",
    })
    expect(`\n${stepSummary(result, { commitUrl: "https://github.com/acme/app/commit/" })}`).toBe(`
### gitsign: 1 refused of 2 commits

| | id | subject | author | reason |
| --- | --- | --- | --- | --- |
| bad | <a href="https://github.com/acme/app/commit/77ab01d${"0".repeat(33)}"><code>77ab01d</code></a> | <code>quick &#124; fix</code> | A Developer | not signed <code>ERR&#95;NOT&#95;SIGNED</code> |

**To mend it:** <code>gitsign resign 77ab01d&#94;&#46;&#46;HEAD</code>

<details><summary>1 ok</summary>

- 1: dev&#64;example&#46;com &#40;https&#58;&#47;&#47;github&#46;com&#47;login&#47;oauth&#41;

</details>

Policy: <code>origin&#47;main&#58;&#46;gitsign&#47;policy&#46;yaml</code>, SHA-256 <code>${"ab".repeat(32)}</code>
`)
    expect(stepSummary(auditOf([audited("1")], { policies: [] })).split("\n")[0]).toBe("### gitsign: 1 commit verified")
    expect(stepSummary(auditOf([]))).toContain("### gitsign: nothing to verify\n")
  })
})

test("a subject of megabytes and a mountain of marks do not fill a log", () => {
  for (const subject of ["x".repeat(2_000_000), `a${"\u0301".repeat(1_000_000)}`, "界".repeat(1_000_000)]) {
    const problem = { code: "ERR_IDENTITY", message: subject, hint: undefined } as const
    const result = auditOf([
      audited("1", { ...unsigned, subject, problem, author: { name: subject, email: subject, date: undefined } }),
    ])
    for (const format of ["github", "gitlab", "sarif", "junit"] as const) {
      expect(rendered(format, result).length, format).toBeLessThan(20_000)
    }
    expect(textReport(result, { verbose: true, colour: false }).length).toBeLessThan(20_000)
    expect(hookText(result, { ref: "refs/heads/main" }).length).toBeLessThan(20_000)
  }
})
