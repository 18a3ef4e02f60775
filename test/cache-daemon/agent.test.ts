/**
 * What of the agent only shows with clocks that can be moved, or from inside its process.
 *
 * @module
 */

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest"
import type { AgentOptions } from "../../cache-daemon/agent.ts"
import type { Reply } from "../../cache-daemon/protocol.ts"
import { barrier, type Client, expectLast, World } from "./agent-world.ts"
import { type MemoryAgent, memoryAgent } from "./memory-agent.ts"

let world: World

beforeAll(async () => {
  world = await World.start()
})

afterAll(async () => {
  await world.close()
})

/** An agent until the test ends. */
function made(options: Partial<AgentOptions> = {}): MemoryAgent {
  const one = memoryAgent(options)
  onTestFinished(() => one.close())
  return one
}

/** Two clocks that stand still until they are moved. */
class Clocks {
  wall = Date.now()
  steady = 5000

  readonly options = { now: () => new Date(this.wall), monotonic: () => this.steady }

  /** Lets time pass as it does while a machine is awake and the agent ticks. */
  pass(seconds: number, { agent }: MemoryAgent): void {
    for (let left = seconds; left > 0; left -= 5) {
      this.wall += Math.min(left, 5) * 1000
      this.steady += Math.min(left, 5) * 1000
      agent.tick()
    }
  }
}

const stateOf = async (client: Client): Promise<string> =>
  expectLast(await world.tell(client, { type: "status" }), "status").state

const warm = async (one: MemoryAgent): Promise<Client> => {
  const client = await one.connect()
  expectLast(await world.tell(client, world.warmRequest()), "ready")
  return client
}

describe("time", () => {
  test("a certificate with less than 30 seconds left is renewed", async () => {
    const clocks = new Clocks()
    const one = made(clocks.options)
    const client = await one.connect()
    const { credential } = expectLast(await world.tell(client, world.warmRequest()), "ready")
    const left = credential.notAfter - Math.floor(clocks.wall / 1000)
    clocks.pass(left - 32, one)
    expect((await world.tell(client, world.signRequest())).types).toEqual(["logging", "signed"])
    expect(one.agent.isIdle).toBe(false)
    clocks.pass(3, one)
    await expect.poll(() => one.agent.isIdle).toBe(true)
    expect(await stateOf(client)).toBe("cold")
    expect(one.logged()).toMatch(/the credential dev@example\.com .* has ended/)
    const told = await world.tell(client, world.warmRequest())
    expect(told.types).toEqual(["token_needed", "ready"])
    expect(expectLast(told, "ready").credential.fingerprint).not.toBe(credential.fingerprint)
  })

  test("a clock that is wrong by more than a certificate lasts asks for one login each, and does not go round", async () => {
    const clocks = new Clocks()
    clocks.wall += 3_000_000
    const one = made(clocks.options)
    const client = await one.connect()
    const token = await world.sandbox.token({ ttlSeconds: 7200 })
    for (let times = 0; times < 2; times++) {
      const told = await world.tell(client, world.signRequest(), { token })
      expect(told.types).toEqual(["token_needed", "logging", "signed"])
    }
  })

  test.each([
    ["the wall clock goes on without us", (clocks: Clocks) => (clocks.wall += 66_000)],
    ["the steady clock goes on without us", (clocks: Clocks) => (clocks.steady += 66_000)],
    ["the wall clock is set back", (clocks: Clocks) => (clocks.wall -= 61_000)],
  ])("when %s, all keys are dropped", async (_, move) => {
    for (const notice of ["tick", "request"]) {
      const clocks = new Clocks()
      const one = made(clocks.options)
      const client = await warm(one)
      move(clocks)
      if (notice === "tick") one.agent.tick()
      expect(await stateOf(client), notice).toBe("cold")
      expect(one.logged()).toContain("dropped 1 credential: the machine slept, or its clock was moved")
    }
  })

  test("a minute without a look at the clock is not a suspend", async () => {
    const clocks = new Clocks()
    const one = made(clocks.options)
    const client = await warm(one)
    clocks.wall += 64_000
    clocks.steady += 64_000
    one.agent.tick()
    clocks.wall -= 59_000
    one.agent.tick()
    expect(await stateOf(client)).toBe("warm")
  })

  test("a suspend in the middle of a signature ends it before it is in the log", async () => {
    const clocks = new Clocks()
    const one = made(clocks.options)
    const { url, reached, open } = await barrier(world.sandbox.urls.timestamp)
    const key = world.key({ timestampServer: url })
    const client = await one.connect()
    expectLast(await world.tell(client, world.warmRequest({ key })), "ready")
    const before = (await world.entries()).rekor
    const told = world.tell(client, world.signRequest({ key }))
    await reached
    clocks.wall += 600_000
    one.agent.tick()
    open()
    expect(expectLast(await told, "error")).toMatchObject({
      code: "ERR_AGENT",
      message: expect.stringMatching(/slept/),
    })
    expect((await world.entries()).rekor).toBe(before)
  })
})

describe("the age of a credential is looked at again", () => {
  /** A timestamp server that holds up, and a key with it. */
  const held = async () => {
    const server = await barrier(world.sandbox.urls.timestamp)
    return { ...server, key: world.key({ timestampServer: server.url }) }
  }

  test.each([
    ["its lifetime", 35, 36],
    ["its certificate", 0, 596],
  ])("before the upload, and what outlived %s is made anew", async (_, lifetime, seconds) => {
    const clocks = new Clocks()
    const one = made(clocks.options)
    const { key, reached, open } = await held()
    const client = await one.connect()
    const limits = { signatures: 0, lifetime }
    const old = expectLast(await world.tell(client, world.warmRequest({ key, limits })), "ready").credential
    const before = (await world.entries()).rekor
    const signing = world.tell(client, world.signRequest({ key, confirm: true }))
    await reached
    clocks.pass(seconds, one)
    open()
    const told = await signing
    // Nobody is asked twice for the same signature.
    expect(told.types).toEqual(["consent_needed", "token_needed", "logging", "signed"])
    expect(expectLast(told, "signed").fingerprint).not.toBe(old.fingerprint)
    expect((await world.entries()).rekor).toBe(before + 1)
  })

  test("when its turn comes", async () => {
    const clocks = new Clocks()
    const one = made(clocks.options)
    const { key, requests, open } = await held()
    const first = await one.connect()
    const limits = { signatures: 0, lifetime: 35 }
    expectLast(await world.tell(first, world.warmRequest({ key, limits })), "ready")
    const clients = await Promise.all(Array.from({ length: 34 }, () => one.connect()))
    const all = clients.map((client) => world.tell(client, world.signRequest({ key, limits })))
    await expect.poll(requests).toBe(32)
    clocks.pass(36, one)
    open()
    const told = await Promise.all(all)
    expect(new Set(told.map(({ last }) => last.type))).toEqual(new Set(["signed"]))
    const [, ...others] = new Set(told.map((each) => expectLast(each, "signed").fingerprint))
    // One login for all of them, and nothing by the old key.
    expect(others).toEqual([])
    expect(told.filter(({ types }) => types.includes("token_needed"))).toHaveLength(1)
  })

  test("but not for ever where the servers take longer than a lifetime", async () => {
    const clocks = new Clocks()
    // Each look at the clock is 20 seconds after the one before.
    const now = (): Date => {
      clocks.wall += 20_000
      return new Date(clocks.wall)
    }
    const one = made({ ...clocks.options, now })
    const client = await one.connect()
    const before = (await world.entries()).rekor
    const told = await world.tell(client, world.signRequest({ limits: { signatures: 0, lifetime: 10 } }))
    expect(told.types).toEqual(["token_needed", "token_needed", "token_needed", "error"])
    expect(expectLast(told, "error")).toMatchObject({
      code: "ERR_AGENT",
      message: expect.stringMatching(/the key ended/),
    })
    expect((await world.entries()).rekor).toBe(before)
  })
})

describe("a login", () => {
  test("goes on at Fulcio when its client goes, for those who wait", async () => {
    const one = made()
    const { url, reached, open } = await barrier(world.sandbox.urls.fulcio)
    const key = world.key({ fulcio: url })
    const [leader, other] = [await one.connect(), await one.connect()]
    leader.send(world.signRequest({ key }))
    expect(await world.hear(leader)).toEqual({ type: "token_needed" })
    const told = world.tell(other, world.signRequest({ key }))
    leader.send({ type: "token", identityToken: await world.token() })
    await reached
    leader.close()
    open()
    expect((await told).types).toEqual(["waiting", "logging", "signed"])
    const { credentials } = expectLast(await world.tell(other, { type: "list" }), "list")
    expect(credentials).toMatchObject([{ signatures: 1, unclaimed: 0 }])
  })

  test.each([
    ["lock", "ERR_AGENT_LOCKED", "locked"],
    ["clear", "ERR_AGENT", "cold"],
    ["stop", "ERR_AGENT", "cold"],
  ] as const)("that %s comes upon keeps no key", async (type, code, state) => {
    const one = made()
    const { url, reached, open } = await barrier(world.sandbox.urls.fulcio)
    const [client, other] = [await one.connect(), await one.connect()]
    const told = world.tell(client, world.signRequest({ key: world.key({ fulcio: url }) }))
    await reached
    const request = type === "lock" ? ({ type, passphrase: "correct horse" } as const) : ({ type } as const)
    expectLast(await world.tell(other, request), "done")
    open()
    expect(expectLast(await told, "error").code).toBe(code)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await stateOf(other)).toBe(state)
    expect(expectLast(await world.tell(other, { type: "list" }), "list").credentials).toEqual([])
  })

  test("that is not finished in time is the next one's, and its token comes too late", async () => {
    const one = made({ patienceMs: 300 })
    const [silent, other] = [await one.connect(), await one.connect()]
    silent.send(world.signRequest())
    expect(await world.hear(silent)).toEqual({ type: "token_needed" })
    await new Promise((resolve) => setTimeout(resolve, 150))
    const told = world.tell(other, world.signRequest())
    expect(await world.hear(silent)).toMatchObject({
      type: "error",
      code: "ERR_AGENT",
      message: expect.stringMatching(/in time/),
    })
    expect((await told).types).toEqual(["waiting", "token_needed", "logging", "signed"])
    // What was on its way is nobody's answer; the request behind it is answered.
    silent.send({ type: "token", identityToken: await world.token() })
    expect(await stateOf(silent)).toBe("warm")
    // And without it the next request comes through just the same.
    expect(one.agent.isIdle).toBe(false)
  })

  test("that was given up is followed by whatever its client asks next", async () => {
    const one = made({ patienceMs: 50 })
    const client = await one.connect()
    client.send(world.signRequest())
    expect(await world.hear(client)).toEqual({ type: "token_needed" })
    expect(await world.hear(client)).toMatchObject({ type: "error", code: "ERR_AGENT" })
    expect(await stateOf(client)).toBe("cold")
    expect(await stateOf(client)).toBe("cold")
    await expect.poll(() => one.agent.isIdle).toBe(true)
  })

  test("is waited for only so long", async () => {
    const one = made({ patienceMs: 300 })
    const { url, open } = await barrier(world.sandbox.urls.fulcio)
    const key = world.key({ fulcio: url })
    const [leader, other] = [await one.connect(), await one.connect()]
    const led = world.tell(leader, world.signRequest({ key }))
    const told = await world.tell(other, world.signRequest({ key }))
    expect(told.types).toEqual(["waiting", "error"])
    expect(expectLast(told, "error")).toMatchObject({
      code: "ERR_AGENT",
      message: expect.stringMatching(/not finished within/),
    })
    open()
    expectLast(await led, "signed")
  })
})

describe("the agent's own consent", () => {
  const asked = (answer: (text: string, signal: AbortSignal) => Promise<boolean>) => {
    const texts: string[] = []
    const confirm = (text: string, signal: AbortSignal): Promise<boolean> => {
      texts.push(text)
      return answer(text, signal)
    }
    return { texts, confirm }
  }

  test("is asked for whatever the client says, and the client's person is not asked", async () => {
    const { texts, confirm } = asked(async () => true)
    const one = made({ confirm })
    const client = await warm(one)
    for (const wanted of [false, true]) {
      const told = await world.tell(client, world.signRequest({ confirm: wanted }))
      expect(told.replies.slice(0, -1)).toEqual([{ type: "waiting", for: "consent" }, { type: "logging" }])
      expectLast(told, "signed")
    }
    const far = await one.connect({ restricted: true })
    expectLast(await world.tell(far, world.signRequest({ confirm: true })), "signed")
    expect(texts).toHaveLength(3)
    expect(texts[0]).toContain("this machine")
    expect(texts[2]).toContain("a forwarded socket")
  })

  test("that is not given signs nothing", async () => {
    const { confirm } = asked(async () => false)
    const client = await warm(made({ confirm }))
    const before = (await world.entries()).rekor
    expect(expectLast(await world.tell(client, world.signRequest()), "error").code).toBe("ERR_AGENT_REFUSED")
    expect((await world.entries()).rekor).toBe(before)
  })

  test("that nobody gives in time is none, and a yes that comes then is too late", async () => {
    const late = (_: string, signal: AbortSignal): Promise<boolean> =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve(true)))
    const client = await warm(made({ confirm: asked(late).confirm, patienceMs: 200 }))
    expect(expectLast(await world.tell(client, world.signRequest()), "error").code).toBe("ERR_AGENT_REFUSED")
  })

  test("is not asked for any longer when the client goes", async () => {
    let signalled: (() => void) | undefined
    const ended = new Promise<void>((resolve) => {
      signalled = resolve
    })
    const until = (_: string, signal: AbortSignal): Promise<boolean> =>
      new Promise((resolve) =>
        signal.addEventListener("abort", () => {
          signalled?.()
          resolve(false)
        }),
      )
    const one = made({ confirm: asked(until).confirm })
    const client = await warm(one)
    client.send(world.signRequest())
    expect(await world.hear(client)).toEqual({ type: "waiting", for: "consent" })
    client.close()
    await ended
    expect(await stateOf(await one.connect())).toBe("warm")
  })

  test("outlives the credential: a new login is asked about again only when it is somebody else's", async () => {
    const clocks = new Clocks()
    const { texts, confirm } = asked(async () => {
      clocks.wall += 30_000
      return true
    })
    const one = made({ ...clocks.options, confirm })
    const client = await one.connect()
    const limits = { signatures: 0, lifetime: 30 }
    const same = await world.tell(client, world.signRequest({ limits }))
    expect(same.types).toEqual(["token_needed", "waiting", "token_needed", "logging", "signed"])
    expect(texts).toHaveLength(1)
  })
})

describe("consent that the agent's settings force, where nobody can be asked at the agent", () => {
  test("is asked of the client's person, also for a request that comes instead of an answer", async () => {
    const one = made({ mustConfirm: true })
    const [client, other] = [await one.connect(), await one.connect()]
    client.send(world.warmRequest({ key: world.key({ repository: "/other/.git" }) }))
    expect(await world.hear(client)).toEqual({ type: "token_needed" })
    expectLast(await world.tell(other, { type: "lock", passphrase: "correct horse" }), "done")
    expect(await world.hear(client)).toMatchObject({ type: "error", code: "ERR_AGENT_LOCKED" })
    expectLast(await world.tell(other, { type: "unlock", passphrase: "correct horse" }), "done")
    expectLast(await world.tell(other, world.warmRequest()), "ready")
    const before = (await world.entries()).rekor
    const told = await world.tell(client, world.signRequest({ confirm: false }), { granted: false })
    expect(told.types).toEqual(["consent_needed", "error"])
    expect((await world.entries()).rekor).toBe(before)
  })

  test("is refused on the restricted socket", async () => {
    const one = made({ mustConfirm: true })
    await warm(one)
    const told = await world.tell(await one.connect({ restricted: true }), world.signRequest({ confirm: false }))
    expect(told.types).toEqual(["error"])
    expect(expectLast(told, "error").code).toBe("ERR_AGENT_REFUSED")
  })

  test("is none when nobody answers, and no reason to sign without the agent", async () => {
    const one = made({ mustConfirm: true, patienceMs: 100 })
    const client = await warm(one)
    client.send(world.signRequest())
    expect((await world.hear(client)).type).toBe("consent_needed")
    expect(await world.hear(client)).toMatchObject({
      type: "error",
      code: "ERR_AGENT_REFUSED",
      message: "nobody answered whether to sign",
    })
    // A yes that was on its way is not taken for one to the next question.
    client.send({ type: "consent", granted: true })
    client.send(world.signRequest())
    expect((await world.hear(client)).type).toBe("consent_needed")
  })
})

describe("what goes wrong inside", () => {
  test("is told without a word of it, and its place is in the log", async () => {
    const secret = "hunter2"
    const confirm = async (): Promise<boolean> => {
      throw new TypeError(`something with ${secret}`)
    }
    const one = made({ confirm })
    const client = await warm(one)
    const error = expectLast(await world.tell(client, world.signRequest()), "error")
    expect(error.code).toBe("ERR_BUG")
    expect(one.logged()).toMatch(/a defect of gitsign: TypeError at .*agent\.test\.ts/)
    expect(one.logged() + JSON.stringify(error)).not.toContain(secret)
    expect(await stateOf(client)).toBe("warm")
  })
})

describe("many at once", () => {
  test("32 signatures of a credential are made at once, and the others wait their turn", async () => {
    const one = made()
    const { url, requests, open } = await barrier(world.sandbox.urls.timestamp)
    const key = world.key({ timestampServer: url })
    const first = await one.connect()
    expectLast(await world.tell(first, world.warmRequest({ key })), "ready")
    const clients = await Promise.all(Array.from({ length: 40 }, () => one.connect()))
    const all = clients.map((client) => world.tell(client, world.signRequest({ key })))
    await expect.poll(requests).toBe(32)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(requests()).toBe(32)
    // Another credential is not held up.
    expectLast(await world.tell(first, world.signRequest()), "signed")
    open()
    const last: Reply["type"][] = (await Promise.all(all)).map((told) => told.last.type)
    expect(new Set(last)).toEqual(new Set(["signed"]))
  })

  test("another host's signatures never take the places of this one's", async () => {
    const one = made()
    const { url, requests, open } = await barrier(world.sandbox.urls.timestamp)
    const key = world.key({ timestampServer: url })
    const near = await one.connect()
    expectLast(await world.tell(near, world.warmRequest({ key })), "ready")
    const far = await Promise.all(Array.from({ length: 40 }, () => one.connect({ restricted: true })))
    const all = far.map((client) => world.tell(client, world.signRequest({ key })))
    await expect.poll(requests).toBe(4)
    const told = world.tell(near, world.signRequest({ key }))
    await expect.poll(requests).toBe(5)
    open()
    expectLast(await told, "signed")
    for (const each of await Promise.all(all)) expectLast(each, "signed")
  })

  test("entries that nobody takes are told in the log once a minute, and all are counted", async () => {
    const one = made()
    const { url, requests, open } = await barrier(world.sandbox.urls.rekor)
    const key = world.key({ rekor: url })
    const near = await one.connect()
    expectLast(await world.tell(near, world.warmRequest({ key })), "ready")
    const clients = await Promise.all(Array.from({ length: 10 }, () => one.connect()))
    for (const client of clients) client.send(world.signRequest({ key }))
    await expect.poll(requests).toBe(10)
    for (const client of clients) client.close()
    open()
    await expect
      .poll(async () => expectLast(await world.tell(near, { type: "list" }), "list").credentials, { timeout: 10_000 })
      .toMatchObject([{ signatures: 10, unclaimed: 10 }])
    expect(one.logged().match(/is for a client that is gone/g)).toHaveLength(1)
  })
})
