/**
 * A proposed policy names exactly those who were seen, whatever their certificates say.
 *
 * @module
 */

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type CompiledPolicy, compilePolicy } from "../../src/policy/compile.ts"
import type { ProvenSigner } from "../../src/policy/facts.ts"
import { GITHUB_FINGERPRINTS } from "../../src/policy/key-files.ts"
import { parsePolicy } from "../../src/policy/parse.ts"
import { proposePolicy, type SeenSigner } from "../../src/policy/propose.ts"

const ACTIONS = "https://token.actions.githubusercontent.com"

const keyless = (identity: string, issuer = "https://accounts.google.com", repository?: string): ProvenSigner => ({
  scheme: "keyless",
  identities: [identity],
  issuer,
  claims: repository === undefined ? {} : { githubWorkflowRepository: repository },
  mode: "offline",
  times: [new Date("2026-01-01T00:00:00Z")],
  timestamped: false,
  sct: true,
})

const website: ProvenSigner = {
  scheme: "openpgp",
  fingerprints: [GITHUB_FINGERPRINTS[0] ?? ""],
  userIds: ["GitHub <noreply@github.com>"],
}

const seen = (signer: ProvenSigner, change: Partial<SeenSigner> = {}): SeenSigner => ({
  signer,
  refs: ["refs/heads/main"],
  merges: 0,
  count: 3,
  first: new Date("2026-02-03T10:00:00Z"),
  ...change,
})

const TAG = { refs: ["refs/tags/v1"] }

async function compiled(text: string | undefined): Promise<CompiledPolicy> {
  if (text === undefined) throw new Error("nothing was proposed")
  return compilePolicy(await parsePolicy(Buffer.from(text), "proposal").complete(new Map()))
}

/** Whether a plain commit on a branch, or a tag, is accepted. */
function accepts(policy: CompiledPolicy, signer: ProvenSigner, ref: string, change: object = {}): boolean {
  const type = ref.startsWith("refs/tags/") ? "tag" : "commit"
  const facts = { type, id: "0".repeat(40), committerEmail: "", parents: ["1".repeat(40)] } as const
  const object = { ...facts, paths: ["src/a.c"], cleanMerge: undefined, onFirstParent: true, ...change }
  return policy.judge(object, policy.rulesFor(type, ref), signer).allowed
}

describe("a proposal", () => {
  test("says what each entry rests on, and accepts who was seen where they were seen", async () => {
    const workflow = "https://github.com/acme/app/.github/workflows/release.yml"
    const release = (tag: string): ProvenSigner => keyless(`${workflow}@refs/tags/${tag}`, ACTIONS, "acme/app")
    const text = proposePolicy(
      [
        seen(keyless("alice@example.com"), { count: 41 }),
        seen(keyless(`${workflow}@refs/heads/main`, ACTIONS, "acme/app"), { count: 1 }),
        seen(website, { count: 20, merges: 18 }),
        seen(release("v1.0"), { ...TAG, count: 1 }),
        seen(release("v1.1"), { ...TAG, count: 1, first: new Date("2026-01-03T10:00:00Z") }),
      ],
      ["main"],
      { commit: "4f2c".repeat(10), reasons: ["The first signed commit."] },
    )
    expect(text).toContain("    # 41 commits since 2026-02-03\n    - issuer: https://accounts.google.com\n")
    expect(text).toContain("    # 1 commit since 2026-02-03\n")
    expect(text).toContain(
      "    # 2 tags since 2026-01-03, a workflow that runs for whichever v tag (so far v1.0, v1.1)\n",
    )
    expect(text).toContain("    # 2 of them are no merges")
    expect(text).toContain(`# The first signed commit.\nsince: ${"4f2c".repeat(10)}\n`)
    const policy = await compiled(text)
    expect(policy.policy.since).toEqual({ commit: "4f2c".repeat(10) })
    expect(policy.policy.warnings).toEqual([])
    expect(accepts(policy, keyless("alice@example.com"), "refs/heads/main")).toBe(true)
    expect(accepts(policy, keyless("alice@example.com"), "refs/tags/v2")).toBe(false)
    expect(accepts(policy, keyless("alice@example.com"), "refs/heads/other")).toBe(false)
    expect(accepts(policy, keyless("alice@example.com", "https://elsewhere.example"), "refs/heads/main")).toBe(false)
    expect(accepts(policy, release("v2.7"), "refs/tags/v2.7")).toBe(true)
    expect(accepts(policy, release("nightly"), "refs/tags/nightly")).toBe(false)
    // Another repository that calls the same workflow is another signer.
    const caller = keyless(`${workflow}@refs/tags/v1.0`, ACTIONS, "mallory/app")
    expect(accepts(policy, caller, "refs/tags/v1.0")).toBe(false)
    const merge = { parents: ["1".repeat(40), "2".repeat(40)] }
    expect(accepts(policy, website, "refs/heads/main", { ...merge, cleanMerge: true })).toBe(true)
    expect(accepts(policy, website, "refs/heads/main", { ...merge, cleanMerge: false })).toBe(false)
    expect(accepts(policy, website, "refs/heads/main")).toBe(false)
    const change = { paths: [".gitsign/policy.yaml"] }
    expect(accepts(policy, keyless("alice@example.com"), "refs/heads/main", change)).toBe(true)
    const bot = keyless(`${workflow}@refs/heads/main`, ACTIONS, "acme/app")
    expect(accepts(policy, bot, "refs/heads/main")).toBe(true)
    expect(accepts(policy, bot, "refs/heads/main", change)).toBe(false)
  })

  test("lets those who sign commits sign tags, where nobody has tagged", async () => {
    const text = proposePolicy([seen(keyless("alice@example.com"))], ["main"])
    expect(text).toContain("# Nobody has signed a tag yet.\n")
    expect(accepts(await compiled(text), keyless("alice@example.com"), "refs/tags/v1")).toBe(true)
  })

  test("of other keys tells how to add them, and names nobody", () => {
    const key: ProvenSigner = { scheme: "ssh", fingerprints: ["SHA256:abc"], principals: ["bob"], lines: [] }
    const text = proposePolicy([seen(keyless("alice@example.com")), seen(key)], ["main"])
    expect(text).toContain("  # SHA256:abc, 3 commits since 2026-02-03: to accept this SSH key")
    expect(proposePolicy([seen(key)], ["main"])).toBeUndefined()
    expect(proposePolicy([], ["main"])).toBeUndefined()
  })

  test("of a workflow with a strange name is a pattern for that name only", async () => {
    const strange = "https://github.com/a.b/c+d/.github/workflows/x(y)[z]|.yml"
    const text = proposePolicy([seen(keyless(`${strange}@refs/tags/1.0`, ACTIONS, "a.b/c+d"), TAG)], ["main"])
    const policy = await compiled(text)
    const next = (name: string): ProvenSigner => keyless(`${name}@refs/tags/2.0`, ACTIONS, "a.b/c+d")
    expect(accepts(policy, next(strange), "refs/tags/2.0")).toBe(true)
    expect(accepts(policy, next(strange.replace("a.b", "aXb")), "refs/tags/2.0")).toBe(false)
  })

  test("accepts whoever was seen and nobody else, whatever text their certificates hold", async () => {
    const text = fc.oneof(
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
      fc.constantFrom(
        ...["'", '"', "a: b", "a # b", "- x", "{ anyone: true }", "&a", "*a", "!t", "%YAML", "null", "true", "1.0"],
        ...[
          "a\n    - anyone: true",
          "a\u2028- b",
          "x\ty",
          "\\",
          "a'\"b",
          "https://x/y: z",
          "@",
          "~",
          "|",
          ">",
          "[a",
          "a,b",
        ],
      ),
    )
    await fc.assert(
      fc.asyncProperty(text, text, text, fc.boolean(), async (identity, issuer, other, isTag) => {
        const ref = isTag ? "refs/tags/v1" : "refs/heads/main"
        const signer = keyless(identity, issuer)
        const proposed = proposePolicy([seen(signer, { refs: [ref] })], ["main"])
        if (proposed === undefined) return
        const policy = await compiled(proposed)
        expect(policy.policy.signers.size).toBe(1)
        expect(accepts(policy, signer, ref)).toBe(true)
        if (other !== identity) expect(accepts(policy, keyless(other, issuer), ref)).toBe(false)
        if (other !== issuer) expect(accepts(policy, keyless(identity, other), ref)).toBe(false)
      }),
      { numRuns: 400 },
    )
  })
})
