/**
 * A credential that is kept and restored: the same certificate, a key that signs, and nothing but a pair that belongs together.
 *
 * @module
 */

import { generateKeyPairSync } from "node:crypto"
import { describe, expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { createKeptCredential, type KeptCredential, restoreCredential, sign } from "../../src/sign/sign.ts"
import { IDENTITY } from "../support/made/certificates.ts"
import { certificateAuthority, signRequest } from "../support/made/ports.ts"

const create = () => createKeptCredential("token", certificateAuthority())

async function refusal(kept: KeptCredential): Promise<string> {
  try {
    await restoreCredential(kept)
  } catch (error) {
    if (isGitsignError(error)) return `${error.code}: ${error.message}`
    throw error
  }
  return expect.unreachable("it was restored")
}

const pkcs8 = (pair: { privateKey: import("node:crypto").KeyObject }): Uint8Array =>
  pair.privateKey.export({ format: "der", type: "pkcs8" })

describe("a kept credential", () => {
  test("signs before it is kept and after it is restored", async () => {
    const { credential, kept } = await create()
    const restored = await restoreCredential({
      privateKeyPkcs8: Uint8Array.from(kept.privateKeyPkcs8),
      certificate: Uint8Array.from(kept.certificate),
    })
    expect(restored.signer.fingerprint).toBe(credential.signer.fingerprint)
    for (const one of [credential, restored]) {
      const { summary, signer } = await sign(await signRequest({ credential: one }))
      expect(summary.verdict).toBe("verified")
      expect(signer.identity).toBe(IDENTITY)
    }
  })

  test.each<[string, string, (kept: KeptCredential) => Promise<KeptCredential> | KeptCredential]>([
    [
      "another key",
      "ERR_CERTIFICATE: the kept certificate is for another key",
      async (kept) => ({ ...kept, privateKeyPkcs8: (await create()).kept.privateKeyPkcs8 }),
    ],
    [
      "a key of another curve",
      "ERR_CERTIFICATE: the kept key cannot be read",
      (kept) => ({ ...kept, privateKeyPkcs8: pkcs8(generateKeyPairSync("ec", { namedCurve: "P-384" })) }),
    ],
    [
      "a key of another kind",
      "ERR_CERTIFICATE: the kept key cannot be read",
      (kept) => ({ ...kept, privateKeyPkcs8: pkcs8(generateKeyPairSync("ed25519")) }),
    ],
    [
      "a key that is cut",
      "ERR_CERTIFICATE: the kept key cannot be read",
      (kept) => ({ ...kept, privateKeyPkcs8: kept.privateKeyPkcs8.subarray(0, 40) }),
    ],
    [
      "no certificate",
      "ERR_CERTIFICATE: the kept certificate cannot be read",
      (kept) => ({ ...kept, certificate: new Uint8Array() }),
    ],
    [
      "a certificate that is cut",
      "ERR_CERTIFICATE: the kept certificate cannot be read",
      (kept) => ({ ...kept, certificate: kept.certificate.subarray(0, 200) }),
    ],
  ])("with %s is refused", async (_, expected, change) => {
    const { kept } = await create()
    expect(await refusal(await change(kept))).toContain(expected)
  })
})
