/**
 * The signing agent with real git: one login for a rebase, for everything at once, and across interruptions.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { agentStatus, loginEnvironment, loginsIn, stopAgent, withAgent } from "./agent-harness.ts"
import { type Services, startServices, Workspace } from "./harness.ts"

let services: Services
let workspace: Workspace
let logins: string

beforeAll(async () => {
  services = await startServices()
}, 60_000)

afterAll(() => services?.close())

beforeEach(() => {
  workspace = new Workspace(services.environment)
  logins = withAgent(workspace)
})

afterEach(() => {
  stopAgent(workspace)
  workspace.close()
})

/** A repository with a first commit and this many unsigned ones after it. */
function unsigned(count: number): string {
  const repository = workspace.repository("history")
  const commits = Array.from(
    { length: count + 1 },
    (_, index) =>
      `commit refs/heads/main\ncommitter A Developer <dev@example.com> ${1_700_000_000 + index} +0000\ndata 7\ncommit\n\n` +
      `M 644 inline file-${index}\ndata 2\n${index % 10}\n\n`,
  )
  const imported = workspace.run(repository, "git", ["fast-import", "--quiet"], { input: commits.join("") })
  expect(imported.stderr).toBe("")
  workspace.git(repository, "reset", "--quiet", "--hard", "main")
  workspace.git(repository, "update-ref", "refs/heads/FIRST", `HEAD~${count}`)
  return repository
}

/** Re-signs everything but the first commit. */
const REBASE = ["rebase", "--quiet", "--force-rebase", "-S", "FIRST"]

/** What git says of every commit but the first: how many there are, with which letters, by how many certificates. */
function signaturesOf(repository: string): { commits: number; letters: string; certificates: number } {
  const lines = workspace.git(repository, "log", "--format=%G? %GF", "FIRST..HEAD").split("\n")
  const letters = new Set(lines.map((line) => line[0]))
  return {
    commits: lines.length,
    letters: [...letters].join(""),
    certificates: new Set(lines.map((line) => line.slice(2))).size,
  }
}

// The issuers of other servers may have no form, or know nobody by name.
const onSandbox = process.env.GITSIGN_E2E_FULCIO_URL === undefined

describe.runIf(onSandbox)("one login", () => {
  beforeEach(() => {
    Object.assign(workspace.env, loginEnvironment(logins))
  })

  test("for a rebase of 100 commits, every one of which verifies", async () => {
    const repository = unsigned(100)
    const ran = await workspace.runAsync(repository, "git", REBASE, { timeout: 120_000 })
    expect(ran.status, ran.stderr).toBe(0)
    expect(loginsIn(logins)).toBe(1)
    expect(signaturesOf(repository)).toEqual({ commits: 100, letters: "G", certificates: 1 })
    expect(workspace.git(repository, "fsck", "--strict")).toBe("")
    expect(agentStatus(workspace)).toMatchObject({ state: "warm", credentials: 1 })
  }, 240_000)

  test("for 200 signers at once on an empty agent", async () => {
    const repository = unsigned(1)
    const payload = join(workspace.root, "payload")
    workspace.run(repository, "sh", ["-c", 'git cat-file commit HEAD > "$0"', payload])
    const args = ["--status-fd=2", "-bsau", "x", payload]
    // It is there, and has nothing yet. Two hundred processes at once leave a small machine no time to start a further one.
    expect(workspace.gitsign(repository, "agent", "start").status).toBe(0)
    const all = await Promise.all(
      Array.from({ length: 200 }, () => workspace.runAsync(repository, workspace.program, args, { timeout: 120_000 })),
    )
    expect(all.filter(({ status }) => status !== 0).map(({ stderr }) => stderr)).toEqual([])
    expect(loginsIn(logins)).toBe(1)
    expect(new Set(all.map(({ stdout }) => stdout)).size).toBe(200)
    const fingerprints = all.map(({ stderr }) => /SIG_CREATED.* (\w{40})/.exec(stderr)?.[1])
    expect(new Set(fingerprints).size).toBe(1)
  }, 240_000)

  test("for all repositories, and one for each when the scope says so", () => {
    const [first, second] = [workspace.repository("first"), workspace.repository("second")]
    workspace.commit(first, "a", "1\n")
    workspace.commit(second, "a", "1\n")
    expect(loginsIn(logins)).toBe(1)
    workspace.env.GITSIGN_CREDENTIAL_CACHE_SCOPE = "repository"
    workspace.commit(first, "a", "2\n")
    workspace.commit(second, "a", "2\n")
    workspace.commit(first, "a", "3\n")
    expect(loginsIn(logins)).toBe(3)
  })

  test("another one when the credential ends in the middle of a rebase", async () => {
    workspace.env.GITSIGN_AGENT_LIFETIME = "2"
    const repository = unsigned(60)
    const args = [...REBASE, "--exec", "sleep 0.05"]
    const ran = await workspace.runAsync(repository, "git", args, { timeout: 120_000 })
    expect(ran.status, ran.stderr).toBe(0)
    const { commits, letters, certificates } = signaturesOf(repository)
    expect({ commits, letters }).toEqual({ commits: 60, letters: "G" })
    expect(certificates).toBeGreaterThan(1)
    expect(loginsIn(logins)).toBe(certificates)
  }, 240_000)

  test("where nobody can answer, the rebase stops and goes on later", async () => {
    workspace.env.GITSIGN_AGENT_LIFETIME = "2"
    const repository = unsigned(60)
    const log = join(workspace.root, "log")
    const warm = workspace.gitsign(repository, "agent", "warm")
    expect(warm.status, warm.stderr).toBe(0)
    delete workspace.env.GITSIGN_URL_OPENER
    const args = [...REBASE, "--exec", "sleep 0.05"]
    const ran = await workspace.runAsync(repository, "git", args, {
      env: { GITSIGN_LOG: log },
      timeout: 120_000,
      // A session of its own has no terminal that could be asked.
      detached: true,
    })
    expect(ran.status).not.toBe(0)
    expect(readFileSync(log, "utf8")).toMatch(/no terminal to ask for a login \[ERR_NO_TOKEN\]/)
    Object.assign(workspace.env, loginEnvironment(logins))
    const resumed = await workspace.runAsync(repository, "git", ["rebase", "--continue"], {
      env: { GIT_EDITOR: "true" },
      timeout: 120_000,
    })
    expect(resumed.status, resumed.stderr).toBe(0)
    // git commits what it had picked and then picks it again: there may be an empty commit more.
    expect(signaturesOf(repository)).toMatchObject({ letters: "G" })
    expect(workspace.git(repository, "diff", "ORIG_HEAD", "HEAD")).toBe("")
    expect(Number(workspace.git(repository, "rev-list", "--count", "FIRST..HEAD"))).toBeGreaterThanOrEqual(60)
  }, 240_000)
})

test("Ctrl-C in a rebase leaves the agent and the rebase able to go on", async () => {
  workspace.env.SIGSTORE_ID_TOKEN = await services.token()
  const repository = unsigned(60)
  const warm = workspace.gitsign(repository, "agent", "warm")
  expect(warm.status, warm.stderr).toBe(0)
  const before = agentStatus(workspace)
  await interrupted(repository, REBASE, 12)
  for (const picked of [24, 36]) {
    pickWhatIsMissing(repository)
    await interrupted(repository, ["rebase", "--continue"], picked)
  }
  expect(agentStatus(workspace)).toMatchObject({ pid: before.pid, state: "warm" })
  pickWhatIsMissing(repository)
  const ran = await workspace.runAsync(repository, "git", ["rebase", "--continue"], {
    env: { GIT_EDITOR: "true" },
    timeout: 120_000,
  })
  expect(ran.status, ran.stderr).toBe(0)
  expect(signaturesOf(repository)).toEqual({ commits: 60, letters: "G", certificates: 1 })
  expect(workspace.git(repository, "status", "--porcelain")).toBe("")
  // A commit that was written and that no ref got to know is whole, and belongs to nothing.
  expect(workspace.git(repository, "fsck", "--strict", "--no-dangling")).toBe("")
}, 240_000)

/**
 * Brings back the commit that an interrupted rebase lost, as docs/agent.md says: git (before 2.50 at least, with or
 * without signatures) takes a commit off its list before it has written it. `--continue` cannot know of it then,
 * whether nothing of it, its files or all of it but the commit was there.
 */
function pickWhatIsMissing(repository: string): void {
  const state = join(repository, ".git/rebase-merge")
  const next = /^pick (\S+)/m.exec(readFileSync(join(state, "git-rebase-todo"), "utf8"))?.[1]
  const last = next === undefined ? "ORIG_HEAD" : `${next}^`
  workspace.git(repository, "reset", "--quiet", "--hard")
  workspace.git(repository, "clean", "--quiet", "--force")
  if (workspace.git(repository, "diff", "--name-only", "HEAD", last) === "") return
  workspace.git(repository, "cherry-pick", last)
}

/**
 * Runs git in a process group of its own, as a shell does, and interrupts the whole group somewhere in the commit after
 * so many were picked.
 */
async function interrupted(repository: string, args: readonly string[], picked: number): Promise<void> {
  const child: ChildProcess = spawn("git", args, {
    cwd: repository,
    env: { ...workspace.env, GIT_EDITOR: "true" },
    stdio: "ignore",
    detached: true,
  })
  const ended = new Promise((done) => child.on("close", done))
  const group = -(child.pid ?? 0)
  const done = join(repository, ".git/rebase-merge/done")
  const reached = () => existsSync(done) && readFileSync(done, "utf8").split("\n").length > picked
  await expect.poll(reached, { timeout: 60_000, interval: 5 }).toBe(true)
  await setTimeout(Math.random() * 60)
  process.kill(group, "SIGINT")
  await ended
  // What git has started may take a moment longer than git itself, and holds locks until it ends.
  await expect.poll(() => isRunning(group), { timeout: 20_000 }).toBe(false)
  // git that is interrupted between making a lock and noting it leaves it, and says to remove it by hand.
  const names = readdirSync(join(repository, ".git"), { recursive: true, encoding: "utf8" })
  for (const name of names) if (name.endsWith(".lock")) rmSync(join(repository, ".git", name), { force: true })
}

function isRunning(group: number): boolean {
  try {
    return process.kill(group, 0)
  } catch {
    return false
  }
}
