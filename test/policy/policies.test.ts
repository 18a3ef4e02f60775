/**
 * Runs every case of fixtures/policies: what is refused and at which line, what is warned about, what its examples say, and that the schema
 * of docs/policy.schema.json says the same as the parser.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { Ajv2020 } from "ajv/dist/2020.js"
import { describe, expect, test } from "vitest"
import { parseDocument } from "yaml"
import { isGitsignError } from "../../src/errors.ts"
import { compilePolicy } from "../../src/policy/compile.ts"
import { runExamples } from "../../src/policy/examples.ts"
import { parsePolicy } from "../../src/policy/parse.ts"
import { type PolicyCase, policyCases } from "../support/policy-cases.ts"

const SCHEMA = JSON.parse(readFileSync(resolve(import.meta.dirname, "../../docs/policy.schema.json"), "utf8"))
const validate = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, strictTypes: false }).compile(
  SCHEMA,
)

const cases = policyCases().map((one): [string, PolicyCase] => [one.name, one])

async function load(one: PolicyCase) {
  const parsed = parsePolicy(one.bytes, "policy.yaml")
  const files = new Map(parsed.files.flatMap((path) => (one.has(path) ? [[path, one.read(path)] as const] : [])))
  return { parsed, policy: await parsed.complete(files) }
}

describe("policies", () => {
  test.each(cases)("%s", async (name, one) => {
    expect(name.endsWith("_fail"), "the folder's name ends in _fail").toBe(one.expect !== "accepted")
    const outcome = await load(one).catch((error: unknown) => error)
    if (one.expect !== "accepted") {
      if (!isGitsignError(outcome)) throw outcome instanceof Error ? outcome : new Error("it was accepted")
      expect(outcome.code, outcome.message).toBe(one.expect)
      const line = one.fields.get("line")
      if (line !== undefined) expect(outcome.message).toContain(`policy.yaml line ${line}:`)
      expect(outcome.message).toContain(one.fields.get("says") ?? "")
      expect(outcome.message).not.toMatch(/\n|\.$/)
      return
    }
    if (outcome instanceof Error) throw outcome
    const { parsed, policy } = outcome as Awaited<ReturnType<typeof load>>
    expect(policy.warnings.map(({ id, line }) => `${id}:${line}`).join(", ")).toBe(one.fields.get("warnings") ?? "")
    const compiled = await compilePolicy(policy)
    for (const { example, found, judgement } of runExamples(compiled, parsed.examples)) {
      const shown = `${JSON.stringify(example)} ${judgement.refusal?.message ?? ""}`
      expect(`${found} ${shown}`).toBe(`${example.expect} ${shown}`)
    }
  })

  test.each(cases.filter(([, one]) => one.fields.get("schema") !== "none"))("the schema on %s", (_, one) => {
    const document = parseDocument(one.bytes.toString("utf8"), { version: "1.2", schema: "core" })
    const isValid = validate(document.toJS())
    const expected = one.fields.get("schema") ?? (one.expect === "accepted" ? "valid" : "invalid")
    expect(isValid ? "valid" : "invalid", JSON.stringify(validate.errors)).toBe(expected)
  })

  test("no policy takes long", async () => {
    for (const [name, one] of cases) {
      const start = performance.now()
      await load(one).catch(() => undefined)
      expect(performance.now() - start, name).toBeLessThan(5000)
    }
  })
})
