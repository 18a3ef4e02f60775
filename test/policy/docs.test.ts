/**
 * docs/policy.md is true: its policies are read without an error, their examples hold, and it has every member, code and warning.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { describe, expect, test } from "vitest"
import { ERROR_CODES } from "../../src/errors.ts"
import { compilePolicy } from "../../src/policy/compile.ts"
import { runExamples } from "../../src/policy/examples.ts"
import { refGlob } from "../../src/policy/glob.ts"
import { parsePolicy } from "../../src/policy/parse.ts"
import { policyCases } from "../support/policy-cases.ts"

const ROOT = resolve(import.meta.dirname, "../..")
const PAGE = readFileSync(resolve(ROOT, "docs/policy.md"), "utf8")
const blocks = [...PAGE.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = ""]) => text)

const has = (text: string, member: string): boolean => new RegExp(`^${member}:`, "m").test(text)

/** A part of a policy is read with the parts of the page that it goes on from. */
function whole(text: string): string {
  const parts = ["version", "signers", "rules"].flatMap((member) => {
    if (has(text, member)) return []
    return member === "version"
      ? "version: 1\n"
      : (blocks.find((block) => has(block, member) && !has(block, "version")) ?? "")
  })
  return [...parts, text].join("")
}

const full = policyCases().find(({ name }) => name === "full")

describe("docs/policy.md", () => {
  test("has policies", () => expect(blocks.length).toBeGreaterThan(4))

  test.each(blocks.map((text) => [text.split("\n")[0] ?? "", text]))(
    "the policy that begins with %s",
    async (_, text) => {
      const parsed = parsePolicy(Buffer.from(whole(text)), "the page")
      const files = new Map(parsed.files.map((file) => [file, full?.read(file) ?? Buffer.alloc(0)]))
      const policy = await parsed.complete(files)
      expect(policy.warnings.filter(({ id }) => id !== "no-policy-rule" && id !== "unused-signer")).toEqual([])
      const results = runExamples(await compilePolicy(policy), parsed.examples)
      expect(results.map(({ found }) => found)).toEqual(parsed.examples.map(({ expect: expected }) => expected))
    },
  )

  test("the first one says what is said of it", async () => {
    const { complete } = parsePolicy(Buffer.from(blocks[0] ?? ""), "the page")
    const compiled = await compilePolicy(await complete(new Map()))
    const bob = { issuer: "https://accounts.google.com", subject: "bob@example.com", claims: {} }
    const example = { line: 1, signer: bob, type: "commit", paths: [], merge: "no", committer: undefined } as const
    const more = { mode: "offline", timestamped: false, time: undefined, expect: "allowed" } as const
    const found = ["refs/heads/main", "refs/heads/topic"].map((ref) => ({ ...example, ...more, ref }))
    expect(runExamples(compiled, found).map((result) => result.found)).toEqual(["allowed", "ERR_NO_RULE"])
  })

  test("the table of globs", () => {
    const rows = [...PAGE.matchAll(/^\| `([^`]+)` \| ((?:the branch )?`[^|]*) \| ([^|]*)\|$/gm)]
    const globs = rows.filter(([, glob]) => ["main", "release/*", "release/**", "**/fix"].includes(glob ?? ""))
    expect(globs).toHaveLength(4)
    const names = (cell = ""): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name)
    for (const [, glob = "", yes, no] of globs) {
      const matches = refGlob(glob)
      expect(names(yes).map(matches), glob).toEqual(names(yes).map(() => true))
      expect(names(no).map(matches), glob).toEqual(names(no).map(() => false))
    }
  })

  test("it has every member of the schema", () => {
    const schema = readFileSync(resolve(ROOT, "docs/policy.schema.json"), "utf8")
    const members = new Set<string>()
    JSON.parse(schema, (key, value: unknown) => {
      if (key === "properties" && typeof value === "object")
        for (const name of Object.keys(value ?? {})) members.add(name)
      return value
    })
    const claims = Object.keys(JSON.parse(schema).$defs.claims.properties)
    const missing = [...members].filter((name) => !claims.includes(name) && !PAGE.includes(`\`${name}`))
    expect(missing).toEqual([])
  })

  test("it has every code and every warning of the policy's sources", () => {
    const sources = readdirSync(resolve(ROOT, "src/policy")).map((name) =>
      readFileSync(resolve(ROOT, "src/policy", name), "utf8"),
    )
    const text = sources.join("\n")
    const codes = [...new Set([...text.matchAll(/"(ERR_[A-Z_]+)"/g)].map(([, code = ""]) => code))]
    expect(codes.length).toBeGreaterThan(12)
    expect(codes.filter((code) => !PAGE.includes(`\`${code}\``))).toEqual([])
    const ids = [...new Set([...text.matchAll(/warn\(\s*"([a-z-]+)"/g)].map(([, id = ""]) => id))]
    expect(ids.length).toBeGreaterThan(14)
    expect(ids.filter((id) => !PAGE.includes(`\`${id}\``))).toEqual([])
    const named = [...PAGE.matchAll(/`(ERR_[A-Z_]+)`/g)].map(([, code = ""]) => code)
    expect(named.filter((code) => !Object.hasOwn(ERROR_CODES, code))).toEqual([])
  })
})
