/**
 * From real OpenPGP and SSH signatures to a judgement: whoever src/verify proves is found again in the policy that names the keys.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { parseSignedObject, type SignedObjectType } from "../../src/formats/git-object.ts"
import { keysOf } from "../../src/policy/key-files.ts"
import { createKeyVerifier } from "../../src/verify/other-schemes.ts"
import { type Case, casesOf } from "../support/fixtures.ts"
import { commit, policyOf } from "../support/policies.ts"

const cases = ["openpgp", "ssh"]
  .flatMap(casesOf)
  .filter(({ expect: expected }) => expected === "verified")
  .map((one): [string, Case] => [`${one.kind}/${one.name}`, one])

const OTHER = `version: 1
signers:
  owner: [{ KEYS }]
  # who may sign elsewhere, and not there
  others: [{ openpgp: github, on: all }]
rules:
  - { name: main, branches: [main], signers: [owner] }
  - { name: others, branches: [others], signers: [others] }
  - { name: tags, tags: [main], signers: [owner] }
`

describe("a proven key is the signer whom the policy names", () => {
  test.each(cases)("%s", async (_, one) => {
    const file = ["keys.asc", "allowed_signers"].find(one.has)
    const entry = file === undefined ? "openpgp: github, on: all" : `${one.kind}: ${file}`
    const files = file === undefined ? {} : { [file]: one.read(file).toString("utf8") }
    const policy = await policyOf(OTHER.replace("KEYS", entry), files)
    const type = (one.fields.get("type") ?? "commit") as SignedObjectType
    const { payload, signature = new Uint8Array() } = parseSignedObject(type, one.read("object"), "sha1")
    const { signer, problem } = await createKeyVerifier(keysOf(policy.policy)).verify(payload, signature)
    if (signer === undefined) throw new Error(problem?.message)
    const object = { ...commit({}), type }
    const prefix = type === "tag" ? "refs/tags" : "refs/heads"
    const judged = policy.judge(object, policy.rulesFor(type, `${prefix}/main`), signer)
    expect(judged.refusal?.message).toBeUndefined()
    expect(judged.allowed).toBe(true)
    const elsewhere = policy.judge(
      { ...object, type: "commit" },
      policy.rulesFor("commit", "refs/heads/others"),
      signer,
    )
    expect(elsewhere.allowed).toBe(file === undefined)
  })

  test("there are some of each kind", () => expect(cases.length).toBeGreaterThan(8))
})
