/**
 * Logins of a person at a terminal, and of nobody: which way is taken, what is shown, what an answer does (RFC 8628, RFC 8252).
 *
 * @module
 */

import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { EMAIL, type Services, startServices, statusOf, Workspace } from "./harness.ts"

const BUN = resolve(import.meta.dirname, "../../node_modules/bun/bin/bun.exe")
const TERMINAL = resolve(import.meta.dirname, "../commands/at-terminal.mjs")

/** What is typed once a text is on the terminal, or a program that reads what is there and whose output is typed. */
type Step = { readonly after: string } & ({ readonly send: string } | { readonly run: readonly string[] })

interface Ended {
  readonly shown: string
  readonly status: number | null
  readonly signal: string | null
  readonly ms: number
}

let services: Services
let workspace: Workspace
let repository: string

// Servers that the environment names have no page that a program could fill in.
const isHere = process.env.GITSIGN_E2E_FULCIO_URL === undefined && process.platform !== "win32"

beforeAll(async () => {
  if (isHere) services = await startServices()
}, 60_000)

afterAll(async () => {
  await services?.close()
})

beforeEach(() => {
  if (!isHere) return
  workspace = new Workspace(services.environment)
  repository = workspace.repository("terminal")
})

afterEach(() => workspace?.close())

/** Runs a command at a terminal of 80 columns and 40 rows. */
async function atTerminal(
  command: readonly string[],
  steps: readonly Step[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const job = { command, cwd: repository, env: { ...workspace.env, TERM: "xterm-256color", ...env }, steps }
  const child = spawn(BUN, [TERMINAL, JSON.stringify(job)], { stdio: ["ignore", "pipe", "inherit"] })
  const output: Buffer[] = []
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk))
  await once(child, "close")
  return JSON.parse(Buffer.concat(output).toString("utf8"))
}

const COMMIT = ["git", "commit", "--allow-empty", "-m", "at a terminal"]
const person = (program: string, ...args: string[]): readonly string[] => [
  process.execPath,
  resolve(import.meta.dirname, program),
  ...args,
]

const hasCommit = (): boolean => workspace.tryGit(repository, "rev-parse", "--verify", "HEAD").status === 0

describe.skipIf(!isHere)("nobody to ask", () => {
  test("no terminal and no display: refused at once, with the ways out", async () => {
    const log = join(workspace.root, "log")
    const started = performance.now()
    const ran = await workspace.runAsync(repository, "git", COMMIT.slice(1), {
      env: { GITSIGN_LOG: log },
      detached: true,
    })
    expect(ran.status).toBe(128)
    expect(performance.now() - started).toBeLessThan(10_000)
    const text = readFileSync(log, "utf8")
    expect(text).toMatch(/no terminal to ask for a login \[ERR_NO_TOKEN\]/)
    expect(text).toContain("SIGSTORE_ID_TOKEN")
    expect(hasCommit()).toBe(false)
  }, 60_000)

  test.each([
    [
      "that cannot be started",
      "/no/such/browser {{.URL}}",
      "the command of gitsign.urlOpener cannot be started (ENOENT)",
    ],
    ["of the system that gives up", "", "the program that opens browsers ended with "],
  ])(
    "an opener %s: refused at once, with the ways out",
    async (_, opener, why) => {
      // Elsewhere, a browser would open.
      if (opener === "" && process.platform !== "linux") return
      const log = join(workspace.root, "log")
      const env = { GITSIGN_LOG: log, ...(opener === "" ? { DISPLAY: ":77" } : { GITSIGN_URL_OPENER: opener }) }
      const started = performance.now()
      const ran = await workspace.runAsync(repository, "git", COMMIT.slice(1), { env, detached: true })
      expect(performance.now() - started).toBeLessThan(10_000)
      expect(ran.status).toBe(128)
      const text = readFileSync(log, "utf8")
      expect(text).toContain(`no browser could be opened for the login, and there is no terminal: ${why}`)
      expect(text).toMatch(/\[ERR_NO_TOKEN\]\n.*hint: .*gitsign\.urlOpener, .*SIGSTORE_ID_TOKEN/)
      expect(hasCommit()).toBe(false)
    },
    60_000,
  )

  test.each([
    ["is done at once, before the browser comes", `(sleep 1; LOGIN "$1") >/dev/null 2>&1 &`],
    ["fails long after it was started", `sleep 4; LOGIN "$1"; exit 1`],
    ["fails when the login is done", `LOGIN "$1"; exit 1`],
    ["fails at once, and has opened a browser", `(sleep 1; LOGIN "$1") >/dev/null 2>&1 & exit 1`],
  ])(
    "an opener that %s serves",
    async (_, script) => {
      const opener = join(workspace.root, "opener")
      const login = person("browser.mjs", "continue", EMAIL).map((word) => `'${word}'`)
      writeFileSync(opener, `#!/bin/sh\n${script.replace("LOGIN", login.join(" "))}\n`, { mode: 0o755 })
      const env = { GITSIGN_URL_OPENER: `${opener} {{.URL}}` }
      const ran = await workspace.runAsync(repository, "git", COMMIT.slice(1), { env, detached: true })
      expect(ran.status, ran.stderr).toBe(0)
      expect(statusOf(workspace, repository).signer).toContain(EMAIL)
    },
    60_000,
  )

  test("a login with a code needs a terminal to show it", async () => {
    const log = join(workspace.root, "log")
    const env = { GITSIGN_LOG: log, GITSIGN_TOKEN_PROVIDER: "device" }
    const ran = await workspace.runAsync(repository, "git", COMMIT.slice(1), { env, detached: true })
    expect(ran.status).toBe(128)
    expect(readFileSync(log, "utf8")).toContain("a login with a code needs a terminal to show it")
  }, 60_000)
})

describe.skipIf(!isHere)("a terminal without a display", () => {
  const approve = (answer: string, email = EMAIL): Step => ({
    after: "the code there has to be",
    run: person("device-browser.mjs", answer, email, "-"),
  })

  test.each([
    ["no display at all", {}],
    ["a display that is far away", { SSH_CONNECTION: "10.0.0.1 1 10.0.0.2 22", DISPLAY: ":0" }],
  ])(
    "shows a code for a browser anywhere: %s",
    async (_, env) => {
      const ended = await atTerminal(COMMIT, [approve("continue")], env)
      expect(ended.status, ended.shown).toBe(0)
      expect(ended.shown).toMatch(/log in at this address, on any machine, within \d+ min/)
      expect(ended.shown).toContain("▀")
      expect(statusOf(workspace, repository)).toMatchObject({ letter: "G", signer: `${EMAIL} (${services.issuer})` })
    },
    60_000,
  )

  test("shows no QR code where that would be noise", async () => {
    const ended = await atTerminal(COMMIT, [approve("continue")], { TERM: "dumb" })
    expect(ended.status, ended.shown).toBe(0)
    expect(ended.shown).not.toMatch(/[▀▄█]/)
  }, 60_000)

  test("a refusal on the other machine ends the commit", async () => {
    const ended = await atTerminal(COMMIT, [approve("deny")])
    expect(ended.status).toBe(128)
    expect(ended.shown).toMatch(/\[ERR_OIDC\]/)
    expect(hasCommit()).toBe(false)
  }, 60_000)

  test("asks before the first publication, and once", async () => {
    delete workspace.env.GITSIGN_PUBLISH_CONSENT
    const asked = "publish this identity? [y/N] "
    const first = await atTerminal(COMMIT, [approve("continue"), { after: asked, send: "y\r" }])
    expect(first.status, first.shown).toBe(0)
    expect(first.shown).toContain(`${EMAIL} (`)
    const second = await atTerminal(COMMIT, [approve("continue")])
    expect(second.status, second.shown).toBe(0)
    expect(second.shown).not.toContain(asked)
    const other = await atTerminal(COMMIT, [approve("continue", "other@example.org"), { after: asked, send: "n\r" }])
    expect(other.status).toBe(128)
    expect(other.shown).toContain("the publication was not agreed to [ERR_CONSENT]")
    expect(workspace.git(repository, "rev-list", "--count", "HEAD")).toBe("2")
  }, 90_000)

  test.each(["HOME", "XDG_STATE_HOME"])(
    "an answer that cannot be kept is told, and holds: %s is a file",
    async (name) => {
      delete workspace.env.GITSIGN_PUBLISH_CONSENT
      const file = join(workspace.root, "file")
      writeFileSync(file, "")
      const steps = [approve("continue"), { after: "publish this identity? [y/N] ", send: "y\r" }]
      const ended = await atTerminal([workspace.program, "login"], steps, { [name]: file })
      expect(ended.status, ended.shown).toBe(0)
      expect(ended.shown).toContain("your answer cannot be kept")
      expect(ended.shown).toContain(`logged in: ${EMAIL}`)
    },
    60_000,
  )

  test("Ctrl-C ends the login, and leaves the terminal and the repository as they were", async () => {
    const ended = await atTerminal(
      ["sh", "-c", `${COMMIT.map((word) => `'${word}'`).join(" ")}; stty -a | grep -o -- '-*echo ' | head -1`],
      [{ after: "the code there has to be", send: "\x03" }],
    )
    expect(ended.ms).toBeLessThan(20_000)
    expect(ended.shown).not.toContain("-echo ")
    expect(hasCommit()).toBe(false)
    expect(existsSync(join(repository, ".git/index.lock"))).toBe(false)
    expect(existsSync(join(repository, ".git/HEAD.lock"))).toBe(false)
  }, 60_000)
})

describe.skipIf(!isHere)("an address to open elsewhere", () => {
  const env = { GITSIGN_TOKEN_PROVIDER: "interactive" }
  const ASKED = "or the code that it shows: "
  const paste: Step = { after: ASKED, run: person("browser.mjs", "paste", EMAIL, "-") }

  test("takes the address that the browser ended at", async () => {
    const ended = await atTerminal(COMMIT, [paste], env)
    expect(ended.status, ended.shown).toBe(0)
    expect(statusOf(workspace, repository).signer).toContain(EMAIL)
  }, 60_000)

  test("says what is wrong with what was pasted, and asks again", async () => {
    const ended = await atTerminal(
      COMMIT,
      [{ after: ASKED, send: "http://localhost:1/auth/callback?code=abcd&state=other\r" }, paste],
      env,
    )
    expect(ended.shown).toContain("this address is that of another login; ")
    expect(ended.status, ended.shown).toBe(0)
  }, 60_000)

  test("a wrong code is refused by the issuer, and said so", async () => {
    const ended = await atTerminal(COMMIT, [{ after: ASKED, send: "no-such-code\r" }], env)
    expect(ended.status).toBe(128)
    expect(ended.shown).toMatch(/refused the login: invalid_grant.*\[ERR_OIDC\]/)
    expect(hasCommit()).toBe(false)
  }, 60_000)

  test.each([
    ["/no/such/browser {{.URL}}", "the command of gitsign.urlOpener cannot be started (ENOENT)"],
    ["false {{.URL}}", "the command of gitsign.urlOpener ended with 1"],
  ])(
    "a browser that cannot be opened is no dead end: %s",
    async (opener, why) => {
      const ended = await atTerminal(COMMIT, [paste], { GITSIGN_URL_OPENER: opener })
      expect(ended.status, ended.shown).toBe(0)
      expect(ended.shown.replace(/\r\n/g, "\n")).toContain(`no browser could be opened (${why})`)
      expect(ended.shown.match(/\/auth\?/g)).toHaveLength(1)
    },
    60_000,
  )
})
