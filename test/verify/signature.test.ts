/**
 * Wycheproof's ECDSA P-256 vectors through the check that a git signature goes through.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { verifyP256Signature } from "../../src/verify/signature.ts"
import { FIXTURES } from "../support/fixtures.ts"
import { namedKey, spkiOf } from "../support/made/keys.ts"

interface Group {
  readonly publicKeyDer: string
  readonly tests: readonly (readonly [
    number: number,
    comment: string,
    message: string,
    signature: string,
    result: string,
  ])[]
}

const groups: Group[] = JSON.parse(readFileSync(join(FIXTURES, "vectors", "wycheproof-p256.json"), "utf8"))

const hex = (text: string): Buffer => Buffer.from(text, "hex")

/** `valid`, or the code it is refused with. */
function result(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): string {
  try {
    verifyP256Signature(publicKey, message, signature)
    return "valid"
  } catch (error) {
    if (!isGitsignError(error)) throw error
    return error.code
  }
}

test("all 484 wycheproof vectors give what they say", () => {
  let count = 0
  for (const { publicKeyDer, tests } of groups) {
    for (const [number, comment, message, signature, expected] of tests) {
      const found = result(hex(publicKeyDer), hex(message), hex(signature))
      expect(found, `${number}: ${comment}`).toBe(expected === "valid" ? "valid" : "ERR_SIGNATURE")
      count++
    }
  }
  expect(count).toBe(484)
})

test("other keys than uncompressed P-256 points are refused", () => {
  const [group] = groups
  const [vector] = group?.tests ?? []
  if (group === undefined || vector === undefined) return expect.unreachable("no vectors")
  const [, , message, signature] = vector
  const point = hex(group.publicKeyDer).subarray(-64)
  const prefix = hex(group.publicKeyDer).subarray(0, -65)
  const compressed = Buffer.concat([
    hex("3039301306072a8648ce3d020106082a8648ce3d030107032200"),
    Buffer.of((point[63] ?? 0) % 2 === 0 ? 2 : 3),
    point.subarray(0, 32),
  ])
  const keys = {
    "another curve": spkiOf(namedKey("test", "P-384")),
    compressed,
    "the point at infinity": Buffer.concat([prefix, Buffer.of(0), Buffer.alloc(64)]),
    "no point": Buffer.concat([prefix, Buffer.of(4), Buffer.alloc(64, 1)]),
    "a byte more": Buffer.concat([hex(group.publicKeyDer), Buffer.of(0)]),
    nothing: Buffer.alloc(0),
  }
  for (const [name, key] of Object.entries(keys)) {
    expect(result(key, hex(message), hex(signature)), name).toBe("ERR_CERTIFICATE")
  }
})
