/**
 * Two users on one machine: the other one gets nothing of the agent, and its socket gets nothing of ours.
 *
 * @module
 */

import { chmodSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, test } from "vitest"
import {
  buildPrograms,
  type Program,
  RUNTIMES,
  start,
  startReady,
  stopProgramsAfterEach,
  temporaryFolder,
} from "./programs.ts"
import { statusOf } from "./raw-client.ts"

const folder = temporaryFolder()
const { agent, client } = await buildPrograms("agent", "client")
let made = 0

const isRoot = process.getuid?.() === 0

/** Connects and says what it got, without any check of ours: `socket bytes error`. */
const CONNECT = `
const socket = require("node:net").connect(process.argv[1])
let bytes = 0
const end = (what) => { console.log(bytes, what); process.exit() }
socket.on("data", (chunk) => { bytes += chunk.length })
socket.on("connect", () => socket.write(Buffer.from(process.argv[2], "base64")))
socket.on("error", (error) => end(error.code))
socket.on("close", () => end("closed"))
setTimeout(() => end("open"), 1000)
`

const HELLO = Buffer.from("0000002283a474797065a568656c6c6fa870726f746f636f6c01a770726f6772616da3726177", "hex")

describe.runIf(isRoot)("another user (needs root, to be two users)", () => {
  // What it runs must be its to read.
  const asOther = async (...command: readonly string[]): Promise<string> => {
    const program = start("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", ...command])
    await program.ended
    return `${program.output.stdout}${program.output.stderr}`.trim()
  }

  const connectAsOther = (path: string): Promise<string> =>
    asOther(process.execPath, "-e", CONNECT, path, HELLO.toString("base64"))

  describe.each(RUNTIMES)("with an agent on $name", ({ name, command }) => {
    stopProgramsAfterEach()

    async function startAgent(): Promise<{ path: string; program: Program }> {
      const path = join(folder, `d${++made}`, "agent.sock")
      return { path, program: await startReady(command, [agent, path]) }
    }

    test("cannot connect", async () => {
      const { path } = await startAgent()
      chmodSync(folder, 0o755)
      expect(await connectAsOther(path)).toBe("0 EACCES")
      expect(await statusOf(path)).toBeDefined()
    })

    test("cannot connect where only the directory has been opened", async () => {
      const { path } = await startAgent()
      chmodSync(folder, 0o755)
      chmodSync(dirname(path), 0o755)
      expect(await connectAsOther(path)).toBe("0 EACCES")
    })

    test("gets not a byte where everything has been opened, as far as the runtime can tell", async () => {
      const { path, program } = await startAgent()
      chmodSync(folder, 0o755)
      chmodSync(dirname(path), 0o755)
      chmodSync(path, 0o777)
      const got = await connectAsOther(path)
      if (name === "bun") {
        expect(got).toMatch(/^0 (closed|ECONNRESET|EPIPE)$/)
        expect(program.output.stderr).toContain("refused a connection of another user")
      } else {
        // Node cannot ask whose process it is; this is what the modes are for.
        expect(got).toMatch(/^[1-9]\d* open$/)
      }
      expect(await statusOf(path)).toBeDefined()
    })

    test("does not get our request with an agent of its own", async () => {
      const directory = join(folder, `d${++made}`)
      chmodSync(folder, 0o777)
      const listen = `require("node:fs").mkdirSync(${JSON.stringify(directory)}); require("node:net").createServer((socket) => {
        console.log("connected"); socket.on("data", () => console.log("data")) }).listen(process.argv[1], () => console.log("ok"))`
      const path = join(directory, "agent.sock")
      const args = ["--reuid=65534", "--regid=65534", "--clear-groups", process.execPath, "-e", listen, path]
      const other = await startReady("setpriv", args)
      const program = start(command, [client, path])
      await program.ended
      expect(JSON.parse(program.output.stdout)).toMatchObject({ reason: "foreign" })
      expect(other.output.stdout).toBe("ok\n")
    })
  })
})
