/**
 * Whatever the bytes are, a policy is read or refused with a code of its own, and soon.
 *
 * @module
 */

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { compilePolicy } from "../../src/policy/compile.ts"
import { parseExamples } from "../../src/policy/example-entries.ts"
import { allowedSignersOf, openpgpFingerprints } from "../../src/policy/key-files.ts"
import { disguiseOf, lookalike } from "../../src/policy/lookalike.ts"
import { parsePolicy } from "../../src/policy/parse.ts"
import { proposePolicy } from "../../src/policy/propose.ts"
import { compileText } from "../../src/policy/text-match.ts"
import { commit, policyOf, signedBy } from "../support/policies.ts"
import { policyCases } from "../support/policy-cases.ts"

const CODES = ["ERR_POLICY", "ERR_POLICY_LIMIT", "ERR_POLICY_OPEN", "ERR_PATTERN"]

function expectOwn(error: unknown): void {
  if (!isGitsignError(error)) throw error
  expect(CODES, error.message).toContain(error.code)
}

async function read(bytes: Uint8Array): Promise<boolean> {
  try {
    const parsed = parsePolicy(bytes, "policy.yaml")
    await compilePolicy(await parsed.complete(new Map()))
    return true
  } catch (error) {
    expectOwn(error)
    return false
  }
}

const texts = policyCases()
  .filter(({ fields, bytes }) => !fields.has("pad") && bytes.length < 10_000)
  .map(({ bytes }) => bytes)

describe("no bytes make it throw anything else", () => {
  test("random bytes", () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => void (await read(bytes))),
      { numRuns: 300 },
    ))

  test("random text of YAML's own characters", () => {
    const letters = fc.constantFrom(
      ..."-?:,[]{}#&*!|>'\"%@` \t\n~<=1aé\u2028\ud83d\ude00".split(""),
      "version: 1\n",
      "signers:\n",
      "  ",
    )
    const text = fc.array(letters, { maxLength: 120 }).map((parts) => Buffer.from(parts.join("")))
    return fc.assert(
      fc.asyncProperty(text, async (bytes) => void (await read(bytes))),
      { numRuns: 1000 },
    )
  })

  test("policies with changes", async () => {
    const change = fc.tuple(
      fc.nat(),
      fc.constantFrom("", "\n", " ", "- ", "'", '"', "[", "}", ":", "*", "null", "~", "\\", "0"),
      fc.nat(12),
    )
    let accepted = 0
    const property = fc.asyncProperty(
      fc.constantFrom(...texts),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      async (bytes, changes) => {
        const text = changes.reduce((old, [where, put, cut]) => {
          const at = old.length === 0 ? 0 : where % old.length
          return old.slice(0, at) + put + old.slice(at + cut)
        }, bytes.toString("utf8"))
        if (await read(Buffer.from(text))) accepted++
      },
    )
    await fc.assert(property, { numRuns: 1500 })
    expect(accepted).toBeGreaterThan(20)
  }, 60_000)

  test("any JSON, which is YAML", () =>
    fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 4 }), async (json) => {
        await read(Buffer.from(json))
        await read(Buffer.from(`{"version":1,"signers":${json},"rules":${json}}`))
      }),
      { numRuns: 300 },
    ))

  test("examples and key files", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.string()), (text) => {
        for (const attempt of [
          () => parseExamples(Buffer.from(text), "x"),
          () => openpgpFingerprints(text, "x"),
          () =>
            openpgpFingerprints(
              `-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n${Buffer.from(text).toString("base64")}\n-----END PGP PUBLIC KEY BLOCK-----`,
              "x",
            ),
          () => allowedSignersOf(text, "x"),
        ]) {
          try {
            attempt()
          } catch (error) {
            expectOwn(error)
          }
        }
      }),
      { numRuns: 1000 },
    )
  })
})

const MIB = 1 << 20
test.each([
  ["brackets", "[".repeat(MIB)],
  ["dashes", "- ".repeat(MIB / 2)],
  ["question marks", "? ".repeat(MIB / 2)],
  ["colons", "a: ".repeat(MIB / 3)],
  ["an open quote", `a: "${"a\n".repeat(MIB / 2 - 3)}`],
  ["a text of many lines", "a\n".repeat(MIB / 2)],
  ["blanks", " ".repeat(MIB)],
  ["line feeds", "\n".repeat(MIB)],
  ["comments", "# a\n".repeat(MIB / 4)],
  ["a block of text", `a: |\n${" a\n".repeat(MIB / 3 - 3)}`],
  ["a folded block", `a: >\n${`${" ".repeat(50)}\n`.repeat(20_000)}`],
  ["anchors", "&a ".repeat(MIB / 3)],
  ["documents", "---\n".repeat(MIB / 4)],
  ["directives", "%A\n".repeat(MIB / 3)],
  ["steps", Array.from({ length: 1400 }, (_, i) => `${" ".repeat(i)}a:\n`).join("")],
  ["many keys", Array.from({ length: 70_000 }, (_, i) => `k${i}: 1\n`).join("")],
  ["many errors", "a: ]\n".repeat(MIB / 5)],
  ["many maps in a list", `[${"{a: b},".repeat(9000)}]`],
  ["quotes", `"${"\\u0041".repeat(10_000)}": 1`],
])("1 MiB of %s is refused within seconds", async (_, text) => {
  const start = performance.now()
  expect(await read(Buffer.from(text))).toBe(false)
  expect(performance.now() - start).toBeLessThan(5000)
})

const POLICY = `version: 1
signers:
  a: [{ issuer: https://accounts.google.com, subject: alice@example.com }]
  b: [{ issuer: https://accounts.google.com, subjectRegExp: '[a-z]+@[a-z.]*example\\.com' }]
rules:
  - { name: a, branches: ['**'], signers: [a, b] }
  - { name: p, branches: ['**'], paths: ['a/**/b*/?'], signers: [a] }
`

test("any signer and any path is judged", async () => {
  const compiled = await policyOf(POLICY)
  const word = fc.oneof(fc.string({ unit: "binary", maxLength: 60 }), fc.emailAddress(), fc.webUrl())
  fc.assert(
    fc.property(word, word, fc.array(word), word, (identity, issuer, paths, ref) => {
      const set = compiled.rulesFor("commit", `refs/heads/${ref}`)
      const { allowed, refusal } = compiled.judge(commit({ paths }), set, signedBy(identity, { issuer }))
      expect(allowed).toBe(refusal === undefined)
      if (allowed) expect(identity).toMatch(/example\.com$/)
    }),
    { numRuns: 2000 },
  )
})

test("looking for a look-alike takes no time, whatever the address", async () => {
  const named = await compileText({ exact: "alice@example.com" }, "x")
  const pattern = await compileText({ pattern: "[a-z.]+@example\\.com", whole: true }, "x")
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (address) => {
      for (const one of [named, pattern]) lookalike(disguiseOf(address), one)
    }),
  )
  for (const long of [
    "a.".repeat(900),
    `x@${"a.".repeat(900)}`,
    `x@xn--${"9".repeat(1900)}`,
    "\u0430".repeat(1900),
    "+@".repeat(900),
    "\u0301".repeat(1900),
  ]) {
    const start = performance.now()
    for (const one of [named, pattern]) lookalike(disguiseOf(long), one)
    expect(performance.now() - start).toBeLessThan(2000)
  }
})

test("whoever has signed, the proposal is a policy that names them and nobody else", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.oneof(fc.string({ unit: "binary", maxLength: 40 }), fc.emailAddress(), fc.webUrl()),
          fc.nat(3),
          fc.nat(3),
        ),
        { maxLength: 5 },
      ),
      fc.stringMatching(/^[a-z'"#]{1,8}$/),
      async (people, branch) => {
        const seen = people.flatMap(([identity, commits, tags]) => {
          const one = { signer: signedBy(identity), merges: 0 }
          return [
            ...(commits > 0 ? [{ ...one, refs: ["refs/heads/x"], count: commits }] : []),
            ...(tags > 0 ? [{ ...one, refs: ["refs/tags/x"], count: tags }] : []),
          ]
        })
        const named = seen.filter(({ signer }) => {
          const [name = ""] = signer.identities
          return name !== "" && name.trim() === name && !/[\n\r]/.test(name)
        })
        const text = proposePolicy(seen, [branch])
        expect(text === undefined).toBe(named.length === 0)
        if (text === undefined) return
        const compiled = await policyOf(text)
        for (const { signer, refs } of named) {
          const [type, ref] =
            refs[0] === "refs/tags/x"
              ? (["tag", "refs/tags/v1"] as const)
              : (["commit", `refs/heads/${branch}`] as const)
          const object = { ...commit({}), type }
          const set = compiled.rulesFor(type, ref)
          expect(compiled.judge(object, set, signer).allowed, text).toBe(true)
          expect(compiled.judge(object, set, signedBy("stranger@elsewhere.example")).allowed).toBe(false)
        }
      },
    ),
    { numRuns: 300 },
  ))
