/**
 * Runs every case of fixtures/commits, fixtures/tags and fixtures/signatures; a new attack is a new folder.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { ERROR_CODES } from "../src/errors.ts"
import { type ObjectFormat, objectId } from "../src/formats/git-object.ts"
import { type Case, casesOf, FIXTURES } from "./support/fixtures.ts"
import { folderOf } from "./support/made/recipe.ts"
import { RECIPES } from "./support/made/recipes/all.ts"
import { verifyCase } from "./support/verify-case.ts"

const KINDS = ["commits", "tags", "signatures"]

describe.each(KINDS)("%s", (kind) => {
  test.each(casesOf(kind).map((one): [string, Case] => [one.name, one]))("%s", async (_, one) => {
    // Without a name to ask for, anybody would do.
    if (one.expect === "verified")
      for (const key of ["identity", "issuer"]) expect([...one.fields.keys()]).toContain(key)
    const { result, summary, error } = await verifyCase(one)
    expect(result, error?.message).toBe(one.expect)
    expect(one.name.endsWith("_fail"), "the folder's name ends in _fail").toBe(one.expect !== "verified")
    // `verified` comes with all steps passed and nothing else does.
    const passed = summary?.steps.every(({ outcome }) => outcome === "passed") ?? false
    expect(passed).toBe(one.expect === "verified")
    if (summary?.verdict === "failed") expect(summary.steps.filter((s) => s.outcome === "failed")).toHaveLength(1)
    if (error !== undefined) {
      const { exit } = ERROR_CODES[error.code]
      expect(summary?.verdict ?? "failed").toBe(exit === 1 ? "failed" : "unavailable")
    }
    if (summary?.signer !== undefined) {
      expect(summary.signer.identity).toBe(one.fields.get("identity") ?? "")
      expect(summary.signer.issuer).toBe(one.fields.get("issuer") ?? "")
    }
  })
})

describe("the bytes of the fixtures are as they were", () => {
  const objects = ["commits", "tags"].flatMap(casesOf)
  test.each(objects.map((one): [string, Case] => [`${one.kind}/${one.name}`, one]))("%s", (_, one) => {
    const raw = one.read("object")
    const format = (one.fields.get("object-format") ?? "sha1") as ObjectFormat
    expect(objectId(one.kind === "tags" ? "tag" : "commit", raw, format)).toBe(one.fields.get("object-id"))
    const sha256 = one.fields.get("sha256")
    if (sha256 !== undefined) expect(createHash("sha256").update(raw).digest("hex")).toBe(sha256)
  })

  test("every folder belongs to a runner", () => {
    const folders = readdirSync(FIXTURES, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(folders.map(({ name }) => name).sort()).toEqual([
      "attacks",
      "commits",
      "conformance",
      "openpgp",
      "policies",
      "predicates",
      "schemas",
      "signatures",
      "ssh",
      "tags",
      "trust",
      "vectors",
    ])
  })
})

describe("every way to be not verified has its fixture", () => {
  const found = new Set<string>([
    ...[...KINDS, "conformance"].flatMap(casesOf).map((one) => one.expect),
    ...["attacks", "openpgp", "ssh"].flatMap(expectationsOf),
  ])
  const codes = Object.entries(ERROR_CODES).flatMap(([code, { exit }]) => (exit === 1 ? [code] : []))

  test.each(codes)("%s", (code) => {
    expect([...found]).toContain(code)
  })
})

/** What the cases of a folder expect that has a form and a runner of its own. */
const expectationsOf = (kind: string): string[] =>
  readdirSync(join(FIXTURES, kind), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(
      ({ name }) => /^expect: (\S+)$/m.exec(readFileSync(join(FIXTURES, kind, name, "case.txt"), "utf8"))?.[1] ?? [],
    )

test("test/make-fixtures.ts and the folders that it made agree", () => {
  const folders = KINDS.flatMap(casesOf).map(({ kind, name }) => `${kind}/${name}`)
  const made = folders.filter((folder) => folder.includes("/made-"))
  expect(made.sort()).toEqual(RECIPES.map(folderOf).sort())
})
