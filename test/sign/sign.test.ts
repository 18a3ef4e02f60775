/**
 * Signing through ports: what comes out verifies, and when a port lies nothing comes out.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { describe, expect, test } from "vitest"
import { GitsignError } from "../../src/errors.ts"
import { joinSignedObject, objectId } from "../../src/formats/git-object.ts"
import type { HashedRekord } from "../../src/formats/log-entry.ts"
import { createCredential, type SignRequest, sign } from "../../src/sign/sign.ts"
import { verifySignature } from "../../src/verify/verify.ts"
import { IDENTITY, ISSUER, KEYS, seconds } from "../support/made/certificates.ts"
import { logEntry, OTHER_LOG, REKOR2, rekordBody } from "../support/made/log.ts"
import {
  certificateAuthority,
  credential,
  signRequest,
  TRUSTED_ROOT,
  timestampAuthority,
  toTransparencyLogEntry,
  transparencyLog,
} from "../support/made/ports.ts"
import { PAYLOAD } from "../support/made/signatures.ts"

/** The code that signing ends with. */
async function refusal(changes: Partial<SignRequest>): Promise<string> {
  try {
    await sign(await signRequest(changes))
  } catch (error) {
    if (error instanceof GitsignError) return error.code
    throw error
  }
  return expect.unreachable("something was signed")
}

describe("a signature", () => {
  test("in offline mode carries its log entry", async () => {
    const { der, armored, signer, summary, signingTime } = await sign(await signRequest())
    expect(summary).toMatchObject({ verdict: "verified", mode: "offline" })
    expect(signer).toMatchObject({ identity: IDENTITY, issuer: ISSUER })
    expect(signingTime).toEqual(seconds(1))
    for (const signature of [der, Buffer.from(armored)]) {
      expect(verifySignature({ payload: PAYLOAD, signature }, { trustedRoot: TRUSTED_ROOT }).verdict).toBe("verified")
    }
  })

  test("with a timestamp carries both", async () => {
    const { summary } = await sign(await signRequest({ timestamp: timestampAuthority }))
    expect(summary).toMatchObject({ verdict: "verified", mode: "offline", timestamps: [seconds(3)] })
  })

  test("with the payload in it", async () => {
    const { armored } = await sign(await signRequest({ detached: false }))
    const signed = { payload: undefined, signature: Buffer.from(armored) }
    expect(verifySignature(signed, { trustedRoot: TRUSTED_ROOT }).verdict).toBe("verified")
  })

  test.each([
    ["sha1", "gpgsig", PAYLOAD],
    ["sha256", "gpgsig-sha256", Buffer.from(PAYLOAD.toString().replace(/^tree \w+/, `tree ${"6e".repeat(32)}`))],
  ] as const)("in online mode logs the id that git will give the object (%s)", async (format, header, payload) => {
    const logged: HashedRekord[] = []
    const {
      armored,
      der,
      logEntry: entry,
      summary,
    } = await sign(
      await signRequest({
        mode: "online",
        payload,
        logEntry: (rekord) => {
          logged.push(rekord)
          return transparencyLog(rekord)
        },
      }),
    )
    const id = objectId("commit", joinSignedObject(payload, Buffer.from(armored), header), format)
    expect(logged.map(({ digest }) => Buffer.from(digest).toString("hex"))).toEqual([
      createHash("sha256").update(id).digest("hex"),
    ])
    expect(summary).toMatchObject({ verdict: "verified", mode: "online" })
    const alone = verifySignature({ payload, signature: der }, { trustedRoot: TRUSTED_ROOT })
    expect(alone.error?.code).toBe("ERR_LOG_ENTRY_UNAVAILABLE")
    const found = verifySignature({ payload, signature: der }, { trustedRoot: TRUSTED_ROOT, logEntry: entry })
    expect(found.verdict).toBe("verified")
  })

  test("in a log of Rekor v2 needs a timestamp", async () => {
    const rekor2 = async ({ digest, signature, certificateDer }: HashedRekord) =>
      toTransparencyLogEntry(logEntry(rekordBody(digest, signature, certificateDer, REKOR2), { log: REKOR2 }))
    expect(await refusal({ logEntry: rekor2 })).toBe("ERR_SELF_CHECK")
    const { summary } = await sign(await signRequest({ logEntry: rekor2, timestamp: timestampAuthority }))
    expect(summary.verdict).toBe("verified")
  })

  test("no two are alike, and one key makes many", async () => {
    const request = await signRequest()
    const [one, other] = [await sign(request), await sign(request)]
    expect(one.armored).not.toBe(other.armored)
    expect(one.signer.fingerprint).toBe(other.signer.fingerprint)
  })
})

describe("nothing is returned", () => {
  const entryFor = (change: (rekord: HashedRekord) => HashedRekord) => (rekord: HashedRekord) =>
    transparencyLog(change(rekord))
  const digest = createHash("sha256").update("something else").digest()

  test.each<[string, Partial<SignRequest>]>([
    ["the log has an entry for another digest", { logEntry: entryFor((rekord) => ({ ...rekord, digest })) }],
    ["the log has an entry for another signature", { logEntry: entryFor((r) => ({ ...r, signature: r.digest })) }],
    [
      "the entry has no proof",
      { logEntry: async (r) => ({ ...(await transparencyLog(r)), inclusionProof: undefined }) },
    ],
    [
      "the entry has no promise",
      { logEntry: async (r) => ({ ...(await transparencyLog(r)), inclusionPromise: undefined }) },
    ],
    [
      "the entry is of another time",
      { logEntry: async (r) => ({ ...(await transparencyLog(r)), integratedTime: 1n }) },
    ],
    [
      "the entry is of another log",
      { logEntry: async (r) => ({ ...(await transparencyLog(r)), logId: OTHER_LOG.id }) },
    ],
    ["the log id is cut", { logEntry: async (r) => ({ ...(await transparencyLog(r)), logId: Buffer.alloc(3) }) }],
    ["the timestamp is over something else", { timestamp: () => timestampAuthority(Buffer.from("something else")) }],
    ["the timestamp is garbage", { timestamp: async () => Buffer.from("garbage") }],
    ["the timestamp is empty", { timestamp: async () => Buffer.alloc(0) }],
    [
      "the clock is ahead and the log trusts it not",
      {
        logEntry: async (r) =>
          toTransparencyLogEntry(logEntry(rekordBody(r.digest, r.signature, r.certificateDer), { time: seconds(700) })),
      },
    ],
  ])("when %s", async (_, changes) => {
    expect(await refusal(changes)).toBe("ERR_SELF_CHECK")
    if (changes.timestamp === undefined) expect(await refusal({ ...changes, mode: "online" })).toBe("ERR_SELF_CHECK")
  })

  test.each([
    ["nobody trusts the certificate authority", { signer: KEYS.stranger }],
    ["the certificate has no SCT", { scts: () => [] }],
    ["the certificate is not for code signing", { extKeyUsage: [] }],
    ["the certificate names nobody", { subjectAltName: [] }],
    ["the certificate has expired", { notBefore: seconds(-3600) }],
  ])("when %s", async (_, options) => {
    expect(await refusal({ credential: await credential(options) })).toBe("ERR_SELF_CHECK")
  })

  test("and the message tells of a clock that is wrong", async () => {
    const request = await signRequest({ credential: await credential({ notBefore: seconds(-3600) }) })
    await expect(sign(request)).rejects.toThrow("this machine's clock says 2026-03-01T12:00:01.000Z")
  })

  test("when a port fails, with its own error, and nothing is logged without its timestamp", async () => {
    let logged = 0
    const request = await signRequest({
      timestamp: () => Promise.reject(new GitsignError("ERR_TSA", "no answer")),
      logEntry: (rekord) => {
        logged++
        return transparencyLog(rekord)
      },
    })
    await expect(sign(request)).rejects.toMatchObject({ code: "ERR_TSA" })
    expect(logged).toBe(0)
    expect(await refusal({ logEntry: () => Promise.reject(new GitsignError("ERR_REKOR", "no answer")) })).toBe(
      "ERR_REKOR",
    )
  })

  test("in online mode over something that git would not sign", async () => {
    expect(await refusal({ mode: "online", payload: Buffer.from("hello\n") })).toBe("ERR_GIT_OBJECT")
  })
})

describe("a certificate authority's answer is refused", () => {
  const refused = async (certificates: readonly Uint8Array[]): Promise<void> => {
    await expect(createCredential("token", async () => ({ certificates }))).rejects.toMatchObject({
      code: "ERR_FULCIO",
    })
  }

  test("when it is for another key", async () => refused([(await credential()).certificate.der]))
  test("when it is empty", () => refused([]))
  test("when it is garbage", () => refused([Buffer.from("garbage")]))
  test("when its claims cannot be read", async () => {
    const issue = certificateAuthority({ subjectAltName: [Buffer.of(0x30, 0)] })
    await expect(createCredential("token", issue)).rejects.toMatchObject({ code: "ERR_FULCIO" })
  })
})
