/**
 * `gitsign resign` where something goes wrong: the branch, the notes and everything else are as they were. And with how many logins it
 * does it.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process"
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { agentStatus, loginEnvironment, loginsIn, socketOf, stopAgent, withAgent } from "./agent-harness.ts"
import { type Fault, type FaultyProxy, startFaultyProxy } from "./faulty-proxy.ts"
import { type Ran, type Services, startServices, Workspace } from "./harness.ts"
import { commitsOf, expectResigned } from "./resign-history.ts"

let services: Services
let token: string
let workspace: Workspace
let repository: string
let proxy: FaultyProxy | undefined

beforeAll(async () => {
  services = await startServices()
  token = await services.token()
}, 60_000)

afterAll(() => services?.close())

beforeEach(() => {
  workspace = new Workspace(services.environment)
  workspace.git(workspace.root, "config", "--global", "commit.gpgsign", "false")
  workspace.git(workspace.root, "config", "--global", "tag.gpgsign", "false")
})

afterEach(async () => {
  await proxy?.close()
  proxy = undefined
  if (workspace.env.XDG_RUNTIME_DIR !== undefined) stopAgent(workspace)
  workspace.close()
})

/** Makes `repository` with a first commit and this many unsigned ones after it, the last of which has a note. */
function unsigned(count: number): void {
  repository = workspace.repository("history")
  const commits = Array.from(
    { length: count + 1 },
    (_, index) =>
      `commit refs/heads/main\ncommitter A Developer <dev@example.com> ${1_700_000_000 + index} +0000\ndata 7\ncommit\n\n` +
      `M 644 inline file-${index}\ndata 2\n${index % 10}\n\n`,
  )
  workspace.run(repository, "git", ["fast-import", "--quiet"], { input: commits.join("") })
  workspace.git(repository, "reset", "--quiet", "--hard", "main")
  workspace.git(repository, "tag", "first", `HEAD~${count}`)
  workspace.git(repository, "notes", "add", "-m", "noted", "HEAD")
}

const resign = (env: Record<string, string> = {}, started?: (child: ChildProcess) => void): Promise<Ran> =>
  workspace.runAsync(repository, workspace.program, ["resign", "first.."], {
    env,
    // Without a terminal, and so that one signal reaches it and all that it has started.
    detached: true,
    timeout: 120_000,
    ...(started === undefined ? {} : { started }),
  })

/** Everything that a failure must leave as it is. */
const stateOf = (): string =>
  [
    workspace.git(repository, "for-each-ref"),
    workspace.git(repository, "symbolic-ref", "HEAD"),
    workspace.git(repository, "status", "--porcelain"),
    workspace.git(repository, "reflog"),
  ].join("\n")

/** Runs it, and expects that it fails so and changes nothing. */
async function expectNothingChanged(run: () => Promise<Ran>, code: string, message: RegExp, status = 3): Promise<Ran> {
  const before = stateOf()
  const ran = await run()
  expect(ran.stderr).toContain(`[${code}]`)
  expect(ran.stderr).toMatch(message)
  expect(ran.status).toBe(status)
  expect(ran.stdout).toBe("")
  expect(stateOf()).toBe(before)
  expect(workspace.git(repository, "fsck", "--strict", "--no-dangling")).toBe("")
  return ran
}

/** Has the log fail in this way, and returns what makes gitsign use it. */
async function rekorWith(fault: Fault): Promise<Record<string, string>> {
  proxy = await startFaultyProxy(services.environment.GITSIGN_REKOR_URL ?? "", "/api/", fault)
  return { GITSIGN_REKOR_URL: proxy.url }
}

/** Waits until the log has been asked so often. */
async function afterRequests(count: number): Promise<void> {
  const deadline = performance.now() + 30_000
  while ((proxy?.requests() ?? 0) < count) {
    if (performance.now() > deadline) throw new Error("the log is not asked")
    await new Promise((done) => setTimeout(done, 20))
  }
}

const SLOW: Fault = { kind: "slow", milliseconds: 150 }

// The issuers of other servers may have no form, or know nobody by name.
const onSandbox = process.env.GITSIGN_E2E_FULCIO_URL === undefined

describe.runIf(onSandbox)("logins", () => {
  let logins: string

  const expectSigned = async (kept: readonly string[] = []): Promise<Ran> => {
    const before = commitsOf(workspace, repository, "first..")
    const ran = await resign()
    expect(ran.status, ran.stderr).toBe(0)
    expectResigned(workspace, repository, before, commitsOf(workspace, repository, "first.."), kept)
    expect(workspace.git(repository, "notes", "show", "HEAD")).toBe("noted")
    return ran
  }

  const certificates = (): number =>
    new Set(workspace.git(repository, "log", "--format=%GF", "first..").split("\n")).size

  test("one for all commits, without the agent", async () => {
    unsigned(25)
    logins = join(workspace.root, "logins")
    Object.assign(workspace.env, loginEnvironment(logins))
    const ran = await expectSigned()
    expect(loginsIn(logins)).toBe(1)
    expect(certificates()).toBe(1)
    expect(ran.stderr.match(/signing as dev@example\.com/g)).toHaveLength(1)
  }, 120_000)

  test("one for all commits, with the agent; none where it is warm", async () => {
    unsigned(25)
    logins = withAgent(workspace)
    Object.assign(workspace.env, loginEnvironment(logins))
    await expectSigned()
    expect(agentStatus(workspace)).toMatchObject({ state: "warm", credentials: 1 })
    const kept = commitsOf(workspace, repository, "first..")
    workspace.git(repository, "commit", "--quiet", "--allow-empty", "-m", "x")
    workspace.git(repository, "notes", "add", "-m", "noted", "HEAD")
    await expectSigned(kept)
    expect(loginsIn(logins)).toBe(1)
    expect(certificates()).toBe(1)
  }, 120_000)

  test.each([["with"], ["without"]])(
    "another one when the certificate ends on the way, %s the agent",
    async (agent) => {
      unsigned(8)
      logins = agent === "with" ? withAgent(workspace) : join(workspace.root, "logins")
      Object.assign(workspace.env, loginEnvironment(logins), { GITSIGN_AGENT_MAX_SIGNATURES: "3" })
      await expectSigned()
      expect(loginsIn(logins)).toBe(3)
      expect(certificates()).toBe(3)
    },
    120_000,
  )

  test("another login that is refused on the way leaves everything as it was", async () => {
    unsigned(8)
    logins = join(workspace.root, "logins")
    Object.assign(workspace.env, loginEnvironment(logins), { GITSIGN_AGENT_MAX_SIGNATURES: "3" })
    // The first time somebody logs in, then nobody wants to any more.
    const browser = resolve(import.meta.dirname, "browser.mjs")
    const opener = join(workspace.root, "opener")
    const answer = 'if [ -e "$0.used" ]; then answer=deny; else answer=continue; fi; : >"$0.used"'
    writeFileSync(
      opener,
      `#!/bin/sh\n${answer}\nexec "${process.execPath}" "${browser}" $answer dev@example.com "$1"\n`,
    )
    chmodSync(opener, 0o755)
    const env = { GITSIGN_URL_OPENER: `"${opener}" {{.URL}}` }
    const ran = await expectNothingChanged(() => resign(env), "ERR_OIDC", /denied|refused|did not/)
    expect(ran.stderr).toContain("main is as it was; the log may hold 3 entries that nothing uses")
    expect(loginsIn(logins)).toBe(2)
  }, 120_000)

  test("goes on without the agent when that ends on the way", async () => {
    unsigned(12)
    logins = withAgent(workspace)
    Object.assign(workspace.env, loginEnvironment(logins), await rekorWith(SLOW))
    const before = commitsOf(workspace, repository, "first..")
    // On a socket of one's own choice gitsign starts none.
    const socket = socketOf(workspace)
    expect(workspace.gitsign(workspace.root, "agent", "start").status).toBe(0)
    const running = resign({ GITSIGN_CREDENTIAL_CACHE: socket })
    await afterRequests(4)
    expect((await workspace.runAsync(workspace.root, workspace.program, ["agent", "stop"])).status).toBe(0)
    const ended = await running
    expect(ended.status, ended.stderr).toBe(0)
    expect(ended.stderr.match(/signing without it/g)).toHaveLength(1)
    expect(loginsIn(logins)).toBe(2)
    expect(certificates()).toBe(2)
    expectResigned(workspace, repository, before, commitsOf(workspace, repository, "first.."))
  }, 120_000)
})

describe("a failure half way changes nothing", () => {
  beforeEach(() => {
    workspace.env.SIGSTORE_ID_TOKEN = token
    unsigned(8)
  })

  test("a log that does not answer any more", async () => {
    const fault = { ...SLOW }
    const env = await rekorWith(fault)
    const ran = await expectNothingChanged(
      async () => {
        const running = resign(env)
        await afterRequests(4)
        Object.assign(fault, { kind: "reset" })
        return running
      },
      "ERR_NETWORK",
      /main is as it was; the log may hold \d entries that nothing uses/,
    )
    expect(ran.stderr).not.toContain("should not have happened")
  }, 60_000)

  test("a log that answers nonsense", async () => {
    const fault = { ...SLOW }
    const env = await rekorWith(fault)
    await expectNothingChanged(
      async () => {
        const running = resign(env)
        await afterRequests(4)
        Object.assign(fault, { kind: "garbage" })
        return running
      },
      "ERR_REKOR",
      /main is as it was/,
    )
  }, 60_000)

  test("a token that has expired", async () => {
    const [header, , signature] = token.split(".")
    const claims = { ...JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()), exp: 1_700_000_000 }
    const expired = [header, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".")
    const run = (): Promise<Ran> => resign({ SIGSTORE_ID_TOKEN: expired })
    const ran = await expectNothingChanged(run, "ERR_TOKEN_EXPIRED", /main is as it was\n/)
    expect(ran.stderr).not.toContain(expired)
  })

  test.each([["SIGINT"], ["SIGTERM"], ["SIGHUP"]] as const)(
    "%s",
    async (signal) => {
      const env = await rekorWith(SLOW)
      let child: ChildProcess | undefined
      await expectNothingChanged(
        async () => {
          const running = resign(env, (started) => {
            child = started
          })
          await afterRequests(4)
          // As a terminal does it: to every process of the group.
          process.kill(-(child?.pid ?? 0), signal)
          return running
        },
        "ERR_CANCELLED",
        new RegExp(`cancelled by ${signal}[\\s\\S]*hint: main is as it was; the log may hold \\d entries`),
      )
      // And the next run is not hindered by it.
      expect((await resign()).status).toBe(0)
    },
    60_000,
  )

  test("a disk that takes nothing more", async () => {
    // git is ended when its file would become larger than files may be.
    const script = "ulimit -f 0; exec gitsign resign first.."
    // Whoever logs to a file is ended at the first line of it.
    const env = { GITSIGN_LOG: "", GIT_TRACE: "0" }
    const run = (): Promise<Ran> => workspace.runAsync(repository, "sh", ["-c", script], { detached: true, env })
    await expectNothingChanged(run, "ERR_RESIGN", /git could not write a commit/)
    // And no file can be made at all where the objects go.
    workspace.git(repository, "gc", "--quiet", "--prune=now")
    const objects = join(repository, ".git/objects")
    const names = Array.from({ length: 256 }, (_, index) => join(objects, index.toString(16).padStart(2, "0")))
    for (const name of names) writeFileSync(name, "")
    const ran = await resign()
    for (const name of names) rmSync(name)
    await expectNothingChanged(async () => ran, "ERR_RESIGN", /git could not write a commit: unable to /)
  }, 60_000)

  test.each([
    ["the branch goes on", () => workspace.git(repository, "commit", "--quiet", "--allow-empty", "-m", "meanwhile")],
    ["the branch goes back", () => workspace.git(repository, "reset", "--quiet", "--hard", "HEAD~1")],
  ])(
    "%s meanwhile",
    async (_, change) => {
      const running = resign(await rekorWith(SLOW))
      await afterRequests(3)
      change()
      const now = stateOf()
      const ran = await running
      expect(ran.stderr).toMatch(
        /refs\/heads\/main was at \w+ and is at \w+ now: it was changed meanwhile \[ERR_RESIGN\]/,
      )
      expect(ran.status).toBe(3)
      expect(stateOf()).toBe(now)
    },
    60_000,
  )

  test("a merge is begun meanwhile", async () => {
    const running = resign(await rekorWith(SLOW))
    await afterRequests(3)
    writeFileSync(join(repository, ".git/MERGE_HEAD"), `${workspace.git(repository, "rev-parse", "first")}\n`)
    const now = stateOf()
    const ran = await running
    expect(ran.stderr).toMatch(/a merge of main is under way here \[ERR_RESIGN\]/)
    expect(stateOf()).toBe(now)
  }, 60_000)

  test("another branch is checked out meanwhile, which is none", async () => {
    const before = commitsOf(workspace, repository, "first..main")
    const running = resign(await rekorWith(SLOW))
    await afterRequests(3)
    workspace.git(repository, "switch", "--quiet", "-c", "other", "first")
    const ran = await running
    expect(ran.status, ran.stderr).toBe(0)
    expectResigned(workspace, repository, before, commitsOf(workspace, repository, "first..main"))
    expect(workspace.git(repository, "rev-parse", "HEAD")).toBe(workspace.git(repository, "rev-parse", "first"))
  }, 60_000)

  test.each([["refs/heads/main"], ["refs/notes/commits"]])(
    "%s is locked",
    async (ref) => {
      writeFileSync(join(repository, `.git/${ref}.lock`), "")
      const ran = await expectNothingChanged(() => resign(), "ERR_RESIGN", /git did not move the refs: .*lock/)
      expect(ran.stderr).toContain("main is as it was")
      rmSync(join(repository, `.git/${ref}.lock`))
      expect((await resign()).status).toBe(0)
    },
    60_000,
  )

  test("a hook refuses", async () => {
    const hooks = join(repository, ".git/hooks")
    mkdirSync(hooks, { recursive: true })
    writeFileSync(join(hooks, "reference-transaction"), '#!/bin/sh\n[ "$1" != prepared ] || exit 1\n')
    chmodSync(join(hooks, "reference-transaction"), 0o755)
    await expectNothingChanged(() => resign(), "ERR_RESIGN", /git did not move the refs: .*hook/)
  }, 60_000)

  test("a question that nobody is there to answer", async () => {
    const run = (): Promise<Ran> => resign({ GITSIGN_AGENT_CONFIRM: "true" })
    await expectNothingChanged(run, "ERR_AGENT_REFUSED", /no terminal to ask at/)
  })
})

describe("settings", () => {
  beforeEach(() => {
    workspace.env.SIGSTORE_ID_TOKEN = token
    unsigned(3)
  })

  test("gitsign.matchCommitter is about the committer that the commit names", async () => {
    workspace.git(repository, "config", "gitsign.matchCommitter", "true")
    expect((await resign()).status).toBe(0)
    const other = { GIT_COMMITTER_NAME: "Somebody", GIT_COMMITTER_EMAIL: "else@example.com" }
    workspace.run(repository, "git", ["commit", "--quiet", "--allow-empty", "-m", "x"], { env: other })
    const message = /the committer of \w{12} is Somebody <else@example\.com>/
    await expectNothingChanged(() => resign(), "ERR_COMMITTER", message, 1)
    // A name alone does not do where the certificate has an address.
    workspace.git(repository, "reset", "--quiet", "--hard", "HEAD~1")
    const name = { GIT_COMMITTER_EMAIL: "else@example.com" }
    workspace.run(repository, "git", ["commit", "--quiet", "--allow-empty", "-m", "x"], { env: name })
    await expectNothingChanged(() => resign(), "ERR_COMMITTER", /the certificate names dev@example\.com/, 1)
  }, 60_000)

  test.each([
    ["online mode", { GITSIGN_REKOR_MODE: "online" }],
    ["a timestamp authority", undefined],
  ])(
    "%s",
    async (_, env) => {
      Object.assign(workspace.env, env ?? services.timestampEnvironment)
      const before = commitsOf(workspace, repository, "first..")
      const ran = await resign()
      expect(ran.status, ran.stderr).toBe(0)
      expectResigned(workspace, repository, before, commitsOf(workspace, repository, "first.."))
      expect(workspace.gitsign(repository, "verify", "--any-identity", "first..").status).toBe(0)
      expect((await resign()).stdout).toMatch(/^nothing to do/)
    },
    60_000,
  )

  test("a log that cannot be asked whether commits are in order; --all does not ask", async () => {
    workspace.env.GITSIGN_REKOR_MODE = "online"
    expect((await resign()).status).toBe(0)
    rmSync(join(workspace.root, "home/.cache"), { recursive: true, force: true })
    const env = await rekorWith({ kind: "reset" })
    await expectNothingChanged(() => resign(env), "ERR_REKOR", /whether \w{12} is in order is not known[\s\S]*--all/)
    await proxy?.close()
    expect(workspace.gitsign(repository, "resign", "--all", "first..").status).toBe(0)
  }, 60_000)
})
