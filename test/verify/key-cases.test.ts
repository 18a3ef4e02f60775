/**
 * Runs every case of fixtures/openpgp and fixtures/ssh; a new attack is a new folder.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { type ObjectFormat, objectId, parseSignedObject, type SignedObjectType } from "../../src/formats/git-object.ts"
import { GITHUB_FINGERPRINTS, openpgpFingerprints } from "../../src/policy/key-files.ts"
import { GITHUB_WEB_FLOW_KEYS } from "../../src/verify/keys/github.ts"
import { createKeyVerifier } from "../../src/verify/other-schemes.ts"
import { type Case, caseNamed, casesOf } from "../support/fixtures.ts"

const partsOf = (one: Case): { payload: Uint8Array; signature: Uint8Array; type: SignedObjectType; raw: Buffer } => {
  const raw = one.read("object")
  const type = (one.fields.get("type") ?? "commit") as SignedObjectType
  const { payload, signature = new Uint8Array() } = parseSignedObject(type, raw, "sha1")
  return { payload, signature, type, raw }
}

/** GitHub's keys, where the case has none. */
const verifierOf = (one: Case) =>
  createKeyVerifier({
    openpgp: [{ keys: one.has("keys.asc") ? one.read("keys.asc").toString() : "github", source: one.name }],
    ssh: one.has("allowed_signers")
      ? [{ allowedSigners: one.read("allowed_signers").toString(), source: one.name }]
      : [],
  })

describe.each(["openpgp", "ssh"])("%s", (kind) => {
  test.each(casesOf(kind).map((one): [string, Case] => [one.name, one]))("%s", async (_, one) => {
    const { payload, signature, type, raw } = partsOf(one)
    const format = (one.fields.get("object-format") ?? "sha1") as ObjectFormat
    expect(objectId(type, raw, format)).toBe(one.fields.get("object-id"))
    const { scheme, signer, problem } = await verifierOf(one).verify(payload, signature)
    expect(problem?.code ?? "verified", problem?.message).toBe(one.expect)
    expect(signer !== undefined).toBe(one.expect === "verified")
    expect(scheme).toBe(kind)
    expect(one.name.endsWith("_fail"), "the folder's name ends in _fail").toBe(one.expect !== "verified")
  })
})

describe("GitHub's keys", () => {
  test("are those with these fingerprints, and no others", () => {
    expect(openpgpFingerprints(GITHUB_WEB_FLOW_KEYS, "github")).toEqual([
      "5DE3E0509C47EA3CF04A42D34AEE18F83AFDEB23",
      "968479A1AFF927E37D1A566BB5690EEEBB952194",
    ])
    expect([...GITHUB_FINGERPRINTS].sort()).toEqual([...openpgpFingerprints(GITHUB_WEB_FLOW_KEYS, "github")].sort())
  })

  test.each([
    [
      "github-2017",
      "5DE3E0509C47EA3CF04A42D34AEE18F83AFDEB23",
      "GitHub (web-flow commit signing) <noreply@github.com>",
    ],
    ["github-2024", "968479A1AFF927E37D1A566BB5690EEEBB952194", "GitHub <noreply@github.com>"],
    ["github-2024-merge", "968479A1AFF927E37D1A566BB5690EEEBB952194", "GitHub <noreply@github.com>"],
  ])("%s was signed by %s", async (name, fingerprint, userId) => {
    const one = caseNamed("openpgp", name)
    const { payload, signature } = partsOf(one)
    const { signer } = await verifierOf(one).verify(payload, signature)
    expect(signer).toEqual({ scheme: "openpgp", fingerprints: [fingerprint], userIds: [userId] })
    const other = await verifierOf(one).verify(Buffer.concat([payload, Buffer.from("\n")]), signature)
    expect(other.problem?.code).toBe("ERR_SIGNATURE")
  })
})
