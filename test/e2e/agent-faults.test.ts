/**
 * What can go wrong between git and the signing agent: the commit is made the ordinary way or refused with one clear sentence; it
 * never hangs, and nothing that was logged is lost without being told.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { dirname, join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { encodeMessage } from "../../cache-daemon/protocol.ts"
import { agentStatus, socketOf, stopAgent, withAgent } from "./agent-harness.ts"
import { type Ran, type Services, startServices, Workspace } from "./harness.ts"

let services: Services
let token: string
let workspace: Workspace
let repository: string

beforeAll(async () => {
  services = await startServices()
  token = await services.token()
}, 60_000)

afterAll(() => services?.close())

beforeEach(() => {
  workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: token })
  withAgent(workspace)
  repository = workspace.repository("faults")
})

afterEach(() => {
  stopAgent(workspace)
  workspace.close()
})

const log = (): string => {
  const path = join(workspace.root, "log")
  return existsSync(path) ? readFileSync(path, "utf8") : ""
}

/** Makes a commit without a terminal; what gitsign says is in the log. */
function commit(env: Record<string, string> = {}): Promise<Ran> {
  return workspace.runAsync(repository, "git", ["commit", "--allow-empty", "-m", "x"], {
    env: { GITSIGN_LOG: join(workspace.root, "log"), ...env },
    detached: true,
  })
}

/** The commit is made and verifies, though the agent could not make it; one line said why. */
async function expectOrdinary(why: RegExp, env: Record<string, string> = {}): Promise<void> {
  const began = performance.now()
  const ran = await commit(env)
  expect(ran.status, ran.stderr).toBe(0)
  expect(performance.now() - began).toBeLessThan(20_000)
  const notices = log()
    .split("\n")
    .filter((line) => line.includes("signing without it"))
  expect(notices).toHaveLength(1)
  expect(notices[0]).toMatch(why)
  expect(workspace.git(repository, "log", "-1", "--format=%G?")).toBe("G")
}

async function expectRefused(code: string, why: RegExp): Promise<void> {
  const ran = await commit()
  expect(ran.status).toBe(128)
  expect(log()).toContain(`[${code}]`)
  expect(log()).toMatch(why)
  expect(workspace.tryGit(repository, "rev-parse", "HEAD").status).not.toBe(0)
}

/** Something else that listens where the agent should be. */
async function listening(onConnection: (socket: Socket) => void): Promise<Server> {
  mkdirSync(dirname(socketOf(workspace)), { mode: 0o700, recursive: true })
  const server = createServer((socket) => {
    socket.on("error", () => undefined)
    onConnection(socket)
  })
  await new Promise<void>((done) => server.listen(socketOf(workspace), done))
  return server
}

async function withListener(onConnection: (socket: Socket) => void, check: () => Promise<void>): Promise<void> {
  const server = await listening(onConnection)
  try {
    await check()
  } finally {
    server.close()
    rmSync(socketOf(workspace), { force: true })
  }
}

describe("the commit is made the ordinary way", () => {
  test("when no agent is at the path that is set", () =>
    expectOrdinary(/agent/, { GITSIGN_CREDENTIAL_CACHE: join(workspace.root, "none.sock") }))

  test("when the socket at that path is stale", async () => {
    const path = join(workspace.root, "stale.sock")
    const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`
    spawnSync(process.execPath, ["-e", script])
    expect(existsSync(path)).toBe(true)
    await expectOrdinary(/nobody listens/, { GITSIGN_CREDENTIAL_CACHE: path })
  })

  test("when a file is at that path", async () => {
    const path = join(workspace.root, "file")
    writeFileSync(path, "")
    await expectOrdinary(/socket/, { GITSIGN_CREDENTIAL_CACHE: path })
  })

  test.each([
    [
      "asks for a token again and again",
      (socket: Socket) => {
        socket.write(encodeMessage({ type: "hello", protocol: 1, program: "gitsign 1.0.0", restricted: false }))
        for (let i = 0; i < 10; i++) socket.write(encodeMessage({ type: "token_needed" }))
      },
    ],
    [
      "is a restricted agent and wants a token",
      (socket: Socket) => {
        socket.write(encodeMessage({ type: "hello", protocol: 1, program: "gitsign 1.0.0", restricted: true }))
        socket.write(encodeMessage({ type: "token_needed" }))
        socket.on("data", (chunk) => {
          if (chunk.includes("identityToken")) throw new Error("the token was given to a restricted agent")
        })
      },
    ],
    ["answers nothing", () => undefined],
    ["hangs up", (socket: Socket) => socket.end()],
    ["talks about something else", (socket: Socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["answers with a huge message", (socket: Socket) => socket.write(Buffer.alloc(1024, 0xff))],
    [
      "speaks another version",
      (socket: Socket) =>
        socket.write(encodeMessage({ type: "hello", protocol: 99, program: "gitsign 99.0.0", restricted: false })),
    ],
    [
      "answers with nonsense after a good beginning",
      (socket: Socket) => {
        socket.write(encodeMessage({ type: "hello", protocol: 1, program: "gitsign 1.0.0", restricted: false }))
        socket.write(encodeMessage({ type: "done" }))
      },
    ],
    [
      "answers with a signature for something else",
      (socket: Socket) => {
        socket.write(encodeMessage({ type: "hello", protocol: 1, program: "gitsign 1.0.0", restricted: false }))
        socket.write(
          encodeMessage({
            type: "signed",
            signature: Buffer.from("3000", "hex"),
            certificate: Buffer.from("3000", "hex"),
            signatureAlgorithm: "1.2.840.10045.4.3.3",
            logIndex: 1,
            signingTime: 1,
            fingerprint: "00".repeat(20),
          }),
        )
      },
    ],
  ] as const)("when what listens there %s", (_, onConnection) =>
    withListener(onConnection, () => expectOrdinary(/agent/)),
  )

  test("when the directory of the socket is open to others", async () => {
    mkdirSync(dirname(socketOf(workspace)), { mode: 0o755, recursive: true })
    await expectOrdinary(/open to other users/)
  })

  test("when no socket can have the path that it would have", () => {
    const long = join(workspace.root, "long".repeat(30))
    return expectOrdinary(/bytes/, { XDG_RUNTIME_DIR: long, XDG_CACHE_HOME: long })
  })

  test("when the agent does not run any more (SIGSTOP)", async () => {
    expect((await commit()).status).toBe(0)
    const { pid } = agentStatus(workspace)
    process.kill(Number(pid), "SIGSTOP")
    try {
      await expectOrdinary(/agent/)
    } finally {
      process.kill(Number(pid), "SIGCONT")
    }
  })
})

/** Signs without an agent and gives the signature to another payload, as an agent that is not to be trusted may. */
test("a signature that does not verify here never reaches git", async () => {
  const payload = join(workspace.root, "payload")
  writeFileSync(
    payload,
    "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n",
  )
  const digest = createHash("sha256").update(readFileSync(payload)).digest()
  const certificate = Buffer.from("3003020101", "hex")
  const path = join(workspace.root, "liar.sock")
  const server = createServer((socket) => {
    socket.on("error", () => undefined)
    socket.write(encodeMessage({ type: "hello", protocol: 1, program: "gitsign 1.0.0", restricted: false }))
    const made = { signature: Buffer.concat([digest, certificate]), certificate, logIndex: 1, signingTime: 1 }
    const named = { fingerprint: "00".repeat(20), signatureAlgorithm: "1.2.840.10045.4.3.3" }
    socket.write(encodeMessage({ type: "signed", ...made, ...named }))
  })
  await new Promise<void>((done) => server.listen(path, done))
  const args = ["--status-fd=2", "-bsau", "x", payload]
  const ran = await workspace.runAsync(repository, workspace.program, args, {
    env: { GITSIGN_CREDENTIAL_CACHE: path },
  })
  server.close()
  expect(ran.status).toBe(3)
  expect(ran.stdout).toBe("")
  expect(ran.stderr).toContain("[ERR_SELF_CHECK]")
  expect(ran.stderr).not.toContain("SIG_CREATED")
})

test("where consent is asked for and nobody can be asked, nothing is signed, with and without an agent", async () => {
  const env = { GITSIGN_AGENT_CONFIRM: "true", GITSIGN_LOG: join(workspace.root, "log") }
  for (const cache of ["auto", "off"]) {
    const ran = await commit({ ...env, GITSIGN_CREDENTIAL_CACHE: cache })
    expect(ran.status).toBe(128)
  }
  expect(log().match(/\[ERR_AGENT_REFUSED\]/g)).toHaveLength(2)
})

test("a locked agent signs nothing, and says how it is unlocked", async () => {
  const passphrase = join(workspace.root, "passphrase")
  writeFileSync(passphrase, "correct horse\n")
  workspace.gitsign(repository, "agent", "start")
  expect(workspace.gitsign(repository, "agent", "lock", "--passphrase-file", passphrase).status).toBe(0)
  await expectRefused("ERR_AGENT_LOCKED", /gitsign agent unlock/)
  expect(workspace.gitsign(repository, "agent", "unlock", "--passphrase-file", passphrase).status).toBe(0)
  expect((await commit()).status).toBe(0)
})

test("a log that cannot be reached fails the commit, not the agent", async () => {
  expect((await commit()).status).toBe(0)
  const { pid } = agentStatus(workspace)
  const ran = await commit({ GITSIGN_REKOR_URL: "http://127.0.0.1:9" })
  expect(ran.status).toBe(128)
  expect(log()).toMatch(/\[ERR_(NETWORK|REKOR)\]/)
  expect((await commit()).status).toBe(0)
  expect(agentStatus(workspace)).toMatchObject({ pid, state: "warm" })
})

test("kill -9 at random moments of 200 signatures: every commit is signed, and every entry is accounted for", async () => {
  const before = logSize()
  let killing = true
  let killed = 0
  const killer = (async () => {
    while (killing) {
      await new Promise((done) => setTimeout(done, 20 + Math.random() * 400))
      killed += killAgents()
    }
  })()
  for (let i = 0; i < 200; i++) {
    const ran = await commit()
    expect(ran.status, ran.stderr).toBe(0)
  }
  killing = false
  await killer
  expect(killed).toBeGreaterThan(10)
  const letters = workspace.git(repository, "log", "--format=%G?").replaceAll("\n", "")
  expect(letters).toBe("G".repeat(200))
  expect(workspace.git(repository, "fsck", "--strict")).toBe("")
  // Entries that no commit uses: each was told.
  const unused = logSize() - before - 200
  const told = log()
    .split("\n")
    .filter((line) => line.includes("may hold an entry that nothing uses")).length
  expect(unused).toBeLessThanOrEqual(told)
  const indexes = log().match(/with index (\d+)/g) ?? []
  expect(new Set(indexes).size).toBe(200)
  expect((await commit()).status).toBe(0)
}, 300_000)

/** Kills every agent of this workspace in the hardest way; returns how many there were. */
function killAgents(): number {
  const { stdout } = spawnSync("pgrep", ["-f", "--", `--socket ${socketOf(workspace)}`], { encoding: "utf8" })
  const pids = stdout.split("\n").filter((line) => line !== "")
  return pids.filter((pid) => {
    try {
      return process.kill(Number(pid), "SIGKILL")
    } catch {
      return false
    }
  }).length
}

/** How many entries the log has. */
function logSize(): number {
  const script =
    "fetch(process.argv[1]).then((r) => r.json()).then((log) => process.stdout.write(String(log.treeSize)))"
  const url = `${workspace.env.GITSIGN_REKOR_URL}/api/v1/log`
  return Number(spawnSync(process.execPath, ["-e", script, url], { encoding: "utf8" }).stdout)
}
