/**
 * Signatures over digests: Wycheproof's vectors, and node's own signatures on every curve.
 *
 * @module
 */

import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { verifyEcdsaDigest } from "../../src/sandbox/ecdsa-digest.ts"

type Vector = readonly [tcId: number, comment: string, msg: string, sig: string, result: string]

const groups = JSON.parse(
  readFileSync(new URL("../../fixtures/vectors/wycheproof-p256.json", import.meta.url), "utf8"),
) as readonly { readonly publicKeyDer: string; readonly tests: readonly Vector[] }[]

const pointOf = (key: KeyObject): Buffer => {
  const { x = "", y = "" } = key.export({ format: "jwk" })
  return Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")])
}

describe("verifyEcdsaDigest", () => {
  test("agrees with every Wycheproof vector for P-256", () => {
    let count = 0
    for (const { publicKeyDer, tests } of groups) {
      const key = createPublicKey({ key: Buffer.from(publicKeyDer, "hex"), format: "der", type: "spki" })
      for (const [tcId, comment, msg, sig, result] of tests) {
        const digest = createHash("sha256").update(Buffer.from(msg, "hex")).digest()
        const valid = verifyEcdsaDigest("prime256v1", pointOf(key), digest, Buffer.from(sig, "hex"))
        expect(valid, `${tcId}: ${comment}`).toBe(result === "valid")
        count++
      }
    }
    expect(count).toBeGreaterThan(400)
  })

  test.each([
    ["prime256v1", "sha256"],
    ["prime256v1", "sha512"],
    ["secp384r1", "sha384"],
    ["secp384r1", "sha256"],
    ["secp521r1", "sha512"],
    ["secp521r1", "sha256"],
  ])("accepts what node signs with %s and %s, and nothing that differs", (namedCurve, hash) => {
    for (let round = 0; round < 5; round++) {
      const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve })
      const message = Buffer.from(`message ${round}`)
      const digest = createHash(hash).update(message).digest()
      const signature = sign(hash, message, privateKey)
      const point = pointOf(publicKey)
      expect(verifyEcdsaDigest(namedCurve, point, digest, signature)).toBe(true)
      digest[0] = (digest[0] ?? 0) ^ 0x80
      expect(verifyEcdsaDigest(namedCurve, point, digest, signature)).toBe(false)
      digest[0] = (digest[0] ?? 0) ^ 0x80
      const other = generateKeyPairSync("ec", { namedCurve }).publicKey
      expect(verifyEcdsaDigest(namedCurve, pointOf(other), digest, signature)).toBe(false)
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(signature)
        const at = (round * 7 + bit * 5) % changed.length
        changed[at] = (changed[at] ?? 0) ^ (1 << bit)
        expect(verifyEcdsaDigest(namedCurve, point, digest, changed)).toBe(false)
      }
    }
  })

  test("knows no other curve", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "secp256k1" })
    const digest = createHash("sha256").update("x").digest()
    expect(
      verifyEcdsaDigest("secp256k1", pointOf(publicKey), digest, sign("sha256", Buffer.from("x"), privateKey)),
    ).toBe(false)
  })
})
