/**
 * hooks/prepare-commit-msg with real git: the login happens while the message is written, and nothing waits for it.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { loginEnvironment, loginsIn, stopAgent, withAgent } from "../e2e/agent-harness.ts"
import { type Ran, type Services, startServices, statusOf, Workspace } from "../e2e/harness.ts"

const HOOK = resolve(import.meta.dirname, "../../hooks/prepare-commit-msg")

let services: Services
let workspace: Workspace
let repository: string
let editor: string
let logins: string

beforeAll(async () => {
  services = await startServices()
}, 60_000)
afterAll(() => services?.close())

beforeEach(() => {
  workspace = new Workspace(services.environment)
  logins = withAgent(workspace)
  repository = workspace.repository("project")
  editor = join(workspace.root, "editor")
  copyFileSync(HOOK, join(repository, ".git/hooks/prepare-commit-msg"))
  chmodSync(join(repository, ".git/hooks/prepare-commit-msg"), 0o755)
})
afterEach(() => {
  stopAgent(workspace)
  workspace.close()
})

/** A person who writes a message as soon as `condition`, a shell command, holds; at most for ten seconds. */
function writesWhen(condition: string): void {
  const script = `#!/bin/sh
n=0
until ${condition}; do n=$((n + 1)); [ $n -gt 100 ] && exit 9; sleep 0.1; done
gitsign agent status --format json > "${workspace.root}/while-editing"
echo "a message" > "$1"
`
  writeFileSync(editor, script)
  chmodSync(editor, 0o755)
  workspace.env.GIT_EDITOR = editor
}

const WARM = "gitsign agent status --exit-code >/dev/null 2>&1"

const commit = (env: Record<string, string> = {}, ...args: string[]): Promise<Ran> =>
  workspace.runAsync(repository, "git", ["commit", "--allow-empty", ...args], { env })

const stateWhileEditing = (): unknown => JSON.parse(readFileSync(join(workspace.root, "while-editing"), "utf8")).state

/** The hook with a gitsign that only says that it was called. */
function withWitness(): string {
  const called = join(workspace.root, "called")
  const bin = join(workspace.root, "witness")
  mkdirSync(bin)
  writeFileSync(join(bin, "gitsign"), `#!/bin/sh\necho "$@" >> "${called}"\n`)
  chmodSync(join(bin, "gitsign"), 0o755)
  workspace.env.PATH = `${bin}:${workspace.env.PATH}`
  workspace.git(repository, "config", "--global", "gpg.x509.program", "gitsign")
  return called
}

/** Runs the hook as git does, waits for what it has begun, and returns whether gitsign was called. */
function callsGitsign(called: string, env: Record<string, string> = {}): boolean {
  rmSync(called, { force: true })
  const ran = workspace.run(repository, "sh", ["-c", '"$1" .git/COMMIT_EDITMSG; sleep 0.4', "sh", HOOK], { env })
  expect(ran).toEqual({ status: 0, stdout: "", stderr: "" })
  return existsSync(called)
}

test.each(["sh", "dash", "bash"])("%s can read it", (shell) => {
  const ran = spawnSync(shell, ["-n", HOOK], { encoding: "utf8" })
  if (ran.error === undefined) expect([ran.status, ran.stderr]).toEqual([0, ""])
})

// The issuers of other servers may have no form, or know nobody by name.
describe.skipIf(process.env.GITSIGN_E2E_FULCIO_URL !== undefined)("a commit with an editor", () => {
  test("logs in while the message is written, and the signature is there at once", async () => {
    writesWhen(WARM)
    const ran = await commit(loginEnvironment(logins))
    expect([ran.status, ran.stderr]).toEqual([0, expect.not.stringContaining("error")])
    expect(stateWhileEditing()).toBe("warm")
    expect(loginsIn(logins)).toBe(1)
    expect(statusOf(workspace, repository).letter).toBe("G")
  }, 60_000)

  test("that is done before the login shares it", async () => {
    writesWhen("true")
    const ran = await commit(loginEnvironment(logins))
    expect(ran.status, ran.stderr).toBe(0)
    expect(loginsIn(logins)).toBe(1)
    expect(statusOf(workspace, repository).letter).toBe("G")
  }, 60_000)

  test("does not wait for a login that nobody answers, nor does whoever reads its output", async () => {
    writesWhen("true")
    // The browser of the hook hangs; the commit is not signed and needs none.
    const env = { GITSIGN_URL_OPENER: 'sh -c "exec sleep 30" {{.URL}}' }
    const begun = Date.now()
    const ran = await commit(env, "--no-gpg-sign")
    expect(ran.status, ran.stderr).toBe(0)
    expect(Date.now() - begun).toBeLessThan(5000)
  }, 60_000)

  test("hears nothing from a hook that cannot log in", async () => {
    writesWhen("sleep 2")
    const ran = await commit({ CI: "true" }, "--no-gpg-sign")
    expect([ran.status, ran.stderr]).toEqual([0, ""])
    expect(stateWhileEditing()).toBe("cold")
  }, 60_000)
})

describe("it calls gitsign", () => {
  test("where the agent is switched on, for an editor", () => {
    const called = withWitness()
    expect(callsGitsign(called)).toBe(true)
    expect(readFileSync(called, "utf8")).toBe("agent warm --quiet\n")
    expect(callsGitsign(called, { GITSIGN_CREDENTIAL_CACHE: "/tmp/a.sock" })).toBe(true)
  })

  test("not without an editor: git commit -m, a rebase", async () => {
    const called = withWitness()
    expect(callsGitsign(called, { GIT_EDITOR: ":" })).toBe(false)
    workspace.env.GIT_EDITOR = "false"
    await commit({}, "--no-gpg-sign", "-m", "message")
    expect(existsSync(called)).toBe(false)
  })

  test("not where the agent is switched off, or gitsign does not sign, or is not there", () => {
    const called = withWitness()
    for (const value of ["off", "false", "no", ""]) {
      expect(callsGitsign(called, { GITSIGN_CREDENTIAL_CACHE: value }), value).toBe(false)
    }
    workspace.git(repository, "config", "gitsign.credentialCache", "off")
    expect(callsGitsign(called)).toBe(false)
    workspace.git(repository, "config", "--unset", "gitsign.credentialCache")
    expect(callsGitsign(called)).toBe(true)

    for (const [key, value] of [
      ["commit.gpgSign", "no"],
      ["commit.gpgSign", "0"],
      ["gpg.format", "openpgp"],
      ["gpg.x509.program", "smimesign"],
      ["gpg.x509.program", "/nowhere/gitsign"],
    ] as const) {
      workspace.git(repository, "config", key, value)
      expect(callsGitsign(called), `${key}=${value}`).toBe(false)
      workspace.git(repository, "config", "--unset", key)
    }
    expect(callsGitsign(called)).toBe(true)
    // Commits that are signed one by one only.
    workspace.git(repository, "config", "--global", "--unset", "commit.gpgSign")
    expect(callsGitsign(called)).toBe(false)
  })

  test("with no descriptor of git or the hook", () => {
    const called = withWitness()
    writeFileSync(join(workspace.root, "witness", "gitsign"), `#!/bin/sh\nls -l /proc/$$/fd > "${called}"\n`)
    const script = 'exec 5>&2 9>&1; "$1" .git/COMMIT_EDITMSG; sleep 0.4'
    workspace.run(repository, "sh", ["-c", script, "sh", HOOK])
    const targets = [...readFileSync(called, "utf8").matchAll(/ (\d+) -> (.*)$/gm)]
      .map(([, fd, to]) => [Number(fd), to] as const)
      .sort(([one], [other]) => one - other)
    expect(targets.slice(0, 3)).toEqual([
      [0, "/dev/null"],
      [1, called],
      [2, "/dev/null"],
    ])
    // From 10 on they are the shell's own.
    expect(targets.slice(3).filter(([fd]) => fd < 10)).toEqual([])
  })
})
