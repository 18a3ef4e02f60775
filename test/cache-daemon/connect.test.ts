/**
 * The client's side: what it takes for an agent, how long it waits, and to whom it says nothing.
 *
 * @module
 */

import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { join } from "node:path"
import { pipeline, Readable } from "node:stream"
import { afterEach, describe, expect, test } from "vitest"
import { encodeMessage, LIMITS, type Reply } from "../../cache-daemon/protocol.ts"
import { buildPrograms, RUNTIMES, start, startReady, stopProgramsAfterEach, temporaryFolder } from "./programs.ts"

const folder = temporaryFolder()
const { client, server } = await buildPrograms("client", "server")
const isRoot = process.getuid?.() === 0
let made = 0

const newPath = (): string => {
  const directory = join(folder, `d${++made}`)
  mkdirSync(directory, { mode: 0o700 })
  return join(directory, "agent.sock")
}

const greeting = (protocol = 1): Uint8Array =>
  encodeMessage({ type: "hello", protocol, program: "x", restricted: false })
const pause: Reply = { type: "waiting", for: "login" }

describe.each(RUNTIMES)("the client on $name", ({ command }) => {
  stopProgramsAfterEach()

  let servers: Server[] = []
  afterEach(() => {
    for (const one of servers) one.close()
    servers = []
  })

  /** Something that listens and is no agent of ours. */
  async function listen(path: string, act: (socket: Socket) => void): Promise<{ bytes: number; connections: number }> {
    const seen = { bytes: 0, connections: 0 }
    const one = createServer((socket) => {
      seen.connections++
      socket.on("error", () => {})
      socket.on("data", (chunk) => {
        seen.bytes += chunk.length
      })
      act(socket)
    })
    servers.push(one)
    await new Promise<void>((done) => one.listen(path, done))
    return seen
  }

  interface Outcome {
    readonly reason?: string
    readonly code?: string
    readonly message?: string
    readonly reply?: Reply
    readonly restricted?: boolean
    readonly ms: number
  }

  async function ask(path: string, ...args: string[]): Promise<Outcome> {
    const program = start(command, [client, path, ...args])
    expect(await program.ended).toBe(0)
    return JSON.parse(program.output.stdout) as Outcome
  }

  test("gets an answer", async () => {
    const path = newPath()
    await startReady(command, [server, path])
    expect(await ask(path)).toMatchObject({ reply: { type: "status", program: "server" }, restricted: false })
  })

  test("sends more than a socket takes at once, and misses no answer", async () => {
    const path = newPath()
    await startReady(command, [server, path])
    // Its answers are more than may wait, so it would notice if it did not take them.
    expect(await ask(path, "50")).toMatchObject({ reply: { type: "status" } })
  })

  test("says that there is none", async () => {
    expect(await ask(newPath())).toMatchObject({ reason: "absent" })
    expect(await ask("/no/such/directory/agent.sock")).toMatchObject({ reason: "absent" })
  })

  test("says that one has died", async () => {
    const path = newPath()
    const program = await startReady(command, [server, path])
    program.child.kill("SIGKILL")
    await program.ended
    expect(await ask(path)).toMatchObject({ reason: "dead" })
  })

  test("says that one does not answer, after two seconds", async () => {
    const path = newPath()
    const program = await startReady(command, [server, path])
    program.child.kill("SIGSTOP")
    const { reason, ms } = await ask(path)
    expect(reason).toBe("timeout")
    expect(ms).toBeLessThan(3000)
  })

  test.each<[string, (socket: Socket) => void, string]>([
    ["an HTTP server", (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"), "garbage"],
    ["something that says no hello", (socket) => socket.write(encodeMessage(pause)), "garbage"],
    ["something that sends no message", (socket) => socket.write(Buffer.alloc(100, 0xff)), "garbage"],
    ["something that says too much", (socket) => flood(socket), "garbage"],
    ["an agent of another version", (socket) => socket.write(greeting(2)), "version"],
    ["something that closes", (socket) => socket.destroy(), "dead"],
    ["something that closes after its hello", (socket) => socket.end(greeting()), "dead"],
    ["an agent that dies in a message", (socket) => socket.end(Buffer.concat([greeting(), Buffer.alloc(2)])), "dead"],
    ["something that takes the connection and is silent", () => {}, "timeout"],
  ])("does not take %s for an agent", async (_, act, reason) => {
    const path = newPath()
    await listen(path, act)
    expect(await ask(path)).toMatchObject({ reason })
  })

  test("waits for the answer as long as it was told, and not for one that never ends", {
    timeout: 20_000,
  }, async () => {
    const path = newPath()
    const head = Buffer.alloc(4)
    head.writeUInt32BE(LIMITS.message)
    await listen(path, (socket) => socket.write(Buffer.concat([greeting(), head, Buffer.alloc(1000)])))
    const { reason, ms } = await ask(path)
    expect(reason).toBe("timeout")
    expect(ms).toBeGreaterThan(4900)
  })

  test("talks to no file, no link and no directory that others may write to", async () => {
    const file = newPath()
    writeFileSync(file, "")
    expect(await ask(file)).toMatchObject({ reason: "foreign" })

    const path = newPath()
    const seen = await listen(path, (socket) => socket.write(greeting()))
    const link = newPath()
    symlinkSync(path, link)
    expect(await ask(link)).toMatchObject({ reason: "foreign" })
    chmodSync(join(path, ".."), 0o777)
    expect(await ask(path)).toMatchObject({ reason: "foreign" })
    expect(seen).toEqual({ bytes: 0, connections: 0 })
    // Where only the owner can replace a file, as in /tmp, that is no matter.
    chmodSync(join(path, ".."), 0o1777)
    await ask(path)
    expect(seen.connections).toBe(1)
  })

  test.runIf(isRoot)("says not a byte to another user's socket (runs as root only)", async () => {
    const path = newPath()
    const seen = await listen(path, (socket) => socket.write(greeting()))
    chownSync(path, 65534, 65534)
    const { reason, message } = await ask(path)
    expect([reason, message]).toEqual(["foreign", `the socket ${path} belongs to another user`])
    expect(seen).toEqual({ bytes: 0, connections: 0 })
  })

  test("names a path that no socket can have", async () => {
    expect(await ask(`/${"a".repeat(200)}`)).toMatchObject({ code: "ERR_AGENT_SOCKET" })
  })
})

/** A thousand messages at a time, until nobody takes them any more. */
function flood(socket: Socket): void {
  const many = Array<Uint8Array>(1000).fill(encodeMessage(pause))
  const messages = function* (): Generator<Uint8Array> {
    yield Buffer.concat([greeting(), ...many])
    for (;;) yield Buffer.concat(many)
  }
  pipeline(Readable.from(messages()), socket, () => {})
}
