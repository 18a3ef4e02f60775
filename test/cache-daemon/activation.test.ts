/**
 * Sockets that systemd hands over (sd_listen_fds(3)), with the real systemd-socket-activate(1) where there is one.
 *
 * @module
 */

import { chmodSync, existsSync, lstatSync, mkdirSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import { activatedSockets } from "../../cache-daemon/activation.ts"
import { buildPrograms, RUNTIMES, start, stopProgramsAfterEach, temporaryFolder, until } from "./programs.ts"
import { RawClient, statusOf } from "./raw-client.ts"

const ACTIVATE = "/usr/bin/systemd-socket-activate"

const folder = temporaryFolder()
const { agent } = await buildPrograms("agent")
let made = 0

const newDirectory = (): string => {
  const directory = join(folder, `d${++made}`)
  mkdirSync(directory, { mode: 0o700 })
  return directory
}

const [, bun] = RUNTIMES

/** Prints how many bytes have come when the connection is closed. */
const CONNECT = `
const socket = require("node:net").connect(process.argv[1].replace("\\\\0", "\\0"))
socket.on("error", () => {})
socket.on("close", () => console.log(socket.bytesRead))
`

describe("the variables", () => {
  test("are believed by the process that they name, and taken away", () => {
    const env: NodeJS.ProcessEnv = { LISTEN_PID: "1", LISTEN_FDS: "1", LISTEN_FDNAMES: "x", OTHER: "y" }
    expect(() => activatedSockets(env)).toThrow(expect.objectContaining({ code: "ERR_AGENT" }))
    expect(env).toEqual({ OTHER: "y" })
  })

  test.each(["0", "", "-1", "1000", "1e1", "3x"])("may not say that there are %j sockets", (LISTEN_FDS) => {
    const env = { LISTEN_PID: String(process.pid), LISTEN_FDS }
    expect(() => activatedSockets(env)).toThrow(expect.objectContaining({ code: "ERR_AGENT" }))
  })

  test("may be missing", () => {
    expect(() => activatedSockets({})).toThrow(expect.objectContaining({ code: "ERR_AGENT" }))
  })
})

describe.runIf(existsSync(ACTIVATE))("systemd-socket-activate (where it is installed)", () => {
  describe.each(RUNTIMES)("with an agent on $name", ({ command }) => {
    stopProgramsAfterEach()

    /** Has systemd listen and start the agent at the first connection. */
    async function activate(...options: readonly string[]): Promise<ReturnType<typeof start>> {
      const program = start(ACTIVATE, [...options, command, agent, "unused", "--activation", "--leave"])
      await until(() => program.output.stderr.includes("Listening on"))
      await wait(100)
      return program
    }

    test("serves both sockets, each as its name says, and leaves them behind", async () => {
      const directory = newDirectory()
      const [path, extra] = [join(directory, "agent.sock"), join(directory, "agent.extra.sock")] as const
      const program = await activate("-l", path, "-l", extra, "--fdname=gitsign-agent.socket:extra")
      expect(await statusOf(path)).toMatchObject({ restricted: false, pid: program.pid })
      expect(await statusOf(extra)).toMatchObject({ restricted: true, pid: program.pid })
      const client = new RawClient(extra).hello({ type: "stop" })
      expect((await client.messages(2))[1]).toMatchObject({ code: "ERR_AGENT_REFUSED" })
      client.end()
      expect(await program.ended).toBe(0)
      expect(program.output.stderr).toContain("there is nothing to do")
      for (const socket of [path, extra]) expect(lstatSync(socket).isSocket()).toBe(true)
    })

    test("knows the restricted one by the name of its own unit, too", async () => {
      const path = join(newDirectory(), "agent.sock")
      await activate("-l", path, "--fdname=gitsign-agent-extra.socket")
      expect(await statusOf(path)).toMatchObject({ restricted: true })
    })

    test.each([
      ["a name that gitsign does not know", ["--fdname=gitsign-forward.socket"]],
      ["no name, where there are two", []],
    ])("does not serve a socket with %s, which might be the restricted one", async (_, options) => {
      const directory = newDirectory()
      const path = join(directory, "agent.sock")
      const second = options.length === 0 ? ["-l", join(directory, "extra.sock")] : []
      const program = await activate("-l", path, ...second, ...options)
      const client = new RawClient(path).hello({ type: "status" })
      expect(await program.ended).toBe(2)
      expect(program.output.stdout).toMatch(/has a name that gitsign does not know.*FileDescriptorName/)
      await client.closed
      expect(client.replies).toEqual([])
    })

    test.each(["agent", "gitsign-agent.socket"])("knows the ordinary one by the name %s", async (name) => {
      const path = join(newDirectory(), "agent.sock")
      await activate("-l", path, `--fdname=${name}`)
      expect(await statusOf(path)).toMatchObject({ restricted: false })
    })

    test("leaves the sockets to systemd when it is stopped", async () => {
      const path = join(newDirectory(), "agent.sock")
      const program = await activate("-l", path)
      const client = new RawClient(path).hello({ type: "stop" })
      expect((await client.messages(2)).map(({ type }) => type)).toEqual(["hello", "done"])
      expect(await program.ended).toBe(0)
      expect(existsSync(path)).toBe(true)
    })

    test.each<[string, string, RegExp]>([
      ["a directory that is open", "agent.sock", /is open to other users \(mode 755\).*chmod 0700/],
      ["the abstract namespace, which has no modes", "@", /has no path/],
    ])("does not serve a socket in %s", async (_, name, expected) => {
      const directory = newDirectory()
      chmodSync(directory, 0o755)
      const path = name === "@" ? `@gitsign-test-${process.pid}-${made}` : join(directory, name)
      const program = await activate("-l", path)
      // Node 20 cannot connect to the abstract namespace.
      const client = start(bun.command, ["-e", CONNECT, path.replace("@", "\\0")])
      expect(await program.ended).toBe(2)
      expect(program.output.stdout).toMatch(expected)
      await client.ended
      expect(client.output.stdout).toBe("0\n")
    })

    test("does not serve a port, which others can connect to", async () => {
      const port = await freePort()
      const program = await activate("-l", `127.0.0.1:${port}`)
      const address = { host: "127.0.0.1", port }
      const client = new RawClient(address).hello({ type: "status" })
      expect(await program.ended).toBe(2)
      await client.closed
      expect(client.replies).toEqual([])
      expect(program.output.stdout).toContain("is not a Unix socket that listens")
    })
  })
})

const freePort = (): Promise<number> =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => done(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
