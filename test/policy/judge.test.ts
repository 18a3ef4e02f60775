/**
 * What a policy says of commits and tags: which rules are asked, what comes first, and what an attacker would try.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { describe, expect, test } from "vitest"
import type { ProvenSigner } from "../../src/policy/facts.ts"
import { GITHUB_FINGERPRINTS, GITHUB_KEYS, keysOf, openpgpFingerprints } from "../../src/policy/key-files.ts"
import { GITHUB_WEB_FLOW_KEYS } from "../../src/verify/keys/github.ts"
import { commit, GOOGLE, policyOf, signedBy } from "../support/policies.ts"
import { policyCases } from "../support/policy-cases.ts"

const SIGNERS = `version: 1
signers:
  people: [{ issuer: ${GOOGLE}, subject: alice@example.com }]
  others: [{ issuer: ${GOOGLE}, subject: bob@example.com }]
  website: [{ openpgp: github }]
`
const [GITHUB = ""] = GITHUB_FINGERPRINTS
const website: ProvenSigner = { scheme: "openpgp", fingerprints: [GITHUB], userIds: ["GitHub <noreply@github.com>"] }
const TWO_PARENTS = ["d".repeat(40), "e".repeat(40)]
const withRules = (rules: string, more = ""): string => `${SIGNERS}rules:\n${rules}\n${more}`

describe("rules", () => {
  test("every one has to be satisfied, and the first that is not says why", async () => {
    const policy = await policyOf(
      withRules(`  - { name: main, branches: [main], signers: [people, others] }
  - { name: policy, branches: ['**'], paths: [.gitsign], signers: [people] }`),
    )
    const rules = policy.rulesFor("commit", "refs/heads/main")
    expect(rules.names).toEqual(["main", "policy"])
    const bob = signedBy("bob@example.com")
    expect(policy.judge(commit({}), rules, bob)).toMatchObject({
      allowed: true,
      satisfied: ["main"],
      exempt: undefined,
    })
    expect(policy.judge(commit({ paths: [".gitsign/policy.yaml"] }), rules, bob)).toEqual({
      allowed: false,
      refusal: {
        code: "ERR_IDENTITY",
        message: 'signed by bob@example.com, whom rule "policy" of policy.yaml does not name',
        hint: "if this signer is right, name it in the policy, under signers",
      },
      satisfied: ["main"],
      refusedBy: "policy",
      nearest: 'rule "policy" names people; the signer is one of others',
      exempt: undefined,
    })
    // Nobody asked git: then it may have changed anything
    expect(policy.judge(commit({ paths: undefined }), rules, bob).refusal?.code).toBe("ERR_IDENTITY")
    expect(policy.needs(rules)).toEqual({ paths: true, cleanMerge: false, firstParent: false })
  })

  test("a ref has the same key as another exactly when the same rules are for it", async () => {
    const policy = await policyOf(
      withRules(`  - { name: one, branches: [main, dev], signers: [people] }
  - { name: two, branches: [dev, 'x/**'], signers: [people] }
  - { name: tags, tags: ['v*'], signers: [people] }`),
    )
    const key = (type: "commit" | "tag", ref?: string): string => policy.rulesFor(type, ref).key
    expect(key("commit", "refs/heads/x/1")).toBe(key("commit", "refs/heads/x/2"))
    const keys = [
      key("commit", "refs/heads/main"),
      key("commit", "refs/heads/dev"),
      key("commit", "refs/heads/x/1"),
      key("commit", "refs/heads/none"),
      key("commit", "refs/heads/nothing"),
      // Rules ask something of it, and make nobody welcome
      key("commit", "refs/heads/MAIN"),
      key("commit"),
      key("tag", "refs/tags/v1"),
      key("tag", "refs/tags/x"),
      key("tag"),
    ]
    expect(new Set(keys).size).toBe(keys.length)
  })

  test("names of refs are whole", async () => {
    const policy = await policyOf(withRules("  - { name: one, branches: [main], signers: [people] }"))
    const based = (ref: string): boolean => policy.rulesFor("commit", ref).based
    for (const ref of [
      "main",
      "refs/main",
      "refs/heads/x/main",
      "refs/heads/refs/heads/main",
      "refs/tags/main",
      "refs/heads/main/",
      "refs/heads/main\n",
      "refs/remotes/origin/main",
      "refs/for/main",
    ]) {
      expect(based(ref), ref).toBe(false)
    }
    expect(based("refs/heads/main")).toBe(true)
    expect(policy.rulesFor("tag", "refs/tags/main").based).toBe(false)
  })

  test("without a ref one rule without paths is enough", async () => {
    const policy = await policyOf(
      withRules(`  - { name: main, branches: [main], signers: [people] }
  - { name: dev, branches: [dev], signers: [others, website] }
  - { name: policy, branches: ['**'], paths: [.gitsign], signers: [people] }`),
    )
    const rules = policy.rulesFor("commit", undefined)
    expect(rules).toMatchObject({ anyRule: true, names: ["main", "dev"] })
    expect(policy.needs(rules)).toEqual({ paths: false, cleanMerge: true, firstParent: false })
    const code = (signer: ProvenSigner, more = {}) => policy.judge(commit(more), rules, signer).refusal?.code
    expect(code(signedBy("alice@example.com"))).toBeUndefined()
    expect(code(signedBy("bob@example.com"))).toBeUndefined()
    expect(code(signedBy("carol@example.com"))).toBe("ERR_IDENTITY")
    // The nearest refusal is told, here one that asks for what only git can tell
    expect(code(website, { parents: TWO_PARENTS })).toBe("ERR_MERGE_CHANGES")
    expect(code(website, { parents: TWO_PARENTS, cleanMerge: true })).toBeUndefined()
    expect(
      policy.judge(commit({}), policy.rulesFor("tag", undefined), signedBy("alice@example.com")).refusal?.code,
    ).toBe("ERR_NO_RULE")
  })

  test("needs less for a signer who does not count on some merges only", async () => {
    const policy = await policyOf(withRules("  - { name: main, branches: [main], signers: [people, website] }"))
    const rules = policy.rulesFor("commit", "refs/heads/main")
    expect(policy.needs(rules).cleanMerge).toBe(true)
    expect(policy.needs(rules, website).cleanMerge).toBe(true)
    expect(policy.needs(rules, signedBy("alice@example.com")).cleanMerge).toBe(false)
  })
})

describe("first-parent", () => {
  const rules = (otherwise = "") =>
    policyOf(
      withRules(
        `  - { name: main, branches: [main], signers: [people], merges: first-parent }
  - { name: policy, branches: ['**'], paths: [.gitsign], signers: [people] }`,
        otherwise,
      ),
    )

  test("a merge vouches for what it brings in, but for paths with a rule of their own", async () => {
    const policy = await rules()
    const set = policy.rulesFor("commit", "refs/heads/main")
    expect(policy.needs(set).firstParent).toBe(true)
    const stranger = signedBy("carol@example.com")
    const side = commit({ onFirstParent: false })
    expect(policy.judge(side, set, stranger)).toMatchObject({ allowed: true, exempt: { kind: "vouched for" } })
    expect(policy.exemption(side, false, set)).toMatchObject({ allowed: true, exempt: { kind: "vouched for" } })
    const policyChange = { ...side, paths: [".gitsign/policy.yaml"] }
    expect(policy.exemption(policyChange, false, set)).toBeUndefined()
    expect(policy.judge(policyChange, set, stranger).refusal?.code).toBe("ERR_IDENTITY")
    expect(policy.exemption({ ...side, paths: undefined }, false, set)).toBeUndefined()
    for (const onFirstParent of [true, undefined]) {
      expect(policy.exemption(commit({ onFirstParent }), false, set)).toBeUndefined()
      expect(policy.judge(commit({ onFirstParent }), set, stranger).refusal?.code).toBe("ERR_IDENTITY")
    }
  })

  test("not where no branch, or no rule, says so", async () => {
    const policy = await rules("otherwise: allow")
    const side = commit({ onFirstParent: false })
    expect(policy.exemption(side, false, policy.rulesFor("commit", undefined))).toBeUndefined()
    const elsewhere = policy.rulesFor("commit", "refs/heads/MAIN")
    expect(policy.exemption(side, false, elsewhere)).toBeUndefined()
  })
})

describe("exemptions", () => {
  const ID = "a".repeat(40)
  const more = `since: 2026-01-01T00:00:00+01:00
exemptions: [{ commit: '${ID}', reason: imported, author: alice@example.com }]`

  test("by id, and by date where dates count", async () => {
    const policy = await policyOf(withRules("  - { name: main, branches: [main], signers: [people] }", more))
    const set = policy.rulesFor("commit", "refs/heads/main")
    const of = (but: object, datesCount = true) => policy.exemption(commit(but), datesCount, set)?.exempt
    expect(of({ id: ID }, false)).toEqual({
      kind: "exempted",
      reason: "alice@example.com exempted it in policy.yaml: imported",
    })
    expect(of({ id: `${ID}00` })).toBeUndefined()
    expect(of({ id: ID.slice(1) })).toBeUndefined()
    const date = (text: string) => ({ committerDate: new Date(text) })
    expect(of(date("2025-12-31T22:59:59Z"))?.kind).toBe("older")
    expect(of(date("2025-12-31T23:00:00Z"))).toBeUndefined()
    expect(of(date("2025-12-31T22:59:59Z"), false)).toBeUndefined()
    expect(of({ committerDate: undefined })).toBeUndefined()
    expect(of(date("nonsense"))).toBeUndefined()
  })

  test("what no rule is for, where the policy allows it, signed or not", async () => {
    const policy = await policyOf(
      withRules(
        `  - { name: main, branches: [main], signers: [people] }
  - { name: policy, branches: ['**'], paths: [.gitsign], signers: [people] }`,
        "otherwise: allow",
      ),
    )
    const topic = policy.rulesFor("commit", "refs/heads/topic")
    expect(policy.exemption(commit({}), false, topic)?.exempt?.kind).toBe("no rule")
    expect(policy.exemption(commit({ paths: [".gitsign/x"] }), false, topic)).toBeUndefined()
    expect(policy.exemption(commit({ paths: undefined }), false, topic)).toBeUndefined()
    expect(policy.exemption(commit({}), false, policy.rulesFor("commit", "refs/heads/main"))).toBeUndefined()
  })
})

describe("keyless signers", () => {
  test("a certificate with several names is whoever one of them is", async () => {
    const policy = await policyOf(withRules("  - { name: main, branches: [main], signers: [people] }"))
    const set = policy.rulesFor("commit", "refs/heads/main")
    const both = signedBy("x@example.com", { identities: ["x@example.com", "alice@example.com"] })
    expect(policy.judge(commit({}), set, both).allowed).toBe(true)
    expect(policy.judge(commit({}), set, signedBy("x", { identities: [] })).refusal?.message).toContain(
      "signed by nobody",
    )
  })

  test.each([
    ["an issuer with other case", { issuer: "https://ACCOUNTS.google.com" }, "ERR_ISSUER"],
    ["no issuer", { issuer: "" }, "ERR_ISSUER"],
    ["no SCT", { sct: false }, "ERR_SCT_MISSING"],
    ["a line feed behind the name", { identities: ["alice@example.com\n"] }, "ERR_LOOKALIKE"],
    ["a NUL and a domain behind the name", { identities: ["alice@example.com\0.evil.example"] }, "ERR_LOOKALIKE"],
    ["the name in a longer one", { identities: ["x-alice@example.com"] }, "ERR_IDENTITY"],
    ["a very long name", { identities: [`alice@example.com${"x".repeat(100_000)}`] }, "ERR_IDENTITY"],
  ])("%s", async (_, but, code) => {
    const policy = await policyOf(withRules("  - { name: main, branches: [main], signers: [people] }"))
    const set = policy.rulesFor("commit", "refs/heads/main")
    expect(policy.judge(commit({}), set, signedBy("alice@example.com", but)).refusal?.code).toBe(code)
  })

  test.each([
    ["keyless", website, "ERR_SCHEME"],
    ["offlineProof", signedBy("alice@example.com", { mode: "online" }), "ERR_OFFLINE_PROOF"],
    ["timestamp", signedBy("alice@example.com", { timestamped: false }), "ERR_TIMESTAMP_MISSING"],
    ["committer", signedBy("bob@example.com"), "ERR_COMMITTER"],
    ["offlineProof", website, undefined],
    ["timestamp", website, undefined],
  ] as const)("%s", async (what, signer, code) => {
    const policy = await policyOf(
      `${SIGNERS.replace("github", "github, on: all")}rules: [{ name: main, branches: [main], signers: [people, others, website], require: { ${what}: true } }]`,
    )
    const set = policy.rulesFor("commit", "refs/heads/main")
    expect(policy.judge(commit({}), set, signer).refusal?.code).toBe(code)
    expect(policy.judge(commit({}), set, signedBy("alice@example.com")).allowed).toBe(true)
  })

  test("claims that a rule asks for shut keys out", async () => {
    const policy = await policyOf(
      `${SIGNERS.replace("github", "github, on: all")}rules: [{ name: main, branches: [main], signers: [people, website], require: { workflow: { trigger: push } } }]`,
    )
    const set = policy.rulesFor("commit", "refs/heads/main")
    expect(policy.judge(commit({}), set, website).refusal?.code).toBe("ERR_SCHEME")
    expect(policy.judge(commit({}), set, signedBy("alice@example.com")).refusal?.code).toBe("ERR_CLAIM")
    const push = signedBy("alice@example.com", { claims: { githubWorkflowTrigger: "push" } })
    expect(policy.judge(commit({}), set, push).allowed).toBe(true)
  })

  test("an empty address is nobody's", async () => {
    const policy = await policyOf(`version: 1
signers: { everyone: [{ anyone: true }] }
rules: [{ name: main, branches: [main], signers: [everyone], require: { committer: true } }]`)
    const set = policy.rulesFor("commit", "refs/heads/main")
    expect(policy.judge(commit({ committerEmail: "" }), set, signedBy("")).refusal?.code).toBe("ERR_COMMITTER")
  })
})

describe("compromised signers", () => {
  const more = `compromised:
  - { issuer: ${GOOGLE}, subject: alice@example.com, from: 2026-01-01T00:00:00Z, until: 2026-01-02T00:00:00Z, reason: stolen }
  - { subjectRegExp: '.*@example\\.org', reason: domain lost }
  - { subjectRegExp: '[A-K].*@Sub\\.Example\\.net', reason: left }
  - { key: ${GITHUB.toLowerCase()}, reason: test }`
  const codeOf = async (signer: ProvenSigner): Promise<string | undefined> => {
    const text = withRules("  - { name: main, branches: [main], signers: [people, all, website] }", more)
    const policy = await policyOf(text.replace("  people:", "  all: [{ anyone: true }]\n  people:"))
    return policy.judge(commit({}), policy.rulesFor("commit", "refs/heads/main"), signer).refusal?.code
  }
  const at = (...times: string[]) => signedBy("alice@example.com", { times: times.map((time) => new Date(time)) })

  test.each([
    ["before", at("2025-12-31T23:59:59Z"), undefined],
    ["from", at("2026-01-01T00:00:00Z"), "ERR_COMPROMISED"],
    ["until", at("2026-01-02T00:00:00Z"), "ERR_COMPROMISED"],
    ["after", at("2026-01-02T00:00:01Z"), undefined],
    ["one time of several within", at("2026-01-05T00:00:00Z", "2026-01-01T12:00:00Z"), "ERR_COMPROMISED"],
    ["no time that anything proves", at(), "ERR_COMPROMISED"],
    ["a time that is none", at("nonsense"), "ERR_COMPROMISED"],
    ["another case", signedBy("ALICE@Example.COM", { times: [new Date("2026-01-01T12:00:00Z")] }), "ERR_COMPROMISED"],
    ["a final dot", signedBy("alice@example.com.", { times: [new Date("2026-01-01T12:00:00Z")] }), "ERR_COMPROMISED"],
    [
      "the issuer with a slash",
      signedBy("alice@example.com", { issuer: `${GOOGLE}/`, times: [new Date("2026-01-01T12:00:00Z")] }),
      "ERR_COMPROMISED",
    ],
    [
      "another issuer",
      signedBy("alice@example.com", { issuer: "https://x.example", times: [new Date("2026-01-01T12:00:00Z")] }),
      undefined,
    ],
    ["a pattern, at any time and from any issuer", signedBy("x@example.org", { issuer: "y" }), "ERR_COMPROMISED"],
    ["a pattern, in capitals", signedBy("X@EXAMPLE.ORG"), "ERR_COMPROMISED"],
    ["a pattern, a name too long for it", signedBy(`${"x".repeat(2000)}@example.org`), "ERR_COMPROMISED"],
    [
      "a pattern, a name that becomes too long",
      signedBy(`${"\ufdfa".repeat(200)}@elsewhere.example`),
      "ERR_COMPROMISED",
    ],
    ["a pattern with capitals", signedBy("eve@sub.example.net"), "ERR_COMPROMISED"],
    ["a pattern with capitals, and another K", signedBy("\u212Aate@sub.example.net"), "ERR_COMPROMISED"],
    ["a pattern, another domain", signedBy("x@example.com"), undefined],
    ["a key", website, "ERR_COMPROMISED"],
    ["a subkey", { ...website, fingerprints: ["0".repeat(40), GITHUB] }, "ERR_COMPROMISED"],
    ["another key", { ...website, fingerprints: ["0".repeat(40)] }, undefined],
  ] as const)("%s", async (_, signer, code) => expect(await codeOf(signer)).toBe(code))

  test("the message says when and why", async () => {
    const policy = await policyOf(withRules("  - { name: main, branches: [main], signers: [people] }", more))
    const { refusal } = policy.judge(
      commit({}),
      policy.rulesFor("commit", "refs/heads/main"),
      at("2026-01-01T12:00:00Z"),
    )
    expect(refusal?.message).toBe(
      "signed by alice@example.com, which is not trusted between 2026-01-01T00:00:00Z and 2026-01-02T00:00:00Z, and it signed at 2026-01-01T12:00:00Z (policy.yaml line 9: stolen)",
    )
  })
})

describe("keys", () => {
  const full = policyCases().find(({ name }) => name === "full")
  const file = (name: string): string => full?.read(name).toString("utf8") ?? ""
  const BOB = "SHA256:x0yTA954GrCkJrnk4SwCcdpyRVyCUeEaO8nEJkErhaw"
  const [, bobLine = "", caLine = ""] = file("allowed_signers").split("\n")
  /** As if the first line of the text had been proven to accept the key for the principals. */
  const ssh = (text: string, principals: readonly string[], line = 1): ProvenSigner => ({
    scheme: "ssh",
    fingerprints: [BOB],
    principals,
    lines: [{ file: createHash("sha256").update(text).digest("hex"), line, principals }],
  })
  const codeOf = async (
    entry: string,
    signer: ProvenSigner,
    files: Record<string, string>,
    but = {},
  ): Promise<string> => {
    const text = `version: 1\nsigners: { keys: [${entry}] }\nrules: [{ name: main, branches: [main], signers: [keys], require: { committer: ${"committerEmail" in but} } }]`
    const policy = await policyOf(text, files)
    return policy.judge(commit(but), policy.rulesFor("commit", "refs/heads/main"), signer).refusal?.code ?? "allowed"
  }

  test.each([
    ["proven by it", ssh(bobLine, ["bob@example.com"]), "allowed"],
    ["proven for no principal", ssh(bobLine, []), "ERR_IDENTITY"],
    ["proven by the same line in another file", ssh(`${bobLine}\n`, ["bob@example.com"]), "ERR_IDENTITY"],
    ["proven by nothing", { ...ssh(bobLine, ["bob@example.com"]), lines: [] }, "ERR_IDENTITY"],
  ])("a line for a key: %s", async (_, signer, expected) =>
    expect(await codeOf("{ ssh: signers }", signer, { signers: bobLine })).toBe(expected),
  )

  test("principals that are asked for", async () => {
    const text = bobLine.replace("rob@example.com", "*")
    const of = (asked: string, principals: readonly string[]) =>
      codeOf(`{ ssh: signers, principals: ['${asked}'] }`, ssh(text, principals), { signers: text })
    expect(await of("*@example.com", ["bob@example.com"])).toBe("allowed")
    expect(await of("*@example.com", ["*"])).toBe("ERR_IDENTITY")
    expect(await of("rob@*", ["bob@example.com"])).toBe("ERR_IDENTITY")
    expect(await of("!bob@example.com,*", ["bob@example.com"])).toBe("ERR_IDENTITY")
  })

  test("the committer is whom the line is for, and not whom it excludes", async () => {
    const of = (principals: string, email: string, line = bobLine) => {
      const names = principals.split(",").filter((name) => !name.startsWith("!"))
      const text = line.replace(/^\S+/, principals)
      return codeOf("{ ssh: signers }", ssh(text, names), { signers: text }, { committerEmail: email })
    }
    expect(await of("bob@example.com", "bob@example.com")).toBe("allowed")
    expect(await of("*@example.com", "bob@example.com")).toBe("allowed")
    expect(await of("!eve@example.com,*@example.com", "eve@example.com")).toBe("ERR_COMMITTER")
    expect(await of("*@example.com", "bob@elsewhere.example")).toBe("ERR_COMMITTER")
    expect(await of("bob@example.com", "")).toBe("ERR_COMMITTER")
    // Whom an authority certified is told by the certificate, and its line is only a pattern
    expect(await of("*@elsewhere.example", "bob@elsewhere.example", caLine)).toBe("ERR_COMMITTER")
  })

  test("an OpenPGP key is told by its primary key, as gpg prints it", async () => {
    const [print = ""] = openpgpFingerprints(file("keys/bob.asc"), "x")
    expect(print).toBe("8C2308B60B63C21E0260C44E43E238E14BE570C5")
    const signer = (...fingerprints: string[]): ProvenSigner => ({
      scheme: "openpgp",
      fingerprints,
      userIds: ["Bob <bob@example.com>"],
    })
    const files = { "bob.asc": file("keys/bob.asc") }
    expect(await codeOf("{ openpgp: bob.asc }", signer(print, "0".repeat(40)), files)).toBe("allowed")
    expect(await codeOf("{ openpgp: bob.asc }", signer("0".repeat(40)), files)).toBe("ERR_IDENTITY")
    expect(await codeOf("{ openpgp: bob.asc }", signer(print), files, { committerEmail: "bob@example.com" })).toBe(
      "allowed",
    )
    expect(await codeOf("{ openpgp: bob.asc }", signer(print), files, { committerEmail: "eve@example.com" })).toBe(
      "ERR_COMMITTER",
    )
  })

  test("the keys of GitHub are those that come with gitsign", async () => {
    expect([...openpgpFingerprints(GITHUB_WEB_FLOW_KEYS, "x")].sort()).toEqual([...GITHUB_FINGERPRINTS].sort())
    const policy = await policyOf(withRules("  - { name: main, branches: [main], signers: [website] }"))
    expect(keysOf(policy.policy)).toEqual({ openpgp: [{ keys: GITHUB_KEYS, source: GITHUB_KEYS }], ssh: [] })
  })

  test("on: counts on commits of its kind only, and never on tags", async () => {
    const policy = await policyOf(
      `${SIGNERS.replace("github", "github, on: merges")}rules:\n  - { name: main, branches: [main], signers: [website] }\n  - { name: tags, tags: ['**'], signers: [website] }`,
    )
    const set = policy.rulesFor("commit", "refs/heads/main")
    const code = (but: object) => policy.judge(commit(but), set, website).refusal?.code
    expect(code({})).toBe("ERR_MERGE_CHANGES")
    expect(code({ parents: [] })).toBe("ERR_MERGE_CHANGES")
    expect(code({ parents: TWO_PARENTS, cleanMerge: false })).toBeUndefined()
    const tag = { ...commit({}), parents: TWO_PARENTS, cleanMerge: true, type: "tag" as const }
    expect(policy.judge(tag, policy.rulesFor("tag", "refs/tags/v1"), website).refusal?.code).toBe("ERR_MERGE_CHANGES")
  })
})
