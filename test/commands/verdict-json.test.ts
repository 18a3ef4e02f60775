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
import { type Schema, violations } from "../support/json-schema.ts"

const SCHEMA: Schema = JSON.parse(readFileSync(new URL("../../docs/verify.schema.json", import.meta.url), "utf8"))

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
