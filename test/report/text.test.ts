/**
 * What people read of an audit: the text of ranges, the story of one object, and what a pusher gets to see.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import type { AuditResult } from "../../src/audit/result.ts"
import { explainText } from "../../src/report/explain.ts"
import { hookText } from "../../src/report/hook-text.ts"
import { textReport } from "../../src/report/text.ts"
import { audited, auditOf, keyless, sample, unsigned } from "../support/audits.ts"

const PLAIN = { verbose: false, colour: false }

const only = (id: string): AuditResult =>
  auditOf(
    sample.objects.filter((one) => one.id.startsWith(id)),
    { mend: sample.mend },
  )

describe("textReport", () => {
  test("groups what is fine and lists what is not", () => {
    expect(`\n${textReport(sample, PLAIN)}`).toBe(`
 42 ok   dev@example.com (https://github.com/login/oauth)
  3 ok   https://github.com/acme/app/.github/workflows/bot.yml@refs/heads/main (https://token.actions.githubusercontent.com)
  1 ok   exempted: import of 2019 (alice@example.com)
  2 bad
     9d0c1e2  bump deps  renovate     signed by bot@elsewhere.io, whom rule "main" of .gitsign/policy.yaml does not name  [ERR_IDENTITY]
     77ab01d  quick fix  B Developer  not signed  [ERR_NOT_SIGNED]
  1 unchecked
     5e55e55  日本語の件名  A Developer  in the name of dev@example.com (https://github.com/login/oauth): rekor.sigstore.dev did not answer within 10 s  [ERR_LOG_ENTRY_UNAVAILABLE]
gitsign: hint: gitsign resign 9d0c1e2^..HEAD
gitsign: hint: try again with a network
`)
  })

  test("with --verbose tells everything about each object", () => {
    expect(`\n${textReport(only("9d0"), { verbose: true, colour: false })}`).toBe(`
 1 bad
    9d0c1e2  bump deps
      signed by bot@elsewhere.io, whom rule "main" of .gitsign/policy.yaml does not name  [ERR_IDENTITY]
      author     renovate <bot@elsewhere.io>, 2026-11-21 10:01:03 UTC
      committer  A Developer <dev@example.com>, 2026-11-21 10:13:03 UTC
      signed by  bot@elsewhere.io (https://github.com/login/oauth)
      log        2026-11-21 10:14:03 UTC, index 2282308323 of rekor.sigstore.dev - 1193050959916656506, entry carried by the signature
      own clock  2026-11-21 10:12:03 UTC, which nothing proves
      refused    by rule main
      nearest    rule "main" names dev@example.com
              1  signature form: passed
              2  signer certificate: passed
              3  payload digest: passed
              4  signature: passed
              5  certificate usage: passed
              6  log entry: passed
              7  inclusion proof: passed
              8  timestamp: passed
              9  proven time: passed
             10  certificate chain, SCT, log signatures: passed
             11  identity: passed
gitsign: hint: gitsign resign 9d0c1e2^..HEAD
`)
  })

  test("says so when there was nothing, and notes and hints even then", () => {
    const nothing = auditOf([], { notes: ["the date of a commit is what its author says"] })
    expect(`\n${textReport(nothing, PLAIN)}`).toBe(`
 0 ok   nothing to verify in origin/main..HEAD
gitsign: the date of a commit is what its author says
`)
  })

  test("colours nothing but the verdicts", () => {
    const coloured = textReport(sample, { verbose: false, colour: true })
    const paint = new RegExp(`${String.fromCharCode(0x1b)}\\[(\\d+)m`)
    const parts = coloured.split(paint)
    const found = parts.flatMap((part, index) => (index % 4 === 1 ? [`${parts[index + 1]} ${part}`] : []))
    expect([...new Set(found)]).toEqual(["ok 32", "bad 31", "unchecked 33"])
    expect(parts.filter((_, index) => index % 2 === 0).join("")).toBe(textReport(sample, PLAIN))
  })

  test("ten thousand commits stay readable", () => {
    const commits = Array.from({ length: 10_000 }, (_, index) => {
      const id = index.toString(16).padStart(9, "0")
      if (index % 2 === 0) return audited(id, { ...unsigned, subject: `number ${index}` })
      return audited(id, { signer: keyless(`p${index % 300}@example.com`) })
    })
    const lines = textReport(auditOf(commits), PLAIN).split("\n")
    expect(lines).toHaveLength(104)
    expect(lines[49]).toBe(" 3334 ok   101 other signers")
    expect(lines[50]).toBe(" 5000 bad")
    expect(lines[51]).toBe("       000000000  number 0   A Developer  not signed  [ERR_NOT_SIGNED]")
    expect(lines[101]).toBe("       and 4950 more; --verbose lists all")
    expect(lines[102]).toBe("gitsign: hint: sign it with: git commit --amend --no-edit -S")
  })

  test("whoever signed is named, once, and as proven only when that is proven", () => {
    const problem = {
      code: "ERR_OFFLINE_PROOF",
      message: "the signature does not carry its log entry",
      hint: undefined,
    } as const
    const lineOf = (change: object): string =>
      textReport(auditOf([audited("1234567", { verdict: "bad", problem, ...change })]), PLAIN).split("\n")[1] ?? ""
    expect(lineOf({ notAllowed: true })).toContain(
      "signed by dev@example.com (https://github.com/login/oauth): the signature",
    )
    expect(lineOf({ notAllowed: false })).toContain(
      "in the name of dev@example.com (https://github.com/login/oauth): the",
    )
    expect(
      lineOf({ problem: { ...problem, message: "signed by dev@example.com" } }).match(/dev@example/g),
    ).toHaveLength(1)
    const ssh = { scheme: "ssh", identity: "bob", fingerprint: "SHA256:abc" } as const
    expect(lineOf({ scheme: "ssh", signer: ssh, notAllowed: true })).toContain(
      "signed by bob (SSH key SHA256:abc): the",
    )
  })

  test("what signed nobody's name still has a line of its own", () => {
    const nobody = audited("1", { subject: "", author: { name: "", email: "", date: undefined }, verdict: "bad" })
    expect(textReport(auditOf([nobody]), PLAIN)).toContain("1000000  (no subject)  (nobody)  in the name of")
  })
})

describe("explainText", () => {
  test("tells the whole story of one object", () => {
    const require = {
      keyless: true,
      offlineProof: true,
      sct: false,
      timestamp: true,
      committer: true,
      claims: [{ claim: "sourceRepositoryURI", match: { exact: "https://github.com/acme/app" } }],
    } as const
    const rule = { name: "main", line: 12, kind: "commits", refs: ["main"], merges: "first-parent", require } as const
    const rules = [
      { ...rule, paths: [], signers: ["maintainers", "bot"] },
      { ...rule, name: "policy", line: 20, paths: [".gitsign/**"], signers: ["maintainers"] },
    ]
    const [object] = only("9d0").objects
    if (object === undefined) throw new Error("no object")
    const details = { serialNumber: "0a1b", sha256: "cd".repeat(32), trustedRoot: "public good", rules, paths: ["a.c"] }
    expect(`\n${explainText(object, only("9d0"), details)}`).toBe(`
commit 9d0c1e2000000000000000000000000000000000

says of itself, which nothing proves
  subject    bump deps
  author     renovate <bot@elsewhere.io>, 2026-11-21 10:01:03 UTC
  committer  A Developer <dev@example.com>, 2026-11-21 10:13:03 UTC
  parent     1111111111111111111111111111111111111111
  changes    a.c

verdict
  bad: signed by bot@elsewhere.io, whom rule "main" of .gitsign/policy.yaml does not name  [ERR_IDENTITY]
  hint       gitsign resign 9d0c1e2^..HEAD

signer, proven
  identity   bot@elsewhere.io (email)
  issuer     https://github.com/login/oauth
  valid      2026-11-21 10:10:03 UTC to 2026-11-21 10:20:03 UTC
  SHA-1      0123456789abcdef0123456789abcdef01234567
  SHA-256    ${"cd".repeat(32)}
  serial     0a1b
  claim      issuer: https://github.com/login/oauth

log and times
  log        2026-11-21 10:14:03 UTC, index 2282308323 of rekor.sigstore.dev - 1193050959916656506, entry carried by the signature
  own clock  2026-11-21 10:12:03 UTC, which nothing proves
  trust      public good

policy
  from       origin/main:.gitsign/policy.yaml (sha256 abababababababab…)
  for        refs/heads/main
  refused    by rule main
  nearest    rule "main" names dev@example.com
  rule       main, line 12: refused
             on main
             signers maintainers, bot; requires a Sigstore signature, the log entry in the signature, no proof of a CT log, a timestamp, the signer to be the committer, sourceRepositoryURI https://github.com/acme/app, first parents only
  rule       policy, line 20: not for what it changes
             on main, paths .gitsign/**
             signers maintainers; requires a Sigstore signature, the log entry in the signature, no proof of a CT log, a timestamp, the signer to be the committer, sourceRepositoryURI https://github.com/acme/app, first parents only

steps
          1  signature form: passed
          2  signer certificate: passed
          3  payload digest: passed
          4  signature: passed
          5  certificate usage: passed
          6  log entry: passed
          7  inclusion proof: passed
          8  timestamp: passed
          9  proven time: passed
         10  certificate chain, SCT, log signatures: passed
         11  identity: passed
`)
  })

  test("a rule for what it changes is one that was not reached", () => {
    const [object] = only("9d0").objects
    if (object === undefined) throw new Error("no object")
    const require = { keyless: false, offlineProof: false, sct: true, timestamp: false, committer: false, claims: [] }
    const place = { name: "ci", line: 12, kind: "commits", refs: ["main"], paths: [".github/**"] } as const
    const rules = [{ ...place, require, merges: "all", signers: [] } as const]
    const told = (paths: string[] | undefined): string => explainText(object, only("9d0"), { paths, rules })
    expect(told([".github/workflows/x.yml"])).toContain("ci, line 12: not reached")
    expect(told(undefined)).toContain("ci, line 12: not reached")
    expect(told(["src/x.ts"])).toContain("ci, line 12: not for what it changes")
  })

  test("a tag has a tagger, and no author", () => {
    const tag = audited("7a9", { type: "tag", name: "v1.0", subject: "one" })
    const result = auditOf([tag])
    const story = textReport(result, { verbose: true, colour: false })
    for (const text of [explainText(tag, result), story]) {
      expect(text).toContain("tagger     A Developer <dev@example.com>")
      expect(text).not.toContain("author")
    }
  })

  test("says of an object without a signature what there is", () => {
    const [object] = only("77a").objects
    if (object === undefined) throw new Error("no object")
    expect(`\n${explainText(object, auditOf([object], { policies: [], refs: [] }))}`).toBe(`
commit 77ab01d000000000000000000000000000000000

says of itself, which nothing proves
  subject    quick fix
  author     B Developer <b@example.com>, 2026-11-21 10:02:03 UTC
  committer  A Developer <dev@example.com>, 2026-11-21 10:13:03 UTC
  parent     1111111111111111111111111111111111111111

verdict
  bad: not signed  [ERR_NOT_SIGNED]
  hint       sign it with: git commit --amend --no-edit -S
`)
  })
})

describe("hookText", () => {
  const push = auditOf([...Array.from({ length: 11 }, (_, index) => audited(`a${index}`)), ...only("77a").objects], {
    mend: "gitsign resign 77ab01d^..main && git push",
  })

  test("is what ux.md promises a pusher", () => {
    expect(`\n${hookText(push, { ref: "refs/heads/main" })}`).toBe(`
gitsign: refused refs/heads/main: 1 of 12 new commits
  77ab01d  quick fix  B Developer  not signed  [ERR_NOT_SIGNED]
gitsign: hint: gitsign resign 77ab01d^..main && git push
`)
  })

  test.each([
    ["would be refused", "gitsign: the other side would refuse refs/heads/main: 1 of 12 new commits"],
    ["warning", "gitsign: warning for refs/heads/main: 1 of 12 new commits"],
  ] as const)("%s", (outcome, first) => {
    expect(hookText(push, { ref: "refs/heads/main", outcome }).split("\n")[0]).toBe(first)
  })

  test("tells apart what is bad and what could not be checked", () => {
    const line = (result: AuditResult): string => hookText(result, { ref: "refs/heads/x" }).split("\n")[0] ?? ""
    expect(line(only("5e5"))).toBe("gitsign: refused refs/heads/x: 1 of 1 new commit could not be checked")
    expect(line(sample)).toBe("gitsign: refused refs/heads/x: 2 of 49 new objects, and 1 could not be checked")
  })

  test("prints nothing that nobody needs, and of many only some", () => {
    expect(hookText(only("b1"), { ref: "refs/heads/main" })).toBe("")
    const many = auditOf(
      Array.from({ length: 500 }, (_, index) => audited(index.toString(16).padStart(7, "0"), unsigned)),
    )
    const lines = hookText(many, { ref: "refs/heads/main" }).split("\n")
    expect(lines).toHaveLength(24)
    expect(lines[21]).toBe("  and 480 more")
  })
})
