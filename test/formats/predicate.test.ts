/**
 * What `gitsign show` prints, against the Go gitsign's own expectations.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import type { SignedObjectType } from "../../src/formats/git-object.ts"
import { describeObject } from "../../src/formats/predicate.ts"
import { type Case, casesOf } from "../support/fixtures.ts"

const REPOSITORY = "https://github.com/sigstore/gitsign.git"

describe("sigstore/gitsign", () => {
  test.each(casesOf("predicates").map((one): [string, Case] => [one.name, one]))("%s", (_, one) => {
    const type = one.fields.get("type") as SignedObjectType
    const { predicate_type, ...statement } = describeObject(type, one.read("object"), "sha1", REPOSITORY)
    expect(JSON.parse(JSON.stringify(statement))).toEqual(JSON.parse(one.read("statement.json").toString("utf8")))
    expect(predicate_type).toBe(statement.predicateType)
  })
})

test("a header of a megabyte takes no time", () => {
  const raw = Buffer.from(
    `tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor ${"<".repeat(900_000)}\ncommitter a <a> 1 +0000\n\n`,
  )
  expect(describeObject("commit", raw, "sha1", REPOSITORY)).toMatchObject({ predicate: { source: { message: "" } } })
})
