/**
 * What the agent signs, and what it does when servers or clients fail.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { LIMITS } from "../../cache-daemon/protocol.ts"
import { parseCertificate } from "../../src/formats/x509.ts"
import { createHttpClient } from "../../src/services/http.ts"
import { createRekorClient } from "../../src/services/rekor.ts"
import { verifySignature } from "../../src/verify/verify.ts"
import { barrier, type Client, expectLast, nowhere, PAYLOAD } from "./agent-world.ts"
import type { ContractTools } from "./contract.ts"

export function signingContract({ world, agent, client }: ContractTools): void {
  const verdict = (signature: Uint8Array, payload: Uint8Array | undefined = PAYLOAD) =>
    verifySignature({ payload, signature }, { trustedRoot: world().trustedRoot })

  /** A client of an agent that has a credential for the usual key. */
  const warmClient = async (): Promise<Client> => {
    const one = await client()
    expectLast(await world().tell(one, world().warmRequest()), "ready")
    return one
  }

  describe("signing", () => {
    test("a cold agent asks for a token once, then signs what verifies", async () => {
      const one = await client()
      const cold = await world().tell(one, world().signRequest())
      expect(cold.types).toEqual(["token_needed", "logging", "signed"])
      const signed = expectLast(cold, "signed")
      expect(verdict(signed.signature)).toMatchObject({ verdict: "verified", mode: "offline" })
      expect(parseCertificate(signed.certificate).subjectAltNames).toEqual([
        { type: "email", value: "dev@example.com" },
      ])
      expect(Math.abs(signed.signingTime * 1000 - Date.now())).toBeLessThan(60_000)

      const warm = await world().tell(one, world().signRequest())
      expect(warm.types).toEqual(["logging", "signed"])
      expect(expectLast(warm, "signed").fingerprint).toBe(signed.fingerprint)
      expect(verdict(expectLast(warm, "signed").signature).verdict).toBe("verified")
    })

    test("a signature holds for its payload only", async () => {
      const signed = expectLast(await world().tell(await client(), world().signRequest()), "signed")
      expect(verdict(signed.signature, Buffer.from(`${PAYLOAD}more`)).verdict).toBe("failed")
    })

    test("the payload goes into a signature that is not detached", async () => {
      const request = world().signRequest({ detached: false })
      const { signature } = expectLast(await world().tell(await client(), request), "signed")
      expect(Buffer.from(signature).includes(PAYLOAD)).toBe(true)
      expect(verifySignature({ payload: undefined, signature }, { trustedRoot: world().trustedRoot }).verdict).toBe(
        "verified",
      )
    })

    test("online mode logs the object and not the signature", async () => {
      const request = world().signRequest({ mode: "online" })
      const { signature, certificate } = expectLast(await world().tell(await client(), request), "signed")
      expect(verdict(signature).error?.code).toBe("ERR_LOG_ENTRY_UNAVAILABLE")
      const http = createHttpClient({ userAgent: "gitsign/test" })
      const rekor = createRekorClient({ url: world().sandbox.urls.rekor, http })
      const [uuid = ""] = await rekor.searchByCertificate(certificate)
      const logEntry = await rekor.getLogEntry(uuid)
      http.close()
      const options = { trustedRoot: world().trustedRoot, logEntry }
      expect(verifySignature({ payload: PAYLOAD, signature }, options)).toMatchObject({ verdict: "verified" })
    })

    test("a timestamp server of the key stamps each signature", async () => {
      const key = world().key({ timestampServer: world().sandbox.urls.timestamp })
      const { signature } = expectLast(await world().tell(await client(), world().signRequest({ key })), "signed")
      expect(verdict(signature)).toMatchObject({ verdict: "verified", timestamps: [expect.any(Date)] })
    })

    test("the largest payload is signed", async () => {
      const payload = Buffer.concat([PAYLOAD, Buffer.alloc(LIMITS.payload - PAYLOAD.length, "x")])
      const told = await world().tell(await client(), world().signRequest({ payload }))
      expect(verdict(expectLast(told, "signed").signature, payload).verdict).toBe("verified")
    })

    test("files that say what to trust are read before anybody logs in, and spoil nothing for others", async () => {
      const one = await client()
      const trust = { ...world().trust, trustedRoot: "{" }
      const told = await world().tell(one, world().signRequest({ trust }))
      expect(told.types).toEqual(["error"])
      expect(expectLast(told, "error").code).toBe("ERR_TRUSTED_ROOT")
      expectLast(await world().tell(one, world().signRequest()), "signed")
    })

    test("what another trusted root does not verify is not handed out", async () => {
      const one = await warmClient()
      const trust = { ...world().trust, trustedRoot: undefined }
      const told = await world().tell(one, world().signRequest({ trust }))
      expect(expectLast(told, "error").code).toBe("ERR_SELF_CHECK")
      expectLast(await world().tell(one, world().signRequest()), "signed")
    })
  })

  describe("when a server fails", () => {
    test("a log that is down fails the signature and nothing else", async () => {
      const one = await client()
      const key = world().key({ rekor: await nowhere() })
      const told = await world().tell(one, world().signRequest({ key }))
      expect(expectLast(told, "error")).toMatchObject({
        code: "ERR_NETWORK",
        message: expect.stringMatching(/refused/),
      })
      const list = expectLast(await world().tell(one, { type: "list" }), "list")
      expect(list.credentials).toMatchObject([{ identity: "dev@example.com" }])
      expectLast(await world().tell(one, world().signRequest()), "signed")
    })

    test("a log that does not answer fails the signature in time", { timeout: 40_000 }, async () => {
      const one = await agent()
      const { url } = await barrier(world().sandbox.urls.rekor)
      const [slow, other] = [await one.connect(), await one.connect()]
      const waiting = world().tell(slow, world().signRequest({ key: world().key({ rekor: url }) }))
      expectLast(await world().tell(other, world().signRequest()), "signed")
      const error = expectLast(await waiting, "error")
      expect(error).toMatchObject({ code: "ERR_NETWORK", message: expect.stringMatching(/did not answer within/) })
      expectLast(await world().tell(slow, world().signRequest()), "signed")
    })

    test("a timestamp server that is down leaves nothing in the log", async () => {
      const key = world().key({ timestampServer: await nowhere() })
      const before = (await world().entries()).rekor
      const told = await world().tell(await client(), world().signRequest({ key }))
      expect(expectLast(told, "error").code).toBe("ERR_NETWORK")
      expect(told.types).not.toContain("logging")
      expect((await world().entries()).rekor).toBe(before)
    })
  })

  describe("when the client goes", () => {
    test("before the upload, nothing gets into the log", async () => {
      const one = await agent()
      const { url, reached, open } = await barrier(world().sandbox.urls.timestamp)
      const key = world().key({ timestampServer: url })
      const leaving = await one.connect()
      expectLast(await world().tell(leaving, world().warmRequest({ key })), "ready")
      const before = (await world().entries()).rekor
      leaving.send(world().signRequest({ key }))
      await reached
      leaving.close()
      open()
      const other = await one.connect()
      expectLast(await world().tell(other, world().signRequest({ key })), "signed")
      expect((await world().entries()).rekor).toBe(before + 1)
      const list = expectLast(await world().tell(other, { type: "list" }), "list")
      expect(list.credentials).toMatchObject([{ signatures: 1, unclaimed: 0 }])
    })

    test("right after it has asked, nothing gets into the log that is not counted", async () => {
      const one = await agent()
      const [leaving, other] = [await one.connect(), await one.connect()]
      expectLast(await world().tell(other, world().warmRequest()), "ready")
      const before = (await world().entries()).rekor
      leaving.send(world().signRequest())
      leaving.close()
      for (let times = 0; times < 5; times++) expectLast(await world().tell(other, world().signRequest()), "signed")
      // A process may be held up between the two, and the agent be quicker.
      const [credential] = expectLast(await world().tell(other, { type: "list" }), "list").credentials
      expect((await world().entries()).rekor).toBe(before + 5 + (credential?.unclaimed ?? 0))
    })

    test("after the upload has begun, the entry is counted as unclaimed and told in the log", async () => {
      const one = await agent()
      const { url, reached, open } = await barrier(world().sandbox.urls.rekor)
      const key = world().key({ rekor: url })
      const [leaving, other] = [await one.connect(), await one.connect()]
      expectLast(await world().tell(leaving, world().warmRequest({ key })), "ready")
      const before = (await world().entries()).rekor
      leaving.send(world().signRequest({ key }))
      expect(await world().hear(leaving)).toEqual({ type: "logging" })
      await reached
      leaving.close()
      open()
      await expect
        .poll(async () => expectLast(await world().tell(other, { type: "list" }), "list").credentials, {
          timeout: 5000,
        })
        .toMatchObject([{ signatures: 1, unclaimed: 1 }])
      expect((await world().entries()).rekor).toBe(before + 1)
      await expect
        .poll(() => one.logged(), { timeout: 5000 })
        .toMatch(/^.*entry \d+ of .* is for a client that is gone$/m)
    })
  })

  describe("consent", () => {
    test("is asked for with what the payload says and who will sign, and given", async () => {
      const told = await world().tell(await client(), world().signRequest({ confirm: true }))
      expect(told.types).toEqual(["token_needed", "consent_needed", "logging", "signed"])
      const text = told.replies.find((reply) => reply.type === "consent_needed")?.text
      expect(text).toContain("a commit")
      expect(text).toContain("dev@example.com")
    })

    test("is refused: nothing is signed or logged, and the next one is asked about again", async () => {
      const one = await warmClient()
      const before = (await world().entries()).rekor
      const refused = await world().tell(one, world().signRequest({ confirm: true }), { granted: false })
      expect(refused.types).toEqual(["consent_needed", "error"])
      expect(expectLast(refused, "error").code).toBe("ERR_AGENT_REFUSED")
      expect((await world().entries()).rekor).toBe(before)
      const granted = await world().tell(one, world().signRequest({ confirm: true }))
      expect(granted.types).toEqual(["consent_needed", "logging", "signed"])
    })

    test("is not given by something else, nor by a client that goes", async () => {
      const one = await agent()
      const [odd, leaving, other] = [await one.connect(), await one.connect(), await one.connect()]
      expectLast(await world().tell(other, world().warmRequest()), "ready")
      const before = (await world().entries()).rekor
      odd.send(world().signRequest({ confirm: true }))
      expect((await world().hear(odd)).type).toBe("consent_needed")
      odd.send({ type: "token", identityToken: await world().token() })
      // Not ERR_AGENT, for which a client signs without the agent.
      expect(await world().hear(odd)).toMatchObject({ type: "error", code: "ERR_AGENT_REFUSED" })
      leaving.send(world().signRequest({ confirm: true }))
      expect((await world().hear(leaving)).type).toBe("consent_needed")
      leaving.close()
      expectLast(await world().tell(other, world().signRequest()), "signed")
      expect((await world().entries()).rekor).toBe(before + 1)
    })
  })
}
