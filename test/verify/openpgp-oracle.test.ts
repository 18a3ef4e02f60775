/**
 * gpg and this verifier agree on signatures that gpg made, good and bad.
 *
 * @module
 */

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { createKeyVerifier } from "../../src/verify/other-schemes.ts"
import { GpgWorld, hasGpg } from "../support/gpg-world.ts"

const PAYLOAD = Buffer.from("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nA commit\n")

async function verdictOf(keys: string, signature: Uint8Array, payload: Uint8Array = PAYLOAD) {
  const verdict = await createKeyVerifier({ openpgp: [{ keys, source: "test" }], ssh: [] }).verify(payload, signature)
  return { code: verdict.problem?.code ?? "signed", message: verdict.problem?.message, signer: verdict.signer }
}

describe.skipIf(!hasGpg())("gpg (skipped where it is not installed)", () => {
  const world = new GpgWorld()
  afterAll(() => world.end())
  const at = (time: string): string[] => ["--faked-system-time", `${time}!`]

  describe.each([
    ["ed25519", 0],
    ["rsa2048", 0],
    ["rsa3072", 0],
    ["nistp256", 256],
    ["nistp384", 384],
    ["nistp521", 512],
  ])("%s", (algorithm, leastDigest) => {
    let key = ""
    beforeAll(() => {
      key = world.key(`A <a@${algorithm}.example>`, algorithm)
    })

    test.each([
      [[], "signed"],
      [["--digest-algo", "SHA512"], "signed"],
      [["--digest-algo", "SHA384"], "signed"],
      [["--digest-algo", "SHA1"], "ERR_SIGNATURE"],
      [["--digest-algo", "SHA224"], "ERR_SIGNATURE"],
      [["--textmode"], "signed"],
      [["--comment", "a comment", "--emit-version"], "signed"],
      [["--sig-notation", "a@example.com=b"], "signed"],
      [["--sig-notation", "!a@example.com=b"], "ERR_SIGNATURE"],
      [["--sig-policy-url", "!http://example.com"], "signed"],
      [["--default-sig-expire", "1d"], "ERR_SIGNATURE"],
    ])("%j: %s", async (options, expected) => {
      // gpg takes no digest that is shorter than the curve
      const digest = { SHA1: 160, SHA224: 224, SHA384: 384 }[options[1] ?? ""] ?? 512
      if (digest < leastDigest) return
      const signature = world.sign(key, PAYLOAD, ...options)
      const { code, message, signer } = await verdictOf(world.export(key), signature)
      expect(code, message).toBe(expected)
      if (signer !== undefined) {
        expect(signer).toEqual({ scheme: "openpgp", fingerprints: [key], userIds: [`A <a@${algorithm}.example>`] })
        expect(world.statusOf(PAYLOAD, signature)).toContain("GOODSIG")
      }
      const changed = Buffer.concat([PAYLOAD, Buffer.from("x")])
      expect((await verdictOf(world.export(key), signature, changed)).code).toBe("ERR_SIGNATURE")
    })
  })

  test("weak keys, and those on curves that are not supported", async () => {
    for (const algorithm of ["rsa1024", "dsa2048", "secp256k1", "brainpoolP256r1"]) {
      const key = world.key(`A <a@${algorithm}.example>`, algorithm)
      const signature = world.sign(key, PAYLOAD, "--digest-algo", "SHA256")
      expect(world.statusOf(PAYLOAD, signature)).toContain("GOODSIG")
      expect((await verdictOf(world.export(key), signature)).code, algorithm).toBe("ERR_SIGNATURE")
    }
  })

  test("text with carriage returns", async () => {
    const key = world.key("A <a@text.example>", "ed25519")
    const payload = Buffer.from("a \r\nb\t\n")
    const signature = world.sign(key, payload, "--textmode")
    for (const text of ["a \r\nb\t\n", "a \r\nb\t\r\n", "a \rb\t\n"]) {
      expect((await verdictOf(world.export(key), signature, Buffer.from(text))).code).toBe("ERR_SIGNATURE")
    }
    // Without them it is what gpg says: blanks at the ends of lines count
    expect((await verdictOf(world.export(key), signature, Buffer.from("a \nb\t\n"))).code).toBe("signed")
    expect(world.statusOf(Buffer.from("a \nb\t\n"), signature)).toContain("GOODSIG")
    expect((await verdictOf(world.export(key), signature, Buffer.from("a\nb\n"))).code).toBe("ERR_SIGNATURE")
  })

  test("a signing subkey", async () => {
    const key = world.key("A <a@subkey.example>", "ed25519")
    world.gpg(["--quick-add-key", key, "ed25519", "sign"])
    world.gpg(["--quick-add-key", key, "cv25519", "encr"])
    const signature = world.sign(key, PAYLOAD)
    const { code, signer } = await verdictOf(world.export(key), signature)
    expect(code).toBe("signed")
    expect(signer?.fingerprints).toHaveLength(2)
    expect(signer?.fingerprints[0]).toBe(key)
    expect(world.statusOf(PAYLOAD, signature)).toContain("GOODSIG")
  })

  test("a key that has ended, before and after its end", async () => {
    world.gpg([...at("20240101T000000"), "--quick-gen-key", "A <a@ended.example>", "ed25519", "cert,sign", "1y"])
    const key = "=A <a@ended.example>"
    const before = world.sign(key, PAYLOAD, ...at("20240601T000000"))
    const keys = world.export(key)
    expect((await verdictOf(keys, before)).code).toBe("signed")
    expect(world.statusOf(PAYLOAD, before)).toContain("EXPKEYSIG")
    // A gpg with its clock set back signs all the same, and says so; one in 2025 does not
    expect(world.try([...at("20250601T000000"), "-bsau", key], PAYLOAD).status).not.toBe(0)

    const { stdout } = world.try(["--with-colons", "--list-keys", key])
    const fingerprint = /^fpr:+([0-9A-F]+):/m.exec(stdout.toString())?.[1] ?? ""
    world.gpg([...at("20250301T000000"), "--quick-set-expire", fingerprint, "3y"])
    const prolonged = world.export(key)
    const later = world.sign(key, PAYLOAD, ...at("20250601T000000"))
    expect((await verdictOf(keys, later)).code).toBe("ERR_KEY_EXPIRED")
    expect((await verdictOf(prolonged, later)).code).toBe("signed")
    // gpg replaces the self-signature: what was signed before it has to hold too
    expect((await verdictOf(prolonged, before)).code).toBe("signed")
    expect(world.statusOf(PAYLOAD, before)).toContain("GOODSIG")
    // Both copies in one policy: the newer self-signature counts
    expect((await verdictOf(keys + prolonged, later)).code).toBe("signed")
    expect((await verdictOf(prolonged + keys, later)).code).toBe("signed")
  })

  test.each([
    ["0", "ERR_KEY_EXPIRED"], // no reason
    ["1", "ERR_KEY_EXPIRED"], // compromised
    ["2", "signed"], // superseded
    ["3", "signed"], // no longer used
  ])("a key revoked for reason %s: what it signed before is %s", async (reason, expected) => {
    const user = `A <a@revoked${reason}.example>`
    world.gpg([...at("20240101T000000"), "--quick-gen-key", user, "ed25519", "cert,sign", "0"])
    const key = `=${user}`
    const before = world.sign(key, PAYLOAD, ...at("20240601T000000"))
    const after = world.sign(key, PAYLOAD, ...at("20250601T000000"))
    const unrevoked = world.export(key)
    world.gpg(["--import"], world.revocation(key, reason, ...at("20250101T000000")))
    const revoked = world.export(key)
    expect((await verdictOf(unrevoked, before)).code).toBe("signed")
    expect((await verdictOf(revoked, before)).code).toBe(expected)
    expect((await verdictOf(revoked, after)).code).toBe("ERR_KEY_EXPIRED")
    // In whichever copy of the key it is
    expect((await verdictOf(unrevoked + revoked, after)).code).toBe("ERR_KEY_EXPIRED")
    expect((await verdictOf(revoked + unrevoked, after)).code).toBe("ERR_KEY_EXPIRED")
    expect(world.statusOf(PAYLOAD, after)).toContain("REVKEYSIG")
  })

  test("a revoked user id is nobody's name", async () => {
    const key = world.key("A <a@uid.example>", "ed25519")
    world.gpg(["--quick-add-uid", key, "B <b@uid.example>"])
    const signature = world.sign(key, PAYLOAD)
    expect((await verdictOf(world.export(key), signature)).signer).toMatchObject({
      userIds: expect.arrayContaining(["A <a@uid.example>", "B <b@uid.example>"]),
    })
    world.gpg(["--quick-revoke-uid", key, "A <a@uid.example>"])
    expect((await verdictOf(world.export(key), signature)).signer).toMatchObject({ userIds: ["B <b@uid.example>"] })
  })

  test("a clear-signed message and a whole message are no signatures", async () => {
    const key = world.key("A <a@message.example>", "ed25519")
    const message = world.gpg(["--armor", "--sign", "-u", key], PAYLOAD)
    const clear = world.gpg(["--clear-sign", "-u", key], PAYLOAD)
    for (const bytes of [message, clear])
      expect((await verdictOf(world.export(key), bytes)).code).toBe("ERR_SIGNATURE_FORMAT")
  })
})
