/**
 * What a push has to prove, from its updates alone: which commits are judged for which refs by which policy.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import type { PolicyInForce } from "../../src/audit/policy-source.ts"
import { firstParentGap, planReceive, type Situation } from "../../src/audit/receive-plan.ts"
import { GitsignError } from "../../src/errors.ts"
import type { PushedRef } from "../../src/git/pushed-refs.ts"
import { compilePolicy } from "../../src/policy/compile.ts"
import { parsePolicy } from "../../src/policy/parse.ts"

const SIGNERS = `version: 1
signers:
  team: [{ issuer: https://issuer.example, subject: dev@example.com }]
`

async function policyOf(rules: string, source = "main:.gitsign/policy.yaml"): Promise<PolicyInForce> {
  const parsed = parsePolicy(Buffer.from(`${SIGNERS}${rules}`), source)
  return { compiled: await compilePolicy(await parsed.complete(new Map())), source, sha256: "", paths: [] }
}

const STRICT = `rules:
  - { name: main, branches: [main, 'release/**'], signers: [team] }
  - { name: frozen, branches: ['release/1'], signers: [team] }
  - { name: policy, branches: ['**'], paths: ['.gitsign/**'], signers: [team] }
  - { name: tags, tags: ['v*'], signers: [team] }
`

const id = (letter: string): string => letter.repeat(40)

const create = (ref: string, after: string): PushedRef => ({ ref, before: undefined, after: id(after) })
const change = (ref: string, before: string, after: string): PushedRef => ({
  ref,
  before: id(before),
  after: id(after),
})

function plan(policy: PolicyInForce | GitsignError | undefined, situation: Partial<Situation>) {
  return planReceive({
    updates: [],
    branches: [],
    typeOf: () => "commit",
    policyOf: () => policy,
    policyMissing: { code: "ERR_POLICY_MISSING", message: "none", hint: undefined },
    ...situation,
  })
}

/** The groups as `refs: include -exclude`, one letter for each id. */
const groupsOf = (found: ReturnType<typeof planReceive>): string[] =>
  found.groups.map(({ target, updates }) => {
    const letters = (ids: readonly string[]): string => ids.map((one) => one[0]).join("")
    return `${updates.map(({ ref }) => ref).join(" ")}: ${letters(target.include)} -${letters(target.exclude)}`
  })

const refusalsOf = (found: ReturnType<typeof planReceive>): string[] =>
  found.refusals.map(({ ref, problem }) => `${ref} ${problem.code}`)

describe("which commits are new", () => {
  test("what a branch with the same rules has is not judged again", async () => {
    const policy = await policyOf(STRICT)
    const branches = [
      { ref: "refs/heads/main", id: id("a") },
      { ref: "refs/heads/release/2", id: id("b") },
      { ref: "refs/heads/topic", id: id("c") },
    ]
    expect(groupsOf(plan(policy, { updates: [create("refs/heads/release/3", "d")], branches }))).toEqual([
      "refs/heads/release/3: d -ab",
    ])
    expect(groupsOf(plan(policy, { updates: [change("refs/heads/main", "a", "d")], branches }))).toEqual([
      "refs/heads/main: d -ab",
    ])
  })

  test("what came in over a branch with laxer rules is", async () => {
    const policy = await policyOf(STRICT)
    const branches = [{ ref: "refs/heads/topic", id: id("c") }]
    expect(groupsOf(plan(policy, { updates: [create("refs/heads/main", "c")], branches }))).toEqual([
      "refs/heads/main: c -",
    ])
  })

  test("more rules are stricter, fewer are not", async () => {
    const policy = await policyOf(STRICT)
    const branches = [
      { ref: "refs/heads/release/1", id: id("a") },
      { ref: "refs/heads/main", id: id("b") },
    ]
    const found = plan(policy, {
      updates: [create("refs/heads/release/2", "d"), change("refs/heads/release/1", "a", "e")],
      branches,
    })
    expect(groupsOf(found)).toEqual(["refs/heads/release/2: d -ab", "refs/heads/release/1: e -a"])
  })

  test("a branch that has a policy of its own vouches for none under another one", async () => {
    const [general, own] = [await policyOf(STRICT), await policyOf(STRICT, "release/2:.gitsign/policy.yaml")]
    const branches = [
      { ref: "refs/heads/main", id: id("a") },
      { ref: "refs/heads/release/2", id: id("b") },
    ]
    const policyFor = (ref: string): PolicyInForce => (ref === "refs/heads/release/2" ? own : general)
    const updates = [create("refs/heads/release/3", "d"), change("refs/heads/release/2", "b", "e")]
    expect(groupsOf(plan(general, { updates, branches, policyOf: policyFor }))).toEqual([
      "refs/heads/release/3: d -a",
      "refs/heads/release/2: e -b",
    ])
  })

  test("what is on other refs vouches for no branch", async () => {
    const policy = await policyOf("rules:\n  - { name: all, branches: ['**', 'refs/**'], signers: [team] }\n")
    const updates = [
      change("refs/pull/1/head", "a", "b"),
      create("refs/heads/new", "b"),
      create("refs/notes/commits", "c"),
    ]
    expect(groupsOf(plan(policy, { updates }))).toEqual([
      "refs/pull/1/head refs/notes/commits: bc -a",
      "refs/heads/new: b -",
    ])
  })

  test("thousands of refs with the same rules are one question", async () => {
    const policy = await policyOf(STRICT)
    const updates = Array.from({ length: 5000 }, (_, index) => create(`refs/heads/release/x${index}`, "d"))
    const { groups } = plan(policy, { updates, branches: [{ ref: "refs/heads/main", id: id("a") }] })
    expect(groups).toHaveLength(1)
    expect(groups[0]?.updates).toHaveLength(5000)
    expect(groups[0]?.target).toMatchObject({ include: [id("d")], exclude: [id("a")], walk: true, fresh: true })
  })
})

describe("where no rule is for a ref", () => {
  test("otherwise: refuse refuses it, whatever other branches have", async () => {
    const policy = await policyOf(STRICT)
    const branches = [
      { ref: "refs/heads/main", id: id("a") },
      { ref: "refs/heads/topic", id: id("b") },
    ]
    const updates = [create("refs/heads/other", "a"), change("refs/heads/topic", "b", "a"), create("refs/tags/x", "c")]
    const found = plan(policy, { updates, branches })
    expect(found.groups).toEqual([])
    expect(refusalsOf(found)).toEqual([
      "refs/heads/other ERR_NO_RULE",
      "refs/heads/topic ERR_NO_RULE",
      "refs/tags/x ERR_NO_RULE",
    ])
    // A tag is not mended by pushing it to a branch.
    const isSentToBranch = found.refusals.map(({ problem }) =>
      problem.hint?.startsWith("push to a branch that has one"),
    )
    expect(isSentToBranch).toEqual([true, true, false])
  })

  test("otherwise: allow asks only for what rules with paths say, and for many refs at once", async () => {
    const policy = await policyOf(`otherwise: allow\n${STRICT}`)
    const branches = [{ ref: "refs/heads/main", id: id("a") }]
    const updates = [create("refs/heads/one", "b"), create("refs/heads/two", "c"), create("refs/tags/any", "t")]
    expect(groupsOf(plan(policy, { updates, branches }))).toEqual(["refs/heads/one refs/heads/two: bc -a"])
  })

  test("otherwise: allow and no rule at all: nothing is verified", async () => {
    const policy = await policyOf("otherwise: allow\nrules:\n  - { name: main, branches: [main], signers: [team] }\n")
    const updates = [create("refs/heads/topic", "b"), create("refs/foo", "c"), create("refs/tags/x", "d")]
    expect(plan(policy, { updates, typeOf: () => "blob" })).toEqual({ groups: [], refusals: [] })
  })
})

describe("whatever the policy leaves open", () => {
  const open = () => policyOf("otherwise: allow\nrules:\n  - { name: main, branches: [main], signers: [team] }\n")

  test("what reaches further than its own name is refused", async () => {
    const updates = ["refs/replace/x", "refs/namespaces/a/refs/heads/main", "refs/replacement/x"].map((ref) =>
      create(ref, "b"),
    )
    expect(refusalsOf(plan(await open(), { updates }))).toEqual([
      "refs/replace/x ERR_REPLACED",
      "refs/namespaces/a/refs/heads/main ERR_NO_RULE",
    ])
    const named = await policyOf("rules:\n  - { name: all, branches: ['refs/replace/**'], signers: [team] }\n")
    expect(groupsOf(plan(named, { updates: [create("refs/replace/x", "b")] }))).toEqual(["refs/replace/x: b -"])
  })

  test("names that a disk takes for branches and tags are refused", async () => {
    const names = ["refs/Tags/v1", "refs/HEADS/main", "refs/tag\u017f/v1", "refs/tagsx/v1", "refs/Heading/x"]
    const found = plan(await open(), { updates: names.map((ref) => create(ref, "b")) })
    expect(refusalsOf(found)).toEqual(names.slice(0, 3).map((ref) => `${ref} ERR_NO_RULE`))
  })
})

describe("what is refused for what it is", () => {
  const branches = [{ ref: "refs/heads/main", id: id("a") }]

  test("nothing, of what is deleted", async () => {
    const updates = [{ ref: "refs/heads/main", before: id("a"), after: undefined }]
    expect(plan(undefined, { updates, branches })).toEqual({ groups: [], refusals: [] })
  })

  test("everything without a policy, or with one that cannot be used", async () => {
    const updates = [change("refs/heads/main", "a", "b"), create("refs/tags/v1", "c")]
    expect(refusalsOf(plan(undefined, { updates, branches }))).toEqual([
      "refs/heads/main ERR_POLICY_MISSING",
      "refs/tags/v1 ERR_POLICY_MISSING",
    ])
    const broken = new GitsignError("ERR_POLICY", "line 1 makes no sense")
    expect(refusalsOf(plan(broken, { updates, branches }))).toEqual([
      "refs/heads/main ERR_POLICY",
      "refs/tags/v1 ERR_POLICY",
    ])
  })

  test("a lightweight tag, a branch that is no commit, an object that is not there", async () => {
    const policy = await policyOf(STRICT)
    const typeOf = (one: string) => (({ b: "commit", c: "tree", d: "tag" }) as const)[one[0] ?? ""]
    const updates = [
      create("refs/tags/v1", "b"),
      create("refs/tags/v2", "c"),
      create("refs/heads/main", "d"),
      create("refs/heads/gone", "e"),
      create("refs/tags/nightly", "b"),
    ]
    expect(refusalsOf(plan(policy, { updates, typeOf }))).toEqual([
      "refs/tags/v1 ERR_NOT_SIGNED",
      "refs/tags/v2 ERR_NOT_SIGNED",
      "refs/heads/main ERR_NOT_SIGNED",
      "refs/heads/gone ERR_GIT",
      "refs/tags/nightly ERR_NO_RULE",
    ])
  })

  test("a tag object is judged under its own name, and what it is for is not", async () => {
    const policy = await policyOf(STRICT)
    const { groups } = plan(policy, { updates: [create("refs/tags/v1", "d")], typeOf: () => "tag" })
    expect(groups.map(({ target }) => target)).toMatchObject([
      { name: "refs/tags/v1", ref: "refs/tags/v1", include: [id("d")], exclude: [], walk: false },
    ])
  })
})

describe("rules for first parents", () => {
  test("are asked for by the group", async () => {
    const policy = await policyOf(
      "rules:\n  - { name: main, branches: [main], signers: [team], merges: first-parent }\n",
    )
    const { groups } = plan(policy, { updates: [create("refs/heads/main", "b")] })
    expect(groups.map(({ firstParent }) => firstParent)).toEqual([true])
  })

  test("look at what a branch is set back to", () => {
    // main: m1 - m2 - m3, where m3 has merged s2 - s1; then main is set back to s2.
    const walks = { pushed: ["s2", "s1", "m1"], excluded: ["m3", "m2", "m1"], walked: [] }
    expect(firstParentGap(walks)).toEqual(["s2", "s1"])
    expect(firstParentGap({ ...walks, pushed: ["m2", "m1"] })).toEqual([])
    expect(firstParentGap({ ...walks, pushed: ["n", "m3", "m2", "m1"], walked: ["n"] })).toEqual([])
  })
})
