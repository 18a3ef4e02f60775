/**
 * From real OpenPGP and SSH signatures to a judgement: whoever src/verify proves is found again in the policy that names the keys.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { parseSignedObject, type SignedObjectType } from "../../src/formats/git-object.ts"
import { diffPolicies } from "../../src/policy/diff.ts"
import { explainIdentity } from "../../src/policy/explain.ts"
import { keysOf } from "../../src/policy/key-files.ts"
import { createKeyVerifier } from "../../src/verify/other-schemes.ts"
import { type Case, casesOf } from "../support/fixtures.ts"
import { commit, policyOf } from "../support/policies.ts"
import { armor, certificate, ed25519, sshsig } from "../support/ssh-signer.ts"

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

describe("an SSH key counts by the lines that accept it, and by no other line for it", () => {
  const key = ed25519()
  const ca = ed25519()
  const ENDED = 'valid-before="20240101Z"'
  const PAYLOAD = Buffer.from(
    "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@x> 1750000000 +0000\ncommitter A <a@x> 1750000000 +0000\n\nA\n",
  )
  const plain = armor(sshsig(key, PAYLOAD))
  const certified = armor(
    sshsig(key, PAYLOAD, { keyBlob: certificate(key, ca, { principals: ["alice@example.com"] }) }),
  )

  const textOf = (entry: string): string => `version: 1
signers: { maintainers: [{ ssh: maintainers${entry} }], staff: [{ ssh: staff }] }
rules:
  - { name: one, branches: [one], signers: [maintainers] }
  - { name: other, branches: [other], signers: [staff] }
  - { name: committer, branches: [committer], signers: [maintainers], require: { committer: true } }
`
  const judged = async (signature: string, maintainers: string, staff: string, entry = ""): Promise<string> => {
    const policy = await policyOf(textOf(entry), { maintainers, staff })
    const { signer, problem } = await createKeyVerifier(keysOf(policy.policy)).verify(PAYLOAD, Buffer.from(signature))
    if (signer === undefined) return problem?.code ?? ""
    const codes = ["one", "other", "committer"].map((branch) => {
      const { refusal } = policy.judge(commit({}), policy.rulesFor("commit", `refs/heads/${branch}`), signer)
      return refusal?.code ?? "allowed"
    })
    return codes.join(", ")
  }
  const line = (names: string, options = "", one = key): string => `${names} ${options} ${one.line}\n`
  const authority = line("*@example.com", "cert-authority", ca)

  test("a certificate does not make good a line for the key itself", async () => {
    const ended = line("alice@example.com", ENDED)
    expect(await judged(certified, ended, authority)).toBe("ERR_IDENTITY, allowed, ERR_IDENTITY")
    expect(await judged(plain, ended, authority)).toBe("ERR_KEY_EXPIRED")
    expect(await judged(certified, line("alice@example.com"), authority)).toBe("ERR_IDENTITY, allowed, ERR_IDENTITY")
    expect(await judged(certified, authority, ended)).toBe("allowed, ERR_IDENTITY, allowed")
  })

  test("what one file says of a key does not count in another", async () => {
    const first = line("alice@example.com", ENDED) + line("intern@example.com")
    const second = line("intern@example.com", ENDED) + line("alice@example.com")
    const entry = ", principals: [alice@example.com]"
    expect(await judged(plain, first, second, entry)).toBe("ERR_IDENTITY, allowed, ERR_IDENTITY")
    expect(await judged(plain, second, first, entry)).toBe("allowed, allowed, allowed")
  })

  test("a key may be in two files with other options", async () => {
    const ended = line("alice@example.com", ENDED)
    expect(await judged(plain, ended, line("alice@example.com"))).toBe("ERR_IDENTITY, allowed, ERR_IDENTITY")
    expect(await judged(plain, line("alice@example.com"), ended)).toBe("allowed, ERR_IDENTITY, allowed")
  })

  test("a line that has ended does not say who the committer may be", async () => {
    const lines = line("alice@example.com,bob@example.com", ENDED) + line("bob@example.com")
    expect(await judged(plain, lines, authority)).toBe("allowed, ERR_IDENTITY, ERR_COMMITTER")
    const other = line("*@example.com") + line("alice@example.com", 'namespaces="file"')
    expect(await judged(plain, other, authority)).toBe("allowed, ERR_IDENTITY, allowed")
  })

  test("comparing policies and explaining them find the key in the file as it is in each", async () => {
    const files = { maintainers: line("alice@example.com"), staff: authority }
    const more = { ...files, maintainers: `# alice and bob\n${files.maintainers}${line("bob@example.com", "", ca)}` }
    const [before, after] = [await policyOf(textOf(""), files), await policyOf(textOf(""), more)]
    const { gains, loses } = diffPolicies(before, after)
    expect(loses).toEqual([])
    expect(gains.map(({ who }) => who)).toEqual([expect.stringContaining("bob@example.com")])
    const [print = ""] = gains.flatMap(({ who }) => /SHA256:\S+/.exec(who)?.[0] ?? [])
    expect(explainIdentity(after, { identity: print }).signers).toEqual(["maintainers"])
    expect(explainIdentity(before, { identity: print }).signers).toEqual(["staff"])
  })
})
