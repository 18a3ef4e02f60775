/**
 * The JSON of a result is what docs/verify.schema.json says, for every case of fixtures/.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { verdictJson } from "../../src/commands/verdict-json.ts"
import { isGitsignError } from "../../src/errors.ts"
import { parseSignedObject, type SignedObject } from "../../src/formats/git-object.ts"
import { verifySignature } from "../../src/verify/verify.ts"
import { type Case, casesOf, trustedRootOf } from "../support/fixtures.ts"

interface Schema {
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly format?: string
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
  readonly items?: Schema
}

const SCHEMA: Schema = JSON.parse(readFileSync(new URL("../../docs/verify.schema.json", import.meta.url), "utf8"))

const typeOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value

/** The part of JSON Schema that the file uses; stricter in one thing: members it does not name are violations. */
function violations(schema: Schema, value: unknown, path = "$"): string[] {
  const found: string[] = []
  const types = schema.type === undefined ? undefined : [schema.type].flat()
  if (types !== undefined && !types.includes(typeOf(value))) found.push(`${path} is ${typeOf(value)}`)
  if (schema.const !== undefined && value !== schema.const) found.push(`${path} is not ${schema.const}`)
  if (schema.enum !== undefined && !schema.enum.includes(value)) found.push(`${path} is ${value}`)
  if (typeof value === "string") {
    if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) found.push(`${path} is ${value}`)
    if (schema.format === "date-time" && !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) found.push(`${path} is ${value}`)
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries())
      found.push(...violations(schema.items ?? {}, item, `${path}[${index}]`))
  } else if (typeof value === "object" && value !== null) {
    for (const name of schema.required ?? []) if (!(name in value)) found.push(`${path}.${name} is missing`)
    for (const [name, member] of Object.entries(value)) {
      const expected = schema.properties?.[name] ?? schema.additionalProperties
      if (expected === undefined) found.push(`${path}.${name} is not in the schema`)
      else found.push(...violations(expected, member, `${path}.${name}`))
    }
  }
  return found
}

describe("verify.schema.json", () => {
  const objects = [...casesOf("commits"), ...casesOf("tags")]

  /** Undefined for an object that is refused before there is a signature to verify. */
  const resultOf = (one: Case): unknown => {
    const type = one.kind === "tags" ? "tag" : "commit"
    const id = one.fields.get("object-id") ?? "0".repeat(40)
    let signed: SignedObject
    try {
      signed = parseSignedObject(type, one.read("object"), id.length === 40 ? "sha1" : "sha256")
    } catch (error) {
      if (isGitsignError(error)) return undefined
      throw error
    }
    const { payload, signature } = signed
    if (signature === undefined) return undefined
    const summary = verifySignature({ payload, signature }, { trustedRoot: trustedRootOf(one) })
    return JSON.parse(verdictJson({ type, id, name: "HEAD" }, summary, true))
  }

  test("describes the result of every case", () => {
    const results = objects
      .map((one) => [one.name, resultOf(one)] as const)
      .filter(([, result]) => result !== undefined)
    expect(results.length).toBeGreaterThan(60)
    for (const [name, result] of results) expect(violations(SCHEMA, result), name).toEqual([])
  })

  test("the check can fail", () => {
    const document = { schemaVersion: 2, verdict: "good", object: { type: "commit", id: "x", name: 1 }, more: 1 }
    expect(violations(SCHEMA, document)).toEqual(
      expect.arrayContaining([
        "$.error is missing",
        "$.verdict is good",
        "$.schemaVersion is not 1",
        "$.more is not in the schema",
      ]),
    )
  })
})
