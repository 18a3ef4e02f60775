/**
 * The bundle-verification cases of sigstore/sigstore-conformance through the project's verifier.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { leafHash, rootFromInclusionProof } from "../../src/formats/merkle.ts"
import { type Case, caseNamed, casesOf, FIXTURES, trustedRootOf } from "../support/fixtures.ts"
import { authorizeOf } from "../support/verify-case.ts"
import { parseMessageBundle, verifyBundle } from "./bundle.ts"

const DSSE = "a DSSE envelope: a git signature is over the object itself, never over an envelope"
const MANAGED_KEY = "signed with a key that a person keeps: a git signature always carries its certificate"

/** The published cases that say nothing about git signatures, and why. */
const NOT_APPLICABLE: Readonly<Record<string, string>> = {
  "dsse-invalid-sig_fail": DSSE,
  "dsse-mismatch-envelope_fail": DSSE,
  "dsse-mismatch-sig_fail": DSSE,
  "happy-path-intoto-in-dsse-v3": DSSE,
  "intoto-set-outside-signing-cert-validity_fail": DSSE,
  "managed-key-happy-path": MANAGED_KEY,
  "managed-key-wrong-key_fail": MANAGED_KEY,
  "rekor2-dsse-happy-path": DSSE,
  "rekor2-dsse-invalid-sig_fail": DSSE,
  "rekor2-dsse-mismatch-envelope_fail": DSSE,
  "rekor2-dsse-mismatch-sig_fail": DSSE,
}

const cases = casesOf("conformance")

test("all 50 published cases are here or named as not applicable", () => {
  const names = cases.map(({ name }) => name)
  expect(names.filter((name) => name in NOT_APPLICABLE)).toEqual([])
  expect(names.length + Object.keys(NOT_APPLICABLE).length).toBe(50)
})

describe("bundle-verify", () => {
  test.each(cases.map((one): [string, Case] => [one.name, one]))("%s", async (_, one) => {
    const bundle = one.read("bundle.sigstore.json")
    expect(createHash("sha256").update(bundle).digest("hex")).toBe(one.fields.get("sha256"))
    const artifact = one.has("artifact") ? one.read("artifact") : readFileSync(join(FIXTURES, "conformance", "a.txt"))
    const summary = verifyBundle(bundle.toString("utf8"), artifact, () => trustedRootOf(one), await authorizeOf(one))
    expect(summary.error?.code ?? summary.verdict, summary.error?.message).toBe(one.expect)
    expect(one.name.endsWith("_fail")).toBe(one.expect !== "verified")
  })
})

test("the proof of invalid-inclusion-proof would not hold either", () => {
  const { entry } = parseMessageBundle(
    caseNamed("conformance", "invalid-inclusion-proof_fail").read("bundle.sigstore.json").toString("utf8"),
  )
  const { inclusionProof: proof, canonicalizedBody } = entry
  if (proof === undefined) return expect.unreachable("no proof")
  const root = rootFromInclusionProof(proof.logIndex, proof.treeSize, leafHash(canonicalizedBody), proof.hashes)
  expect(Buffer.from(root).equals(proof.rootHash)).toBe(false)
})
