/**
 * The verbs of `gitsign agent` as a person types them, on a real agent and the sandbox.
 *
 * @module
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { join, resolve } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { type Schema, violations } from "../support/json-schema.ts"
import { agentStatus, socketOf, stopAgent, withAgent } from "./agent-harness.ts"
import { EMAIL, type Ran, type Services, startServices, statusOf, Workspace } from "./harness.ts"

let services: Services
let workspace: Workspace
let token: string

beforeAll(async () => {
  services = await startServices()
  token = await services.token()
}, 60_000)
afterAll(() => services?.close())

beforeEach(() => {
  workspace = new Workspace(services.environment)
  withAgent(workspace)
  workspace.env.SIGSTORE_ID_TOKEN = token
})
afterEach(() => {
  stopAgent(workspace)
  workspace.close()
})

const agent = (...args: string[]): Ran => workspace.gitsign(workspace.root, "agent", ...args)

/** The verb succeeds and says nothing to people; returns what it prints. */
function done(...args: string[]): string {
  const ran = agent(...args)
  expect([ran.status, ran.stderr]).toEqual([0, ""])
  return ran.stdout
}

const SCHEMA: Schema = JSON.parse(readFileSync(resolve(import.meta.dirname, "../../docs/agent.schema.json"), "utf8"))

/** What the verb prints in JSON, which has to be what its schema says. */
function documentOf(verb: "status" | "list", ...args: string[]) {
  const document = JSON.parse(done(verb, "--format", "json", ...args))
  expect(violations(SCHEMA, document)).toEqual([])
  return document
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("without an agent", () => {
  test("the verbs say so", () => {
    const socket = socketOf(workspace)
    expect(agent("status")).toEqual({
      status: 0,
      stdout: `no agent listens at ${socket}\n`,
      stderr: "gitsign: the next signed commit starts it\n",
    })
    expect(documentOf("status")).toEqual({ schemaVersion: 1, state: "none", socket })
    expect(agent("status", "--exit-code").status).toBe(1)
    expect(agent("list")).toEqual({ status: 0, stdout: "", stderr: `gitsign: no agent listens at ${socket}\n` })
    expect(documentOf("list")).toMatchObject({ state: "none", credentials: [] })
    expect(done("stop")).toBe(`no agent listens at ${socket}\n`)
    expect(done("clear")).toBe(`no agent listens at ${socket}\n`)
    for (const verb of ["lock", "unlock"]) {
      const ran = workspace.run(workspace.root, workspace.program, ["agent", verb, "--passphrase-file", "-"], {
        input: "x",
      })
      expect([ran.status, ran.stdout]).toEqual([3, ""])
      expect(ran.stderr).toBe(
        `gitsign: error: no agent listens at ${socket} [ERR_AGENT]\ngitsign: hint: start one with: gitsign agent start\n`,
      )
    }
    expect(existsSync(socket)).toBe(false)
  })

  test("warm asks for the setting where it is not set, and --quiet keeps still", () => {
    workspace.git(workspace.root, "config", "--global", "--unset", "gitsign.credentialCache")
    const ran = agent("warm")
    expect(ran.status).toBe(2)
    expect(ran.stderr).toContain("hint: have commits start one: git config --global gitsign.credentialCache auto\n")
    expect(agent("warm", "--quiet")).toEqual({ status: 2, stdout: "", stderr: "" })
  })

  // The Go program's cache closes the connection without a word, and so does sshd when the other end has no agent.
  test.each([
    ["", /nothing answers behind .*other\.sock \[ERR_AGENT\]\n.*hint: if it is forwarded, .* --extra-socket\n$/],
    [
      "HTTP/1.1 400 Bad Request\r\n\r\n",
      /other\.sock is not a gitsign agent \[ERR_AGENT\]\n.*hint: see what listens there, and end it: lsof .*other\.sock\n$/,
    ],
  ])("what listens and answers %j is told from none", async (answer, said) => {
    const socket = join(workspace.root, "other.sock")
    const server = await new Promise<Server>((listening) => {
      const other = createServer((connection) => connection.end(answer))
      other.listen(socket, () => listening(other))
    })
    try {
      const ran = await workspace.runAsync(workspace.root, workspace.program, ["agent", "status", "--socket", socket])
      expect([ran.status, ran.stdout]).toEqual([3, ""])
      expect(ran.stderr).toMatch(said)
    } finally {
      server.close()
    }
  })
})

describe("an agent", () => {
  test("is started once, warmed, listed, cleared and stopped", async () => {
    const socket = socketOf(workspace)
    expect(done("start")).toBe(`the agent listens at ${socket}\n`)
    expect(done("start")).toBe(`the agent listens already at ${socket}\n`)
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    expect(agent("status", "--exit-code").status).toBe(1)
    expect(done("status")).toMatch(
      /^the agent is cold\nsocket {3}\S+\nprogram {2}gitsign \S+, process \d+, since \S+ \S+ UTC\n$/,
    )
    expect(agent("list")).toEqual({ status: 0, stdout: "", stderr: "gitsign: the agent holds no credential\n" })

    const warm = agent("warm")
    expect(warm.status, warm.stderr).toBe(0)
    expect(warm.stdout).toMatch(/^warm: dev@example\.com \(http\S+\), 9 m \d+ s left\n$/)
    expect(warm.stderr).toMatch(/this identity becomes public in /)
    const repository = workspace.repository("one")
    workspace.commit(repository, "a", "1")
    workspace.commit(repository, "b", "2")
    expect(statusOf(workspace, repository).letter).toBe("G")
    expect(done("list")).toMatch(
      /^dev@example\.com {2}http\S+ {2}9 m \d+ s left {2}2 signatures, token from SIGSTORE_ID_TOKEN\n$/,
    )
    const { state, credentials } = documentOf("list")
    expect(state).toBe("warm")
    expect(credentials).toHaveLength(1)
    expect(credentials[0]).toMatchObject({
      identity: EMAIL,
      issuer: services.issuer,
      fulcio: workspace.env.GITSIGN_FULCIO_URL,
      rekor: workspace.env.GITSIGN_REKOR_URL,
      fingerprint: statusOf(workspace, repository).fingerprint.toLowerCase(),
      repository: null,
      tokenProvider: "envvar",
      committer: null,
      signatures: 2,
      unclaimed: 0,
      remaining: null,
    })
    expect(Date.parse(credentials[0].expires)).toBeGreaterThan(Date.now())
    expect(agent("status", "--exit-code").status).toBe(0)
    expect(done("status")).toMatch(/^the agent is warm, 1 credential\n/)

    expect(done("clear")).toBe("the agent has forgotten its credentials\n")
    expect(agentStatus(workspace)).toMatchObject({ state: "cold", credentials: 0 })
    const { pid = 0 } = agentStatus(workspace)
    expect(done("stop")).toBe("the agent has stopped\n")
    expect(existsSync(socket)).toBe(false)
    expect(agentStatus(workspace).state).toBe("none")
    await expect.poll(() => isAlive(pid), { timeout: 5000 }).toBe(false)
  }, 60_000)

  test("locks with a pass phrase, and opens with the same one only", () => {
    done("start")
    agent("warm")
    const file = join(workspace.root, "phrase")
    writeFileSync(file, "correct horse\n")
    const withInput = (verb: string, input: string): Ran =>
      workspace.run(workspace.root, workspace.program, ["agent", verb, "--passphrase-file", "-"], { input })
    const empty = withInput("lock", "\n")
    expect([empty.status, empty.stdout]).toEqual([2, ""])
    expect(empty.stderr).toContain("the pass phrase is empty [ERR_USAGE]\ngitsign: hint: there is nothing in stdin\n")
    expect(withInput("lock", "\xff".repeat(2000)).status).toBe(2)
    expect(agentStatus(workspace).state).toBe("warm")

    expect(done("lock", "--passphrase-file", file)).toBe("agent locked; gitsign agent unlock opens it again\n")
    expect(agent("status", "--exit-code").status).toBe(4)
    expect(agent("list").stderr).toBe("gitsign: the agent is locked and holds nothing\n")
    expect(agent("lock", "--passphrase-file", file).stderr).toContain("[ERR_AGENT_LOCKED]")
    const warm = agent("warm")
    expect([warm.status, warm.stdout]).toEqual([3, ""])
    expect(warm.stderr).toContain("[ERR_AGENT_LOCKED]\ngitsign: hint: unlock it with: gitsign agent unlock\n")
    const wrong = withInput("unlock", "correct")
    expect([wrong.status, wrong.stdout]).toEqual([3, ""])
    expect(wrong.stderr).toContain("[ERR_AGENT_REFUSED]")
    expect(agent("status", "--exit-code").status).toBe(4)
    // With or without a line feed at its end, it is the same one.
    expect(withInput("unlock", "correct horse").stdout).toBe("agent unlocked\n")
    expect(agentStatus(workspace).state).toBe("cold")
    expect(withInput("unlock", "any").stdout).toBe("the agent is not locked\n")
  }, 60_000)

  test("asks for the pass phrase at the terminal, without showing it", async () => {
    done("start")
    expect(spawnSync("script", ["--version"]).error).toBeUndefined()
    const typed = async (verb: string, keys: readonly string[]): Promise<string> => {
      const child = spawn("script", ["-qec", `"${workspace.program}" agent ${verb}; echo "exit $?"`, "/dev/null"], {
        env: { ...workspace.env, TERM: "dumb" },
        cwd: workspace.root,
        timeout: 20_000,
      })
      let shown = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const asked = shown.split(": ").length
        shown += text
        // Each question is answered when it is there: before, the terminal would show the answer itself.
        if (shown.split(": ").length > asked) child.stdin.write(keys[asked - 1] ?? "")
      })
      await new Promise((ended) => child.on("close", ended))
      return shown
    }
    const differing = await typed("lock", ["one\r", "two\r"])
    expect(differing).toContain("the two pass phrases differ [ERR_USAGE]")
    expect(differing).not.toMatch(/one|two\r/)
    const cancelled = await typed("lock", ["on\x03"])
    expect(cancelled).toContain("[ERR_CANCELLED]")
    expect(cancelled).toContain("exit 3")
    expect(agentStatus(workspace).state).toBe("cold")
    // Backspace and Ctrl-U do what they do.
    const locked = await typed("lock", ["xx\x15sä\x7fecret\r", "secret\r"])
    expect(locked).toContain("pass phrase to unlock the agent with: \r\nthe same again: \r\nagent locked")
    expect(locked).not.toContain("ecret")
    expect(agentStatus(workspace).state).toBe("locked")
    expect(await typed("unlock", ["secret\r"])).toContain("agent unlocked")
  }, 60_000)

  test("asks nobody where there is no terminal", () => {
    done("start")
    const ran = workspace.run(workspace.root, "setsid", ["-w", workspace.program, "agent", "lock"])
    expect(ran.status).toBe(2)
    expect(ran.stderr).toContain("hint: give it with --passphrase-file FILE, or - for stdin\n")
  })

  test("has a restricted socket when it is asked for one, and a log", () => {
    const log = join(workspace.root, "agent.log")
    const socket = socketOf(workspace)
    const extra = socket.replace("agent.sock", "agent.extra.sock")
    expect(done("start", "--extra-socket", "--log", log)).toBe(
      `the agent listens at ${socket}\nrestricted, for forwarding: ${extra}\n`,
    )
    agent("warm")
    const status = documentOf("status", "--socket", extra)
    expect(status).toMatchObject({ state: "warm", restricted: true, socket: extra })
    for (const verb of ["list", "clear", "stop", "warm"]) {
      const ran = agent(verb, "--socket", extra)
      expect([ran.status, ran.stdout], verb).toEqual([3, ""])
      expect(ran.stderr, verb).toContain("[ERR_AGENT_REFUSED]")
    }
    expect(agentStatus(workspace).state).toBe("warm")
    done("stop")
    expect(existsSync(extra)).toBe(false)
    const text = readFileSync(log, "utf8")
    expect(text).not.toBe("")
    expect(text).not.toContain(token)
    expect(text).not.toContain("eyJ")
    expect(statSync(log).mode & 0o777).toBe(0o600)
  }, 60_000)

  test("on a socket of one's own says how commits come to use it", () => {
    const socket = join(workspace.root, "my sockets")
    mkdirSync(socket, { mode: 0o700 })
    const ran = agent("start", "--socket", "my sockets/a.sock")
    expect(ran).toEqual({
      status: 0,
      stdout: `the agent listens at ${socket}/a.sock\n`,
      stderr: `gitsign: hint: to have commits use it: git config --global gitsign.credentialCache '${socket}/a.sock'\n`,
    })
    const { status } = agent("stop", "--socket", `${socket}/a.sock`)
    expect(status).toBe(0)
  })

  test("takes its settings from the person, not from the repository it is started in", async () => {
    const repository = workspace.repository("strict")
    workspace.git(repository, "config", "gitsign.agentMaxSignatures", "1")
    const start = workspace.gitsign(repository, "agent", "start")
    expect(start.status, start.stderr).toBe(0)
    const other = workspace.repository("other")
    for (const file of ["a", "b", "c"]) workspace.commit(other, file, file)
    expect(documentOf("list").credentials[0]).toMatchObject({
      signatures: 3,
      remaining: null,
    })
    done("stop")
    workspace.git(workspace.root, "config", "--global", "gitsign.agentMaxSignatures", "2")
    done("start")
    workspace.commit(other, "d", "d")
    expect(documentOf("list").credentials[0]).toMatchObject({ signatures: 1, remaining: 1 })
    expect(done("list")).toMatch(/ {2}1 signature, 1 more allowed, token from SIGSTORE_ID_TOKEN\n$/)
  }, 60_000)

  test("that cannot start says why, on its own and in the foreground", () => {
    const folder = join(workspace.root, "loose")
    mkdirSync(folder)
    spawnSync("chmod", ["0777", folder])
    const socket = join(folder, "a.sock")
    const ran = agent("start", "--socket", socket)
    const problem = `the directory of the agent's socket is open to other users (mode 777): ${folder} [ERR_AGENT_SOCKET]
gitsign: hint: close it with: chmod 0700 ${folder}
`
    expect(ran).toEqual({ status: 2, stdout: "", stderr: `gitsign: error: the agent did not start: ${problem}` })
    // Once, although nobody's terminal is there: stdout is for those who have started it.
    const foreground = agent("start", "--foreground", "--socket", socket)
    expect(foreground).toEqual({ status: 2, stdout: "", stderr: `gitsign: error: ${problem}` })
    expect(existsSync(socket)).toBe(false)
    workspace.env.GITSIGN_CREDENTIAL_CACHE = "auto"
    mkdirSync(join(socketOf(workspace), ".."), { mode: 0o755 })
    expect(agent("status").stderr).toMatch(
      /^gitsign: it cannot start: .*\(mode 755\).*\ngitsign: hint: close it with: chmod /,
    )
    workspace.git(workspace.root, "config", "--global", "gitsign.agentLifetime", "long")
    const wrong = agent("start")
    expect([wrong.status, wrong.stdout]).toEqual([2, ""])
    expect(wrong.stderr).toMatch(
      /^gitsign: error: the agent did not start: gitsign\.agentLifetime is "long" .* \[ERR_CONFIG\]\n/,
    )
  })

  test("keeps the sockets and the log it was started with, and says so", () => {
    const socket = socketOf(workspace)
    const extra = socket.replace("agent.sock", "agent.extra.sock")
    done("start")
    expect(documentOf("status")).toMatchObject({ restricted: false, extraSocket: null })
    expect(agent("start", "--extra-socket")).toEqual({
      status: 3,
      stdout: "",
      stderr:
        "gitsign: error: the running agent has no restricted socket [ERR_AGENT]\n" +
        "gitsign: hint: gitsign agent stop && gitsign agent start --extra-socket\n",
    })
    const log = agent("start", "--log", "new/agent.log")
    expect(log.status).toBe(3)
    expect(log.stderr).toContain("hint: gitsign agent stop && gitsign agent start --log new/agent.log\n")
    expect(statSync(join(workspace.root, "new")).mode & 0o777).toBe(0o700)
    done("stop")
    const both = `restricted, for forwarding: ${extra}\n`
    expect(done("start", "--extra-socket")).toBe(`the agent listens at ${socket}\n${both}`)
    expect(done("start", "--extra-socket")).toBe(`the agent listens already at ${socket}\n${both}`)
    expect(done("start")).toBe(`the agent listens already at ${socket}\n${both}`)
    expect(done("status")).toContain(`\nforward  ${extra}, restricted\n`)
    expect(documentOf("status")).toMatchObject({ restricted: false, extraSocket: extra })
    expect(documentOf("status", "--socket", extra)).not.toHaveProperty("extraSocket")
    const other = agent("start", "--extra-socket", "other.sock")
    expect([other.status, other.stderr]).toEqual([3, expect.stringContaining("no restricted socket at /")])
    // Nobody is asked for a pass phrase in vain.
    const locked = agent("lock", "--socket", extra, "--passphrase-file", "missing")
    expect([locked.status, locked.stderr]).toEqual([3, expect.stringContaining("[ERR_AGENT_REFUSED]")])
  }, 60_000)

  test("can be stopped whatever else is wrong with the settings", () => {
    const socket = socketOf(workspace)
    done("start")
    workspace.git(workspace.root, "config", "--global", "gitsign.rekorMode", "nonsense")
    workspace.env.GITSIGN_AGENT_LIFETIME = "long"
    expect(done("status")).toContain("the agent is cold")
    expect(agent("list").status).toBe(0)
    expect(done("clear")).toBe("the agent has forgotten its credentials\n")
    writeFileSync(join(workspace.root, "phrase"), "x")
    expect(done("lock", "--passphrase-file", "phrase")).toContain("agent locked")
    const config = join(workspace.env.HOME ?? "", ".gitconfig")
    writeFileSync(config, "[broken")
    expect(agent("stop").status).toBe(2)
    expect(done("status", "--socket", socket)).toContain("the agent is locked")
    expect(done("stop", "--socket", socket)).toBe("the agent has stopped\n")
  }, 60_000)

  test("tells the committer that a credential is for", () => {
    workspace.git(workspace.root, "config", "--global", "gitsign.matchCommitter", "true")
    workspace.git(workspace.root, "config", "--global", "user.email", EMAIL)
    const warm = agent("warm")
    expect(warm.status, warm.stderr).toBe(0)
    expect(done("list")).toContain(`, for committer ${EMAIL}, token from SIGSTORE_ID_TOKEN\n`)
    expect(documentOf("list").credentials[0]).toMatchObject({ committer: EMAIL })
  })
})

describe("gitsign-credential-cache", () => {
  const script = resolve(import.meta.dirname, "../../dist/gitsign-credential-cache.cjs")
  let child: ChildProcess | undefined
  afterEach(() => {
    child?.kill("SIGKILL")
    child = undefined
  })

  test("has the flags of the Go program", () => {
    const run = (flag: string): Ran => workspace.run(workspace.root, process.execPath, [script, flag])
    for (const flag of ["-v", "--version"]) {
      expect(run(flag).stdout).toMatch(/^gitsign-credential-cache version \d+\.\d+\.\d+\n$/)
    }
    expect(run("--help").stdout).toContain("--systemd-socket-activation")
    const unknown = run("--nonsense")
    expect(unknown.status).toBe(2)
    expect(unknown.stderr).toMatch(
      /^gitsign: error: .*nonsense.* \[ERR_USAGE\]\ngitsign: hint: see: gitsign-credential-cache --help\n$/,
    )
    // Without a socket from systemd it does not quietly make one.
    const activation = run("--systemd-socket-activation")
    expect(activation.status).toBe(3)
    expect(activation.stderr).toContain("systemd has handed over no socket")
  })

  test("listens on the Go program's socket, says where, and serves commits", async () => {
    child = spawn(process.execPath, [script], {
      env: workspace.env,
      cwd: workspace.root,
      stdio: ["ignore", "pipe", "ignore"],
    })
    const socket = join(workspace.env.XDG_CACHE_HOME ?? "", "sigstore/gitsign/cache.sock")
    const said = await new Promise<string>((answer) => child?.stdout?.once("data", (text) => answer(String(text))))
    expect(said).toBe(`${socket}\n`)
    workspace.env.GITSIGN_CREDENTIAL_CACHE = socket
    const repository = workspace.repository("cached")
    workspace.commit(repository, "a", "1")
    workspace.commit(repository, "b", "1")
    expect(documentOf("list").credentials[0]).toMatchObject({ signatures: 2 })
    const ended = new Promise((status) => child?.on("exit", status))
    child.kill("SIGTERM")
    expect(await ended).toBe(0)
    expect(existsSync(socket)).toBe(false)
  }, 60_000)
})
