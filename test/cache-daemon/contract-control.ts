/**
 * What people tell the agent to do, and what the restricted socket does not do.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import type { Request } from "../../cache-daemon/protocol.ts"
import { type AgentUnderTest, barrier, type Client, expectLast } from "./agent-world.ts"
import type { ContractTools } from "./contract.ts"

export function controlContract({ world, agent, client }: ContractTools): void {
  const passphrase = (text: string): string => {
    world().secrets.push(text)
    return text
  }

  const stateOf = async (one: Client): Promise<string> =>
    expectLast(await world().tell(one, { type: "status" }), "status").state

  const codeOf = async (one: Client, request: Request): Promise<string> =>
    expectLast(await world().tell(one, request), "error").code

  describe("status and list", () => {
    test("tell what is held, and how often it was used", async () => {
      const one = await client()
      expect(expectLast(await world().tell(one, { type: "list" }), "list").credentials).toEqual([])
      expect(await stateOf(one)).toBe("cold")
      const warm = await world().tell(one, world().warmRequest())
      expect(warm.types).toEqual(["token_needed", "ready"])
      expect((await world().tell(one, world().warmRequest())).types).toEqual(["ready"])
      const signed = expectLast(await world().tell(one, world().signRequest()), "signed")
      const { credentials } = expectLast(await world().tell(one, { type: "list" }), "list")
      const { fulcio, rekor, issuer } = world().sandbox.urls
      expect(credentials).toEqual([
        {
          identity: "dev@example.com",
          issuer,
          fingerprint: signed.fingerprint,
          fulcio,
          rekor,
          repository: "",
          tokenProvider: "interactive",
          committer: "",
          notAfter: expect.any(Number),
          expires: credentials[0]?.notAfter,
          signatures: 1,
          unclaimed: 0,
          remaining: 0,
        },
      ])
      const left = (credentials[0]?.notAfter ?? 0) - Date.now() / 1000
      expect(left).toBeGreaterThan(500)
      expect(left).toBeLessThan(660)
      const status = expectLast(await world().tell(one, { type: "status" }), "status")
      expect(status).toMatchObject({ state: "warm", credentials: 1, restricted: false })
      expect(status.program).toMatch(/^gitsign /)
      expect(Math.abs(status.started - Date.now() / 1000)).toBeLessThan(300)
    })

    test("clear forgets everything", async () => {
      const one = await client()
      const first = expectLast(await world().tell(one, world().signRequest()), "signed")
      expectLast(await world().tell(one, { type: "clear" }), "done")
      expect(await stateOf(one)).toBe("cold")
      const again = await world().tell(one, world().signRequest())
      expect(again.types).toContain("token_needed")
      expect(expectLast(again, "signed").fingerprint).not.toBe(first.fingerprint)
    })

    test("an answer that nobody asked for is refused", async () => {
      const one = await client()
      expect(await codeOf(one, { type: "consent", granted: true })).toBe("ERR_AGENT")
      expect(await codeOf(one, { type: "token", identityToken: await world().token() })).toBe("ERR_AGENT")
      expect(await stateOf(one)).toBe("cold")
    })
  })

  describe("lock", () => {
    test("drops the credentials and lets nobody sign until the pass phrase comes", async () => {
      const one = await client()
      expectLast(await world().tell(one, world().warmRequest()), "ready")
      expectLast(await world().tell(one, { type: "lock", passphrase: passphrase("correct horse") }), "done")
      expect(await stateOf(one)).toBe("locked")
      expect(expectLast(await world().tell(one, { type: "list" }), "list").credentials).toEqual([])
      expect(await codeOf(one, world().signRequest())).toBe("ERR_AGENT_LOCKED")
      expect(await codeOf(one, world().warmRequest())).toBe("ERR_AGENT_LOCKED")
      expect(await codeOf(one, { type: "lock", passphrase: passphrase("battery staple") })).toBe("ERR_AGENT_LOCKED")
      expect(await codeOf(one, { type: "unlock", passphrase: passphrase("battery staple") })).toBe("ERR_AGENT_REFUSED")
      expect(await codeOf(one, { type: "unlock", passphrase: "" })).toBe("ERR_AGENT_REFUSED")
      expectLast(await world().tell(one, { type: "clear" }), "done")
      expect(await stateOf(one)).toBe("locked")
      expectLast(await world().tell(one, { type: "unlock", passphrase: "correct horse" }), "done")
      expect(await stateOf(one)).toBe("cold")
      expectLast(await world().tell(one, world().signRequest()), "signed")
    })

    test("needs a pass phrase, and something to unlock", async () => {
      const one = await client()
      expect(await codeOf(one, { type: "lock", passphrase: "" })).toBe("ERR_AGENT_REFUSED")
      expect(await codeOf(one, { type: "unlock", passphrase: "x" })).toBe("ERR_AGENT_REFUSED")
      expect(await stateOf(one)).toBe("cold")
    })

    test("makes each wrong pass phrase take longer than the one before", async () => {
      const one = await client()
      expectLast(await world().tell(one, { type: "lock", passphrase: passphrase("correct horse") }), "done")
      const spans: number[] = []
      for (let tries = 0; tries < 3; tries++) {
        const start = performance.now()
        expect(await codeOf(one, { type: "unlock", passphrase: passphrase("wrong donkey") })).toBe("ERR_AGENT_REFUSED")
        spans.push(performance.now() - start)
      }
      expect(spans[0]).toBeGreaterThan(240)
      expect(spans[2]).toBeGreaterThan(900)
    })

    test("ends a login that is going on, for the one who logs in and for all who wait", async () => {
      const one = await agent()
      const [first, second, third] = [await one.connect(), await one.connect(), await one.connect()]
      first.send(world().signRequest())
      expect((await world().hear(first)).type).toBe("token_needed")
      second.send(world().signRequest())
      expect((await world().hear(second)).type).toBe("waiting")
      expectLast(await world().tell(third, { type: "lock", passphrase: passphrase("correct horse") }), "done")
      expect(await world().hear(first)).toMatchObject({ type: "error", code: "ERR_AGENT_LOCKED" })
      expect(await world().hear(second)).toMatchObject({ type: "error", code: "ERR_AGENT_LOCKED" })
      // The token that was on its way is no answer to anything any more, and what comes next is.
      first.send({ type: "token", identityToken: await world().token() })
      expect(await stateOf(first)).toBe("locked")
      expectLast(await world().tell(third, { type: "unlock", passphrase: "correct horse" }), "done")
      expect(await stateOf(second)).toBe("cold")
    })

    test("reaches a signature that is being made", async () => {
      const one = await agent()
      const { url, reached, open } = await barrier(world().sandbox.urls.timestamp)
      const key = world().key({ timestampServer: url })
      const [signing, other] = [await one.connect(), await one.connect()]
      expectLast(await world().tell(signing, world().warmRequest({ key })), "ready")
      const before = (await world().entries()).rekor
      const told = world().tell(signing, world().signRequest({ key }))
      await reached
      expectLast(await world().tell(other, { type: "lock", passphrase: passphrase("correct horse") }), "done")
      open()
      expect(expectLast(await told, "error").code).toBe("ERR_AGENT_LOCKED")
      expect((await world().entries()).rekor).toBe(before)
    })
  })

  describe("the restricted socket", () => {
    /** A warm agent, and a connection for other hosts. */
    const forwarded = async (): Promise<{ one: AgentUnderTest; near: Client; far: Client }> => {
      const one = await agent()
      return { one, near: await one.connect(), far: await one.connect({ restricted: true }) }
    }

    test("signs with a credential that is there, whatever the other host says of logins and trust", async () => {
      const { near, far } = await forwarded()
      const made = expectLast(await world().tell(near, world().warmRequest()), "ready").credential
      const key = world().key({
        tokenProvider: "envvar",
        tokenIdentity: "x",
        connectorID: "y",
        repository: "/elsewhere/.git",
      })
      const trust = { ...world().trust, trustedRoot: "{" }
      const told = await world().tell(far, world().signRequest({ key, trust }))
      expect(told.types).toEqual(["logging", "signed"])
      expect(expectLast(told, "signed").fingerprint).toBe(made.fingerprint)
    })

    test("never asks for a token", async () => {
      const { near, far } = await forwarded()
      expect(await codeOf(far, world().signRequest())).toBe("ERR_AGENT_COLD")
      expectLast(await world().tell(near, world().warmRequest()), "ready")
      for (const field of ["fulcio", "rekor", "timestampServer"] as const) {
        const key = world().key({ [field]: "http://127.0.0.1:1" })
        expect(await codeOf(far, world().signRequest({ key })), field).toBe("ERR_AGENT_COLD")
      }
      for (const field of ["issuer", "clientID"] as const) {
        const key = world().key({ [field]: "other" })
        expect(await codeOf(far, world().signRequest({ key })), field).toBe("ERR_AGENT_COLD")
      }
    })

    test("signs for the committer, and for nobody where that is not clear", async () => {
      const { near, far } = await forwarded()
      for (const email of ["one@example.com", "two@example.com"]) {
        const request = world().warmRequest({ key: world().key({ tokenIdentity: email }) })
        expectLast(await world().tell(near, request, { token: await world().token(email) }), "ready")
      }
      const unclear = expectLast(await world().tell(far, world().signRequest()), "error")
      expect(unclear).toMatchObject({ code: "ERR_AGENT_COLD", hint: expect.stringContaining("gitsign.matchCommitter") })
      const key = world().key({ matchCommitter: true, committerEmail: "two@example.com" })
      expectLast(await world().tell(far, world().signRequest({ key })), "signed")
      const list = expectLast(await world().tell(near, { type: "list" }), "list")
      expect(list.credentials.map(({ identity, signatures }) => [identity, signatures])).toEqual([
        ["one@example.com", 0],
        ["two@example.com", 1],
      ])
      const stranger = world().key({ matchCommitter: true, committerEmail: "three@example.com" })
      expect(await codeOf(far, world().signRequest({ key: stranger }))).toBe("ERR_AGENT_COLD")
    })

    test("does nothing else, and tells nobody's name", async () => {
      const { near, far } = await forwarded()
      expectLast(await world().tell(near, world().warmRequest()), "ready")
      const requests: Request[] = [
        world().warmRequest(),
        { type: "list" },
        { type: "lock", passphrase: "x" },
        { type: "unlock", passphrase: "x" },
        { type: "clear" },
        { type: "stop" },
        { type: "token", identityToken: await world().token() },
      ]
      for (const request of requests) expect(await codeOf(far, request), request.type).toBe("ERR_AGENT_REFUSED")
      const status = expectLast(await world().tell(far, { type: "status" }), "status")
      expect(status).toMatchObject({ state: "warm", credentials: 1, restricted: true })
      expect(JSON.stringify(status)).not.toContain("example.com")
      expect(await stateOf(near)).toBe("warm")
    })

    test("asks nobody at the other host for consent", async () => {
      const { near, far } = await forwarded()
      expectLast(await world().tell(near, world().warmRequest()), "ready")
      const before = (await world().entries()).rekor
      const told = await world().tell(far, world().signRequest({ confirm: true }))
      expect(told.types).toEqual(["error"])
      expect(expectLast(told, "error").code).toBe("ERR_AGENT_REFUSED")
      expect((await world().entries()).rekor).toBe(before)
    })

    test("is locked with the rest", async () => {
      const { near, far } = await forwarded()
      expectLast(await world().tell(near, world().warmRequest()), "ready")
      expectLast(await world().tell(near, { type: "lock", passphrase: passphrase("correct horse") }), "done")
      expect(await codeOf(far, world().signRequest())).toBe("ERR_AGENT_LOCKED")
      expect(await stateOf(far)).toBe("locked")
    })
  })
}
