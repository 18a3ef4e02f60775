/**
 * The agent's server on both runtimes: what it answers, and what it lets a client do to itself and to nobody else.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import {
  type CredentialKey,
  encodeMessage,
  LIMITS,
  PROTOCOL_VERSION,
  type Request,
  type TrustFiles,
} from "../../cache-daemon/protocol.ts"
import {
  buildPrograms,
  type Program,
  RUNTIMES,
  startReady,
  stopProgramsAfterEach,
  temporaryFolder,
  until,
} from "./programs.ts"
import { order, RawClient, statusOf } from "./raw-client.ts"

const folder = temporaryFolder()
const { server: script } = await buildPrograms("server")
let made = 0

const NO_KEY: CredentialKey = {
  fulcio: "",
  rekor: "",
  timestampServer: "",
  issuer: "",
  clientID: "",
  connectorID: "",
  tokenProvider: "",
  tokenIdentity: "",
  committerEmail: "",
  committerName: "",
  matchCommitter: false,
  repository: "",
}

const NO_TRUST: TrustFiles = {
  trustedRoot: undefined,
  fulcioRoot: undefined,
  rekorPublicKey: undefined,
  ctLogPublicKey: undefined,
  timestampCertChain: undefined,
}

/** Unsigned 32-bit, big-endian. */
const length = (size: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(size)
  return bytes
}

const framed = (body: Uint8Array): Buffer => Buffer.concat([length(body.length), body])
const hello = encodeMessage({ type: "hello", protocol: PROTOCOL_VERSION, program: "raw" })
const status = encodeMessage({ type: "status" })
/** utime and stime in proc(5). */
const cpuTicksOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? []
  return Number(fields[11]) + Number(fields[12])
}
const typesOf = (replies: readonly { readonly type: string }[]): string[] => replies.map(({ type }) => type)

describe.each(RUNTIMES)("the server on $name", ({ command }) => {
  stopProgramsAfterEach()

  async function serve(limits: object = {}): Promise<{ path: string; restricted: string; program: Program }> {
    const path = join(folder, `d${++made}`, "agent.sock")
    const restricted = path.replace("agent", "extra")
    return { path, restricted, program: await startReady(command, [script, path, JSON.stringify(limits), restricted]) }
  }

  test("says hello, and answers a request that came right behind the client's", async () => {
    const { path, program } = await serve()
    const client = new RawClient(path).hello({ type: "status" })
    const [first, second] = await client.messages(2)
    expect(first).toEqual({ type: "hello", protocol: PROTOCOL_VERSION, program: "server 1", restricted: false })
    expect(second).toMatchObject({ type: "status", credentials: 1, pid: program.pid, restricted: false })
  })

  test("says nothing before the client has", async () => {
    const { path } = await serve()
    const client = new RawClient(path)
    await wait(200)
    expect(client.received).toBe(0)
  })

  test("answers one request after the other, in their order", async () => {
    const { path } = await serve()
    const client = new RawClient(path).hello(order("wait:100"), { type: "list" }, order("wait:1"), { type: "status" })
    expect(typesOf(await client.messages(5))).toEqual(["hello", "done", "error", "done", "status"])
    client.send({ type: "clear" })
    expect(typesOf(await client.messages(6)).at(-1)).toBe("error")
  })

  test("takes a message byte by byte", async () => {
    const { path } = await serve()
    const client = new RawClient(path)
    for (const byte of Buffer.concat([hello, status])) {
      client.socket.write(Buffer.of(byte))
      await wait(1)
    }
    expect(typesOf(await client.messages(2))).toEqual(["hello", "status"])
  })

  test("hands the answer to a question to the request that asked", async () => {
    const { path, program } = await serve()
    const client = new RawClient(path).hello(order("ask"))
    expect(typesOf(await client.messages(2))).toEqual(["hello", "token_needed"])
    client.send({ type: "token", identityToken: "a" }, { type: "status" })
    expect(typesOf(await client.messages(4))).toEqual(["hello", "token_needed", "done", "status"])
    expect(program.output.stderr).toContain("answer token\n")
  })

  test("tells another version which one it speaks, and closes", async () => {
    const { path } = await serve()
    const client = new RawClient(path).send({ type: "hello", protocol: 2, program: "new" }, { type: "status" })
    await client.closed
    expect(typesOf(client.replies)).toEqual(["hello", "error"])
    expect(client.replies[1]).toMatchObject({ code: "ERR_AGENT", message: expect.stringContaining("version 1") })
  })

  test.each<[string, readonly Uint8Array[], readonly string[]]>([
    ["an HTTP request", [Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")], []],
    ["net/rpc in gob, as the Go program speaks", [Buffer.from("2f7f0301010752657175657374", "hex")], []],
    ["a message that is too long", [length(LIMITS.message + 1)], []],
    ["a message of nothing", [length(0)], []],
    ["bytes that are no MessagePack", [framed(Buffer.alloc(32, 0xc1))], ["error"]],
    ["a request without a hello", [status], []],
    ["a hello that does not end", [length(LIMITS.message), Buffer.alloc(100_000)], []],
    ["a second hello", [hello, hello], ["hello", "error"]],
    ["garbage behind a hello", [hello, Buffer.alloc(64, 0xff)], []],
    ["a type that does not exist", [hello, framed(Buffer.from("81a474797065a178", "hex"))], ["hello", "error"]],
    ["a field too many", [hello, framed(Buffer.from("82a474797065a6737461747573a17801", "hex"))], ["hello", "error"]],
  ])("closes the connection for %s", async (_, chunks, expected) => {
    const { path } = await serve()
    const other = new RawClient(path).hello()
    const client = new RawClient(path)
    client.socket.write(Buffer.concat(chunks))
    await client.closed
    expect(typesOf(client.replies)).toEqual(expected)
    expect(typesOf(await other.send({ type: "status" }).messages(2))).toEqual(["hello", "status"])
  })

  test("closes the connection of a client that takes its time", async () => {
    const { path, program } = await serve({
      helloMs: 300,
      messageMs: 300,
      idleMs: 1000,
      requestMs: 1500,
      personMs: 3000,
    })
    const silent = new RawClient(path)
    const stuck = new RawClient(path).hello({ type: "status" })
    const dripping = new RawClient(path).hello()
    const idle = new RawClient(path).hello({ type: "status" })
    const slow = new RawClient(path).hello(order("wait:2500"))
    const person = new RawClient(path).hello(order("ask"))
    const times: Record<string, number> = {}
    const began = performance.now()
    for (const [name, client] of Object.entries({ silent, stuck, dripping, idle, slow, person })) {
      client.closed.then(() => {
        times[name] = Math.round(performance.now() - began)
      })
    }
    await stuck.messages(2)
    stuck.socket.write(length(1000))
    // Something comes all the time, and the message is never whole.
    const drip = setInterval(() => dripping.socket.write(dripping.received > 0 ? Buffer.of(0) : ""), 20)
    dripping.socket.write(length(1000))
    await Promise.all([silent, stuck, dripping, idle, slow, person].map(({ closed }) => closed))
    clearInterval(drip)
    for (const [name, ms] of Object.entries({
      silent: 300,
      stuck: 300,
      dripping: 300,
      idle: 1000,
      slow: 1500,
      person: 3000,
    })) {
      expect([name, times[name]]).toEqual([name, expect.toSatisfy((time: number) => time > ms - 60 && time < ms + 500)])
    }
    expect(program.output.stderr).toContain("closed a connection: its request took too long")
    expect(await statusOf(path)).toBeDefined()
  })

  test("lets a client that asks and does not read wait in its own buffers", async () => {
    const { path } = await serve()
    const before = (await statusOf(path))?.started ?? 0
    const client = new RawClient(path).hello()
    await client.messages(1)
    client.socket.pause()
    const many = 50_000
    const requests = Buffer.concat(Array.from({ length: many }, () => status))
    client.socket.write(requests)
    await wait(1000)
    const during = await statusOf(path)
    // In KiB. All requests together are 900 KB, their answers five times that.
    expect((during?.started ?? 0) - before).toBeLessThan(40 * 1024)
    client.socket.resume()
    expect(typesOf(await client.messages(many + 1)).filter((type) => type === "status")).toHaveLength(many)
  })

  test("ends the request of a client that does not take the answer", async () => {
    const { path, program } = await serve({ requestMs: 500, personMs: 1000 })
    const client = new RawClient(path).hello()
    await client.messages(1)
    client.socket.pause()
    client.send(order("flood:1000"))
    await until(() => program.output.stderr.includes("gone during flood:1000"), 3000)
    client.end()
    expect(await statusOf(path)).toBeDefined()
  })

  test("closes the connection of a client that does not take a reply, with what is done for it", async () => {
    const { path, program } = await serve({ replyMs: 300 })
    const client = new RawClient(path).hello()
    await client.messages(1)
    client.socket.pause()
    client.send(order("flood:1000"))
    await until(() => program.output.stderr.includes("gone during flood:1000"), 3000)
    expect(program.output.stderr).toContain("closed a connection: it does not take its replies")
    // One that reads late, but reads, gets all of it.
    const slow = new RawClient(path).hello(order("flood:50"))
    slow.socket.pause()
    await wait(100)
    slow.socket.resume()
    expect(typesOf(await slow.messages(52)).at(-1)).toBe("done")
  })

  test("gives another host only so many connections, and the owner the rest", async () => {
    const { path, restricted } = await serve({ connections: 8, restrictedConnections: 4 })
    const busy = Array.from({ length: 3 }, () => new RawClient(restricted).hello(order("wait:1500")))
    await Promise.all(busy.map((client) => client.messages(1)))
    const idle = new RawClient(restricted).hello()
    await idle.messages(1)
    // The one that can be spared goes, and then the newcomers.
    const last = new RawClient(restricted).hello(order("wait:1500"))
    await last.messages(1)
    await idle.closed
    const refused = Array.from({ length: 20 }, () => new RawClient(restricted))
    await Promise.all(refused.map(({ closed }) => closed))
    const own = Array.from({ length: 4 }, () => new RawClient(path).hello(order("wait:1000")))
    for (const client of [...busy, last, ...own]) expect(typesOf(await client.messages(2))).toEqual(["hello", "done"])
  })

  test("never closes the owner's connection for another host's", async () => {
    const { path, restricted } = await serve({ connections: 4, restrictedConnections: 3 })
    const own = Array.from({ length: 3 }, () => new RawClient(path).hello())
    await Promise.all(own.map((client) => client.messages(1)))
    for (let index = 0; index < 10; index++) await new RawClient(restricted).hello().messages(1)
    expect(own.map(({ isClosed }) => isClosed)).toEqual([false, false, false])
  })

  /** A request that is worked on for a second. */
  const work = (size: number): Request => ({
    type: "warm",
    key: NO_KEY,
    trust: { ...NO_TRUST, trustedRoot: "x".repeat(size) },
    limits: { signatures: 0, lifetime: 0 },
  })

  test("refuses what is too much to be worked on at once, and works on it later", async () => {
    const { path, restricted } = await serve({ workBytes: 900_000, restrictedBytes: 300_000 })
    const [first, second, third] = [new RawClient(path), new RawClient(path), new RawClient(path)]
    first.hello(work(400_000))
    await first.messages(1)
    second.hello(work(400_000))
    await second.messages(1)
    await wait(200)
    third.hello(work(400_000))
    expect((await third.messages(2))[1]).toMatchObject({
      code: "ERR_AGENT",
      message: expect.stringMatching(/too much/),
    })
    // Small ones always come through.
    expect(await statusOf(path)).toBeDefined()
    for (const client of [first, second]) expect((await client.messages(2))[1]).toMatchObject({ message: "warm" })
    third.send(work(400_000))
    expect((await third.messages(3))[2]).toMatchObject({ message: "warm" })
    // Another host has less of it.
    const far = [new RawClient(restricted).hello(work(200_000)), new RawClient(restricted).hello()]
    await far[0]?.messages(1)
    await wait(200)
    expect((await far[1]?.send(work(200_000)).messages(2))?.[1]).toMatchObject({
      message: expect.stringMatching(/too much/),
    })
    expect((await far[0]?.messages(2))?.[1]).toMatchObject({ message: "warm" })
  })

  test("keeps fewer unfinished bytes of another host, at its own cost", async () => {
    const { path, restricted } = await serve({ unfinishedBytes: 1024 * 1024, restrictedBytes: 300_000 })
    const near = new RawClient(path).hello()
    await near.messages(1)
    near.socket.write(Buffer.concat([length(500_000), Buffer.alloc(400_000)]))
    const far = [new RawClient(restricted).hello(), new RawClient(restricted).hello()]
    await Promise.all(far.map((client) => client.messages(1)))
    far[0]?.socket.write(Buffer.concat([length(500_000), Buffer.alloc(200_000)]))
    await wait(200)
    far[1]?.socket.write(Buffer.concat([length(500_000), Buffer.alloc(150_000)]))
    await far[0]?.closed
    expect([near, ...far].map(({ isClosed }) => isClosed)).toEqual([false, true, false])
  })

  test("takes a late answer off the line, and any other message for the next request", async () => {
    const { path, program } = await serve()
    const late = new RawClient(path).hello(order("ask:100"))
    expect(typesOf(await late.messages(3))).toEqual(["hello", "token_needed", "done"])
    late.send({ type: "token", identityToken: "a" }, { type: "token", identityToken: "b" }, { type: "status" })
    // The second one answers nothing, as it never did.
    expect(typesOf(await late.messages(5)).slice(3)).toEqual(["error", "status"])
    const hello = new RawClient(path).hello(order("ask:100"))
    await hello.messages(3)
    hello.hello()
    await hello.closed
    expect(typesOf(hello.replies).at(-1)).toBe("error")
    const client = new RawClient(path).hello(order("ask:100"))
    await client.messages(3)
    client.send({ type: "stop" })
    expect(typesOf(await client.messages(4)).at(-1)).toBe("done")
    expect(await program.ended).toBe(0)
  })

  test("answers all who tell it to stop at once, and who asks something else then", async () => {
    const { path, program } = await serve()
    const logging = new RawClient(path).hello(order("log:600"))
    await logging.messages(2)
    const clients = Array.from({ length: 5 }, () => new RawClient(path).hello())
    await Promise.all(clients.map((client) => client.messages(1)))
    const [late] = clients.splice(0, 1)
    for (const client of clients) client.send({ type: "stop" })
    await wait(20)
    late?.send({ type: "list" })
    for (const client of clients) expect(typesOf(await client.messages(2))).toEqual(["hello", "done"])
    expect((await late?.messages(2))?.[1]).toMatchObject({ code: "ERR_AGENT", message: expect.stringMatching(/stop/) })
    expect(typesOf(await logging.messages(3))).toEqual(["hello", "logging", "done"])
    expect(await program.ended).toBe(0)
  })

  test("serves 50 requests while 1,000 connections are idle", async () => {
    const { path } = await serve()
    const idle: RawClient[] = []
    for (let index = 0; index < 1000; index++) {
      idle.push(new RawClient(path).hello())
      if (index % 100 === 99) await idle.at(-1)?.messages(1)
    }
    const answers = await Promise.all(Array.from({ length: 50 }, () => statusOf(path)))
    expect(answers.filter((answer) => answer !== undefined)).toHaveLength(50)
    expect(answers.every((answer) => (answer?.credentials ?? 0) <= 512)).toBe(true)
    await until(() => idle.filter(({ isClosed }) => isClosed).length >= 488)
    // The oldest went first.
    expect(idle.slice(0, 400).every(({ isClosed }) => isClosed)).toBe(true)
    expect(idle.slice(-400).every(({ isClosed }) => !isClosed)).toBe(true)
    for (const client of idle) client.end()
  })

  test("closes no connection whose request goes on, however many there are", async () => {
    const { path } = await serve({ connections: 4 })
    const busy = Array.from({ length: 3 }, () => new RawClient(path).hello(order("wait:1500")))
    await Promise.all(busy.map((client) => client.messages(1)))
    for (let index = 0; index < 20; index++) await new RawClient(path).hello().messages(1)
    const last = new RawClient(path).hello(order("wait:1000"))
    await last.messages(1)
    const refused = new RawClient(path)
    await refused.closed
    for (const client of [...busy, last]) expect(typesOf(await client.messages(2))).toEqual(["hello", "done"])
  })

  test("keeps a bounded number of bytes over all connections, at the cost of the one with the most", async () => {
    const { path } = await serve({ unfinishedBytes: 1024 * 1024 })
    const clients = await Promise.all(
      [200_000, 300_000, 400_000].map(async (size) => {
        const client = new RawClient(path).hello()
        await client.messages(1)
        client.socket.write(Buffer.concat([length(500_000), Buffer.alloc(size)]))
        return client
      }),
    )
    await wait(300)
    expect(clients.map(({ isClosed }) => isClosed)).toEqual([false, false, false])
    clients[0]?.socket.write(Buffer.alloc(190_000))
    await clients[2]?.closed
    expect(clients.map(({ isClosed }) => isClosed)).toEqual([false, false, true])
    expect(await statusOf(path)).toBeDefined()
  })

  test("notices that a client is gone, and that its answer went nowhere", async () => {
    const { path, program } = await serve()
    const client = new RawClient(path).hello(order("wait:300"))
    await client.messages(1)
    client.end()
    await until(() => program.output.stderr.includes("delivered"))
    expect(program.output.stderr).toMatch(/gone during wait:300\n(.*\n)*delivered false\n/)
    const asked = new RawClient(path).hello(order("ask"))
    await asked.messages(2)
    asked.end()
    await until(() => program.output.stderr.includes("answer undefined"))
  })

  test("stops when it is told to: the answer comes when the socket is gone and what is in the log has been told", async () => {
    const { path, program } = await serve()
    const idle = new RawClient(path).hello()
    const waiting = new RawClient(path).hello(order("wait:5000"))
    const logging = new RawClient(path).hello(order("log:500"))
    await logging.messages(2)
    const client = new RawClient(path).hello({ type: "stop" })
    expect(typesOf(await client.messages(2))).toEqual(["hello", "done"])
    expect(existsSync(path)).toBe(false)
    expect(typesOf(await logging.messages(3))).toEqual(["hello", "logging", "done"])
    await Promise.all([idle.closed, waiting.closed])
    expect(typesOf(waiting.replies)).toEqual(["hello"])
    expect(await program.ended).toBe(0)
  })

  test("has descriptors left, however few it may have", async () => {
    const path = join(folder, `d${++made}`, "agent.sock")
    const limited = ["-c", 'ulimit -n 64; exec "$0" "$@"', command, script, path, "{}"]
    const program = await startReady("/bin/sh", limited)
    const clients = Array.from({ length: 150 }, () => new RawClient(path).hello())
    await wait(500)
    const ticks = cpuTicksOf(program.pid)
    await wait(1000)
    // Of the 100 that a second has.
    expect(cpuTicksOf(program.pid) - ticks).toBeLessThan(50)
    expect(await statusOf(path)).toMatchObject({ credentials: 32 })
    for (const client of clients) client.end()
    await until(() => clients.every(({ isClosed }) => isClosed))
    await wait(200)
    expect(await statusOf(path)).toMatchObject({ credentials: 1 })
  })
})
