/**
 * Who logs in, who waits, and who gets which credential.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import type { CredentialKey } from "../../cache-daemon/protocol.ts"
import { type AgentUnderTest, type Client, expectLast, nowhere } from "./agent-world.ts"
import type { ContractTools } from "./contract.ts"

export function loginContract({ world, agent, client }: ContractTools): void {
  const clients = (one: AgentUnderTest, count: number): Promise<Client[]> =>
    Promise.all(Array.from({ length: count }, () => one.connect()))

  /** Sends a signature request and returns the first reply. */
  const begin = async (one: Client, key = world().key()): Promise<string> => {
    one.send(world().signRequest({ key }))
    return (await world().hear(one)).type
  }

  /** Hears a client out, from where it is. */
  const finish = async (one: Client): Promise<string> => {
    for (;;) {
      const reply = await world().hear(one)
      if (reply.type === "error") return reply.code
      if (reply.type !== "waiting" && reply.type !== "logging") return reply.type
    }
  }

  describe("one login", () => {
    test("serves fifty commits at once on an empty agent", { timeout: 60_000 }, async () => {
      const all = await clients(await agent(), 50)
      const before = (await world().entries()).ctLog
      const told = await Promise.all(all.map((one) => world().tell(one, world().signRequest())))
      expect(told.filter(({ types }) => types.includes("token_needed"))).toHaveLength(1)
      expect(new Set(told.map((one) => expectLast(one, "signed").fingerprint)).size).toBe(1)
      expect((await world().entries()).ctLog).toBe(before + 1)
    })

    test("goes to the next client when the first one goes", async () => {
      const [first, second, third] = (await clients(await agent(), 3)) as [Client, Client, Client]
      expect(await begin(first)).toBe("token_needed")
      expect(await begin(second)).toBe("waiting")
      expect(await begin(third)).toBe("waiting")
      second.close()
      first.close()
      expect((await world().hear(third)).type).toBe("token_needed")
      third.send({ type: "token", identityToken: await world().token() })
      expect(await finish(third)).toBe("signed")
    })

    test("goes to the next client when the first one cannot ask anybody, who is then served too", async () => {
      const [first, second] = (await clients(await agent(), 2)) as [Client, Client]
      expect(await begin(first)).toBe("token_needed")
      expect(await begin(second)).toBe("waiting")
      first.send({ type: "no_token", outcome: "elsewhere", code: "ERR_NO_TOKEN", message: "nobody is here" })
      expect((await world().hear(second)).type).toBe("token_needed")
      expect((await world().hear(first)).type).toBe("waiting")
      second.send({ type: "token", identityToken: await world().token() })
      expect(await Promise.all([finish(first), finish(second)])).toEqual(["signed", "signed"])
    })

    test("fails where nobody can be asked, each with its own reason", async () => {
      const [first, second] = (await clients(await agent(), 2)) as [Client, Client]
      expect(await begin(first)).toBe("token_needed")
      expect(await begin(second)).toBe("waiting")
      first.send({ type: "no_token", outcome: "elsewhere", code: "ERR_NO_TOKEN", message: "nobody is here" })
      expect((await world().hear(second)).type).toBe("token_needed")
      second.send({ type: "no_token", outcome: "elsewhere", code: "ERR_NO_TOKEN", message: "nor here" })
      expect((await world().hear(first)).type).toBe("waiting")
      expect(await world().hear(first)).toMatchObject({
        type: "error",
        code: "ERR_NO_TOKEN",
        message: "nobody is here",
      })
      expect(await world().hear(second)).toMatchObject({ type: "error", code: "ERR_NO_TOKEN", message: "nor here" })
    })

    test("that failed is told to all who waited, on one line and without a token", async () => {
      const [first, second] = (await clients(await agent(), 2)) as [Client, Client]
      expect(await begin(first)).toBe("token_needed")
      expect(await begin(second)).toBe("waiting")
      const message = `the person\nsaid no to ${await world().token()}`
      first.send({ type: "no_token", outcome: "failed", code: "ERR_CANCELLED", message })
      for (const one of [first, second]) {
        const error = { type: "error", code: "ERR_CANCELLED", message: "the person said no to (token)" }
        expect(await world().hear(one)).toMatchObject(error)
      }
      expectLast(await world().tell(second, world().signRequest()), "signed")
    })

    test("with a token that Fulcio does not take fails for its sender and all who waited, and the agent goes on", async () => {
      const [first, second] = (await clients(await agent(), 2)) as [Client, Client]
      expect(await begin(first)).toBe("token_needed")
      expect(await begin(second)).toBe("waiting")
      const identityToken = await world().sandbox.token({ audience: "somebody-else" })
      first.send({ type: "token", identityToken })
      expect(await Promise.all([finish(first), finish(second)])).toEqual(["ERR_TOKEN", "ERR_TOKEN"])
      const status = expectLast(await world().tell(first, { type: "status" }), "status")
      expect(status).toMatchObject({ state: "cold", credentials: 0 })
      expectLast(await world().tell(second, world().signRequest()), "signed")
    })

    test("with something that is no token at all fails before anything is sent", async () => {
      const told = await world().tell(await client(), world().signRequest(), { token: "not a token" })
      expect(expectLast(told, "error").code).toBe("ERR_TOKEN")
    })

    test("is over when the client says something else than a token", async () => {
      const [first, second] = (await clients(await agent(), 2)) as [Client, Client]
      expect(await begin(first)).toBe("token_needed")
      expect(await begin(second)).toBe("waiting")
      first.send({ type: "consent", granted: true })
      expect(await world().hear(first)).toMatchObject({ type: "error", code: "ERR_AGENT" })
      expect((await world().hear(second)).type).toBe("token_needed")
    })

    test("at a Fulcio that is down fails with its reason", async () => {
      const key = world().key({ fulcio: await nowhere() })
      const told = await world().tell(await client(), world().signRequest({ key }))
      expect(expectLast(told, "error").code).toBe("ERR_NETWORK")
    })
  })

  describe("a credential", () => {
    const changes: Partial<CredentialKey>[] = [
      { fulcio: "http://127.0.0.1:1" },
      { rekor: "http://127.0.0.1:1" },
      { timestampServer: "http://127.0.0.1:1" },
      { issuer: "https://issuer.example.com" },
      { clientID: "another" },
      { connectorID: "https://github.com/login/oauth" },
      { tokenProvider: "envvar" },
      { tokenIdentity: "somebody" },
      { committerEmail: "dev@example.com" },
      { committerName: "A Developer" },
      { matchCommitter: true },
      { repository: "/somewhere/.git" },
    ]

    test("is for exactly its key: a difference in any field asks for a login", async () => {
      expect(changes.flatMap(Object.keys).sort()).toEqual(Object.keys(world().key()).sort())
      const one = await agent()
      const first = await one.connect()
      expectLast(await world().tell(first, world().warmRequest()), "ready")
      for (const change of changes) {
        const other = await one.connect()
        expect(await begin(other, world().key(change)), JSON.stringify(change)).toBe("token_needed")
        other.close()
      }
      expect((await world().tell(first, world().signRequest())).types).toEqual(["logging", "signed"])
    })

    test("of one repository is not used in another", async () => {
      const one = await client()
      const [a, b] = ["/a/.git", "/b/.git"].map((repository) => world().key({ repository }))
      const first = expectLast(await world().tell(one, world().signRequest({ key: a ?? world().key() })), "signed")
      const second = expectLast(await world().tell(one, world().signRequest({ key: b ?? world().key() })), "signed")
      expect(second.fingerprint).not.toBe(first.fingerprint)
      const list = expectLast(await world().tell(one, { type: "list" }), "list")
      expect(list.credentials.map(({ repository }) => repository)).toEqual(["/a/.git", "/b/.git"])
    })

    test("that does not name the committer is not kept", async () => {
      const one = await client()
      const key = world().key({ matchCommitter: true, committerEmail: "other@example.com", committerName: "Other" })
      const told = await world().tell(one, world().signRequest({ key }))
      expect(expectLast(told, "error")).toMatchObject({ code: "ERR_COMMITTER" })
      expect(expectLast(await world().tell(one, { type: "status" }), "status").state).toBe("cold")
      const right = world().key({ ...key, committerEmail: "dev@example.com" })
      expectLast(await world().tell(one, world().signRequest({ key: right })), "signed")
    })

    /** For each of some signatures one after the other, whether it took a login. */
    const logins = async (one: Client, count: number, limits = { signatures: 0, lifetime: 0 }): Promise<boolean[]> => {
      const needed: boolean[] = []
      for (let made = 0; made < count; made++) {
        const told = await world().tell(one, world().signRequest({ limits }))
        expectLast(told, "signed")
        needed.push(told.types.includes("token_needed"))
      }
      return needed
    }

    test("makes no more signatures than the client allows", async () => {
      const one = await client()
      expect(await logins(one, 5, { signatures: 2, lifetime: 0 })).toEqual([true, false, true, false, true])
      const { credentials } = expectLast(await world().tell(one, { type: "list" }), "list")
      expect(credentials).toMatchObject([{ signatures: 1, remaining: 1 }])
    })

    test("makes no more signatures than the agent allows, also when they are asked for at once", async () => {
      const one = await agent({ signatures: 3 })
      const all = await clients(one, 7)
      const told = await Promise.all(all.map((each) => world().tell(each, world().signRequest())))
      const uses = new Map<string, number>()
      for (const each of told) {
        const { fingerprint } = expectLast(each, "signed")
        uses.set(fingerprint, (uses.get(fingerprint) ?? 0) + 1)
      }
      expect([...uses.values()].sort()).toEqual([1, 3, 3])
      expect(told.filter(({ types }) => types.includes("token_needed"))).toHaveLength(3)
    })

    test.each([
      ["the client's", 0, 1],
      ["the agent's", 1, 0],
      ["the shorter", 600, 1],
    ])("is forgotten after %s lifetime", async (_, own, asked) => {
      const one = await client({ lifetime: own })
      expect(await logins(one, 1, { signatures: 0, lifetime: asked })).toEqual([true])
      await new Promise((resolve) => setTimeout(resolve, 1100))
      expect(await logins(one, 1, { signatures: 0, lifetime: asked })).toEqual([true])
    })
  })
}
