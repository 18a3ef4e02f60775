/**
 * Results of audits for the tests of reports: one as a person would meet it, and one in which every text is hostile.
 *
 * @module
 */

import type { AuditedObject, AuditedSigner, AuditResult } from "../../src/audit/result.ts"
import { STEPS } from "../../src/verify/steps.ts"

const GITHUB = "https://github.com/login/oauth"
const ACTIONS = "https://token.actions.githubusercontent.com"

/** A date in the samples: so many minutes after ten. */
const minute = (minutes: number): Date => new Date(Date.UTC(2026, 10, 21, 10, minutes, 3))

/** A signer with a certificate. */
export const keyless = (identity: string, issuer = GITHUB): AuditedSigner => ({
  scheme: "keyless",
  identity,
  identities: [{ type: identity.includes("://") ? "uri" : "email", value: identity }],
  issuer,
  claims: { issuer },
  fingerprint: "0123456789abcdef0123456789abcdef01234567",
  notBefore: minute(10),
  notAfter: minute(20),
})

/** An object that is in order; what is given takes the place of what a commit by a developer has. */
export const audited = (id: string, change: Partial<AuditedObject> = {}): AuditedObject => ({
  type: "commit",
  id: id.padEnd(40, "0"),
  name: "",
  verdict: "ok",
  problem: undefined,
  notAllowed: false,
  subject: "fix parser",
  author: { name: "A Developer", email: "dev@example.com", date: minute(13) },
  committer: { name: "A Developer", email: "dev@example.com", date: minute(13) },
  parents: ["1".repeat(40)],
  scheme: "keyless",
  signer: keyless("dev@example.com"),
  mode: "offline",
  log: { origin: "rekor.sigstore.dev - 1193050959916656506", index: "2282308323", time: minute(14) },
  timestamps: [],
  claimedSigningTime: minute(12),
  steps: STEPS.map((step) => ({ step, outcome: "passed" })),
  identityChecked: true,
  judgement: {
    allowed: true,
    refusal: undefined,
    satisfied: ["main"],
    refusedBy: undefined,
    nearest: undefined,
    exempt: undefined,
  },
  ...change,
})

/** What is there of an object without a signature, or with one that could not be read. */
export const unsigned: Partial<AuditedObject> = {
  verdict: "bad",
  scheme: "none",
  signer: undefined,
  log: undefined,
  claimedSigningTime: undefined,
  steps: STEPS.map((step) => ({ step, outcome: "not checked" })),
  identityChecked: false,
  judgement: undefined,
  problem: { code: "ERR_NOT_SIGNED", message: "not signed", hint: "sign it with: git commit --amend --no-edit -S" },
}

/** The whole result that has these objects. */
export const auditOf = (objects: readonly AuditedObject[], change: Partial<AuditResult> = {}): AuditResult => {
  const count = (verdict: AuditedObject["verdict"]): number => objects.filter((one) => one.verdict === verdict).length
  return {
    asked: ["origin/main..HEAD"],
    refs: ["refs/heads/main"],
    policies: [{ source: "origin/main:.gitsign/policy.yaml", sha256: "ab".repeat(32) }],
    anyIdentity: false,
    objects,
    totals: { ok: count("ok"), bad: count("bad"), unchecked: count("unchecked") },
    notes: [],
    mend: undefined,
    ...change,
  }
}

const BOT = "https://github.com/acme/app/.github/workflows/bot.yml@refs/heads/main"

/** Forty-one commits of a developer, three of a workflow, one exempted, two refused, one that could not be checked, and a tag. */
export const sample: AuditResult = auditOf(
  [
    ...Array.from({ length: 41 }, (_, index) => audited(`a${index}`.padEnd(10, "e"))),
    ...[1, 2, 3].map((index) => audited(`b${index}`, { signer: keyless(BOT, ACTIONS) })),
    audited("c1", {
      ...unsigned,
      verdict: "ok",
      problem: undefined,
      judgement: {
        allowed: true,
        refusal: undefined,
        satisfied: [],
        refusedBy: undefined,
        nearest: undefined,
        exempt: { kind: "exempted", reason: "import of 2019 (alice@example.com)" },
      },
    }),
    audited("9d0c1e2", {
      verdict: "bad",
      notAllowed: true,
      subject: "bump deps",
      author: { name: "renovate", email: "bot@elsewhere.io", date: minute(1) },
      signer: keyless("bot@elsewhere.io"),
      problem: {
        code: "ERR_IDENTITY",
        message: 'signed by bot@elsewhere.io, whom rule "main" of .gitsign/policy.yaml does not name',
        hint: undefined,
      },
      judgement: {
        allowed: false,
        refusal: undefined,
        satisfied: [],
        refusedBy: "main",
        nearest: 'rule "main" names dev@example.com',
        exempt: undefined,
      },
    }),
    audited("77ab01d", {
      ...unsigned,
      subject: "quick fix",
      author: { name: "B Developer", email: "b@example.com", date: minute(2) },
    }),
    audited("5e55e55", {
      verdict: "unchecked",
      subject: "日本語の件名",
      mode: "online",
      log: undefined,
      identityChecked: false,
      judgement: undefined,
      problem: {
        code: "ERR_LOG_ENTRY_UNAVAILABLE",
        message: "rekor.sigstore.dev did not answer within 10 s",
        hint: "try again with a network",
      },
    }),
    audited("1a91a91", { type: "tag", name: "refs/tags/v1.0", subject: "version 1", parents: [] }),
  ],
  { mend: "gitsign resign 9d0c1e2^..HEAD" },
)

/** Everything at once that a terminal, a runner, XML, Markdown, HTML, SARIF or a spreadsheet could take for more than text. */
export const HOSTILE = [
  "\u001b[2J\u001b]0;owned\u0007\u009b31m",
  "\0\b\r\n::error title=forged::forged\n::set-output name=verdict::verified\n",
  "##[error]forged ##vso[task.complete result=Succeeded;] ##teamcity[buildStatus] ###[group]",
  "%0A::warning::forged%0D%25",
  "]]><forged/><!-- --><![CDATA[ &amp; &#27; <script>alert(1)</script><img src=x onerror=alert(1)>",
  "`` ` ``` | --- | **bold** [link](javascript:alert(1)) ![i](https://evil.example/) www.evil.example @admin #1",
  "{0} {{1}} \\[x\\](1) $(touch owned) '\"; --",
  "\u202egnp.exe\u2066\u200b\u2028\u2029\ufeff\u00ad\u{e0041}",
  "\ud800 \udfff \ufffe \uffff \u{10ffff} \u0300\u0301\u0302",
].join(" ")

/** Every text that somebody else may choose is {@link HOSTILE}, or `text`. */
export const hostileAudit = (text = HOSTILE): AuditResult => {
  const person = { name: text, email: text, date: new Date(Number.NaN) }
  const signer: AuditedSigner = {
    scheme: "keyless",
    identity: text,
    identities: [{ type: "uri", value: text }],
    issuer: text,
    claims: { tokenSubject: text, issuer: text },
    fingerprint: "0123456789abcdef0123456789abcdef01234567",
    notBefore: minute(1),
    notAfter: new Date(8.64e15),
  }
  const texts: Partial<AuditedObject> = {
    name: text,
    subject: text,
    author: person,
    committer: { ...person, date: new Date(8.64e15) },
    signer,
    log: { origin: text, index: "1", time: minute(1) },
    judgement: {
      allowed: false,
      refusal: undefined,
      satisfied: [text],
      refusedBy: text,
      nearest: text,
      exempt: undefined,
    },
  }
  const problem = { code: "ERR_IDENTITY", message: text, hint: text } as const
  const ssh = { scheme: "ssh", identity: text, fingerprint: text } as const
  return auditOf(
    [
      audited("0b5", texts),
      audited("0b6", { ...texts, judgement: { ...sampleJudgement(text), exempt: { kind: "older", reason: text } } }),
      audited("0b7", { ...texts, verdict: "bad", notAllowed: true, problem }),
      audited("0b8", {
        ...texts,
        verdict: "bad",
        problem: { ...problem, message: "not so" },
        scheme: "ssh",
        signer: ssh,
      }),
      audited("0b9", { ...texts, type: "tag", verdict: "bad", problem, signer: undefined }),
      audited("0ba", { ...texts, verdict: "unchecked", problem: { ...problem, code: "ERR_REKOR" } }),
    ],
    { asked: [text], refs: [text], policies: [{ source: text, sha256: "ab".repeat(32) }], notes: [text], mend: text },
  )
}

const sampleJudgement = (text: string): NonNullable<AuditedObject["judgement"]> => ({
  allowed: true,
  refusal: undefined,
  satisfied: [text],
  refusedBy: undefined,
  nearest: undefined,
  exempt: undefined,
})
