/**
 * What the verbs of `gitsign policy` rest on: explaining a signer, comparing two policies, and what the messages say.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { diffPolicies } from "../../src/policy/diff.ts"
import { explainIdentity } from "../../src/policy/explain.ts"
import { escapeDots } from "../../src/policy/lint.ts"
import { disguiseOf, lookalike } from "../../src/policy/lookalike.ts"
import { compileText } from "../../src/policy/text-match.ts"
import { commit, GOOGLE, policyOf, signedBy } from "../support/policies.ts"

const BEFORE = `version: 1
signers:
  people:
    - { issuer: ${GOOGLE}, subject: alice@example.com }
    - { issuer: ${GOOGLE}, subjectRegExp: '[a-z]+@example\\.org' }
  bot:
    - issuer: https://token.actions.githubusercontent.com
      subject: https://github.com/acme/app/.github/workflows/x.yml@refs/heads/main
      workflow: { repository: acme/app }
  website: [{ openpgp: github }]
rules:
  - { name: main, branches: [main, 'release/*'], signers: [people, bot, website], require: { offlineProof: true } }
  - { name: policy, branches: ['**'], paths: ['.gitsign/**'], signers: [people] }
  - { name: tags, tags: ['v*'], signers: [bot], require: { workflow: { trigger: push } } }
compromised:
  - { subject: alice@example.com, from: 2026-01-01, until: 2026-01-02, reason: stolen }
`
const WORKFLOW = "https://github.com/acme/app/.github/workflows/x.yml@refs/heads/main"

describe("explain", () => {
  test("a person", async () => {
    const found = explainIdentity(await policyOf(BEFORE), { identity: "alice@example.com" }, { ref: "refs/heads/main" })
    expect(found).toMatchObject({
      signers: ["people"],
      rules: [
        {
          name: "main",
          allowed: true,
          by: { signer: "people", entry: `alice@example.com (${GOOGLE})` },
          conditions: ["the signature carries its log entry"],
        },
        { name: "policy", allowed: true, conditions: [] },
        { name: "tags", allowed: false, refusal: { code: "ERR_IDENTITY" } },
      ],
      compromised: ["not trusted between 2026-01-01T00:00:00Z and 2026-01-02T23:59:59Z (policy.yaml line 16: stolen)"],
      verdict: { ref: "refs/heads/main", judgement: { allowed: true, satisfied: ["main"] } },
    })
  })

  test("a workflow, with the claims that its entry and the rule ask for", async () => {
    const found = explainIdentity(
      await policyOf(BEFORE),
      { identity: WORKFLOW },
      { ref: "refs/heads/main", path: ".gitsign/policy.yaml" },
    )
    expect(found.signers).toEqual(["bot"])
    expect(found.rules.map(({ allowed }) => allowed)).toEqual([true, false, true])
    expect(found.rules[2]?.conditions).toEqual([
      "the certificate's claim githubWorkflowRepository is acme/app",
      "the certificate's claim githubWorkflowTrigger is push",
    ])
    expect(found.verdict?.judgement.refusal?.code).toBe("ERR_IDENTITY")
  })

  test("a key, and where it counts", async () => {
    const key = "9684 79A1 AFF9 27E3 7D1A 566B B569 0EEE BB95 2194"
    const { rules, signers } = explainIdentity(await policyOf(BEFORE), { identity: key })
    expect(signers).toEqual(["website"])
    expect(rules[0]).toMatchObject({ allowed: true, conditions: ["only on merges that git itself would have made so"] })
    expect(rules[1]).toMatchObject({ allowed: false })
  })

  test("a stranger, an issuer that is not named, and a look-alike", async () => {
    const policy = await policyOf(BEFORE)
    const codes = (identity: string, issuer?: string) =>
      explainIdentity(policy, { identity, issuer }).rules.map(({ refusal }) => refusal?.code)
    expect(codes("carol@elsewhere.example")).toEqual(["ERR_IDENTITY", "ERR_IDENTITY", "ERR_IDENTITY"])
    expect(codes("alice@example.com", "https://x.example")).toEqual(["ERR_ISSUER", "ERR_ISSUER", "ERR_IDENTITY"])
    expect(codes("\u0430lice@example.com")).toEqual(["ERR_LOOKALIKE", "ERR_LOOKALIKE", "ERR_IDENTITY"])
    expect(codes("anybody@example.org")).toEqual([undefined, undefined, "ERR_IDENTITY"])
  })
})

describe("diff", () => {
  const diff = async (change: (text: string) => string) =>
    diffPolicies(await policyOf(BEFORE), await policyOf(change(BEFORE)))

  test("nothing, where only the words are others", async () => {
    const same = await diff((text) => `# a comment\n${text.replace("people, bot, website", "website, bot, people")}`)
    expect(same).toEqual({ gains: [], loses: [], changes: [] })
  })

  test("who is new, and who is gone, and where", async () => {
    const found = await diff((text) => text.replaceAll("alice@example.com", "bob@example.com"))
    const where = ["commits to main", "commits to release/*"]
    expect(found.gains).toEqual([{ who: `bob@example.com (${GOOGLE})`, where }])
    expect(found.loses).toEqual([{ who: `alice@example.com (${GOOGLE})`, where }])
    expect(found.changes).toEqual([
      "not trusted now: bob@example.com from 2026-01-01T00:00:00.000Z until 2026-01-02T23:59:59.999Z: stolen",
      "not trusted no more: alice@example.com from 2026-01-01T00:00:00.000Z until 2026-01-02T23:59:59.999Z: stolen",
    ])
  })

  test("the whole pattern, when a pattern changes", async () => {
    const { gains, loses } = await diff((text) => text.replace("[a-z]+@", "[a-z.]+@"))
    expect(gains.map(({ who }) => who)).toEqual([`/[a-z.]+@example\\.org/ (${GOOGLE})`])
    expect(loses.map(({ who }) => who)).toEqual([`/[a-z]+@example\\.org/ (${GOOGLE})`])
  })

  test("whom a pattern has, when a name becomes one", async () => {
    const { gains, loses } = await diff((text) =>
      text.replace("subject: alice@example.com }\n    - {", "subjectRegExp: '[a-z]+@example\\.com' }\n    - {"),
    )
    expect(loses).toEqual([])
    expect(gains.map(({ who }) => who)).toEqual([`/[a-z]+@example\\.com/ (${GOOGLE})`])
  })

  test("a rule that is gone lets others in, and one that asks for more is told", async () => {
    const gone = await diff((text) => text.replace(/ {2}- \{ name: policy.*\n/, ""))
    expect(gone.gains.map(({ who }) => who)).toEqual([
      `${WORKFLOW} (https://token.actions.githubusercontent.com) with githubWorkflowRepository acme/app`,
      "the key 968479A1AFF927E37D1A566BB5690EEEBB952194 (GitHub's website), on merges that git itself would have made so",
      "the key 5DE3E0509C47EA3CF04A42D34AEE18F83AFDEB23 (GitHub's website), on merges that git itself would have made so",
    ])
    expect(gone.gains[0]?.where).toEqual([
      "commits to main that change .gitsign/**",
      "commits to release/* that change .gitsign/**",
    ])
    expect(gone.changes).toEqual([
      'rule "policy" is gone, which was for commits to ** that change .gitsign/**, asking for nothing more',
    ])
    const stricter = await diff((text) => text.replace("offlineProof: true", "offlineProof: true, timestamp: true"))
    expect(stricter).toMatchObject({ gains: [], loses: [] })
    expect(stricter.changes).toEqual([
      "rule \"main\": for commits to main, release/*, asking for the log's proof in the signature before, for commits to main, release/*, asking for the log's proof in the signature, a timestamp now",
    ])
  })

  test("anyone, and other refs", async () => {
    const open = await diff(
      (text) => `${text.replace("website: [{ openpgp: github }]", "website: [{ anyone: true }]")}otherwise: allow\n`,
    )
    expect(open.gains.map(({ who }) => who)).toContain("anyone")
    const alice = open.gains.find(({ who }) => who.startsWith("alice"))
    expect(alice?.where).toEqual(["commits to any other branch", "any other tag"])
    expect(open.changes).toContain("otherwise: refuse before, allow now")
  })

  test("a key that counts on more commits", async () => {
    const { gains, loses } = await diff((text) => text.replace("openpgp: github", "openpgp: github, on: all"))
    expect(loses).toEqual([])
    expect(gains[0]).toEqual({
      who: "the key 968479A1AFF927E37D1A566BB5690EEEBB952194 (GitHub's website)",
      where: [
        "commits to main, but none that change .gitsign/**",
        "commits to release/*, but none that change .gitsign/**",
      ],
    })
  })
})

test.each([
  [".+@example.com", ".+@example\\.com"],
  [".*@example\\.com", ".*@example\\.com"],
  ["[a-z.]+@mail.example.com$", "[a-z.]+@mail\\.example\\.com$"],
  ["[].]x@a.b", "[].]x@a\\.b"],
  ["https://github.com/a/b/.github/workflows/x.yml@.*", "https://github\\.com/a/b/\\.github/workflows/x\\.yml@.*"],
  ["a.{3}b", "a.{3}b"],
  ["\\Qa.b\\E.c@x.y", "\\Qa.b\\E\\.c@x\\.y"],
  ["(alice|bob)@(a.b)", "(alice|bob)@(a\\.b)"],
])("the dots of %s", (pattern, expected) => expect(escapeDots(pattern)).toBe(expected))

test.each([
  ["Alice@example.com", "only upper and lower case differ"],
  ["\u0430lice@example.com", "its character 1 is U+0430, not U+0061 (a)"],
  ["alice@example.com.", "its character 18 is U+002E (.), not the end"],
  ["ali\u200bce@example.com", "its character 4 is U+200B, not U+0063 (c)"],
  ["alice@mail.example.com", "it is not the same address, only part of it is alice@example.com"],
  ["alice@xn--exmple-cua.com", "its character 7 is U+0078 (x), not U+0065 (e)"],
  ["alice@xn--xample-2of.com", "its character 7 is U+0078 (x), not U+0065 (e)"],
])("%s looks like alice@example.com", async (address, difference) => {
  const named = await compileText({ exact: "alice@example.com" }, "x")
  expect(lookalike(disguiseOf(address), named)).toEqual({ name: "alice@example.com", difference })
  const pattern = await compileText({ pattern: "[a-z]+@example\\.com", whole: true }, "x")
  expect(lookalike(disguiseOf(address), pattern)?.name).toBe("/[a-z]+@example\\.com/")
})

test("a refusal names what was found and what was expected", async () => {
  const policy = await policyOf(BEFORE)
  const set = policy.rulesFor("commit", "refs/heads/main")
  const message = (identity: string, but = {}) =>
    policy.judge(commit({}), set, signedBy(identity, but)).refusal?.message
  expect(message("bot@elsewhere.io")).toBe('signed by bot@elsewhere.io, whom rule "main" of policy.yaml does not name')
  expect(message("alice@example.com", { issuer: "https://x.example" })).toBe(
    `signed by alice@example.com, whose issuer is https://x.example, not ${GOOGLE}`,
  )
  expect(message(WORKFLOW, { issuer: "https://token.actions.githubusercontent.com" })).toBe(
    `signed by ${WORKFLOW}, whose claim githubWorkflowRepository is missing, not acme/app`,
  )
  expect(message("alice@example.com", { mode: "online" })).toBe(
    'signed by alice@example.com, and rule "main" of policy.yaml asks for the log\'s proof in the signature',
  )
})
