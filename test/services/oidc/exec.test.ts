/**
 * Commands that print identity tokens, and everything else that commands do.
 *
 * @module
 */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { beforeEach, describe, expect, onTestFinished, test } from "vitest"
import { commandToken, execToken } from "../../../src/services/oidc/exec.ts"
import { testToken } from "../tokens.ts"

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gitsign-exec-"))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
})

const env = { PATH: process.env.PATH }
const TOKEN = testToken()

/** A command of this script. */
const script = (text: string, ...args: string[]) => [process.execPath, "-e", text, ...args]
const run = (text: string, options: Partial<Parameters<typeof execToken>[0]> = {}) =>
  execToken({ command: script(text), env, ...options })

describe("a command", () => {
  test("gives what it prints, without the white space around it", async () => {
    expect(await run(`console.log(" ${TOKEN}\\n")`)).toBe(TOKEN)
  })

  test("gets its words as they are, its directory and environment, and no input", async () => {
    const text =
      "const { readFileSync } = require('node:fs');" +
      "console.log(JSON.stringify([process.argv.slice(1), process.cwd(), process.env.WORD, readFileSync(0, 'utf8')]))"
    const words = ["$HOME `id`", "a;b|c", "", "*"]
    const output = await execToken({ command: script(text, ...words), env: { ...env, WORD: "x" }, cwd: directory })
    const [argv, cwd, word, input] = JSON.parse(output) as [string[], string, string, string]
    expect(argv).toEqual(words)
    expect([cwd.endsWith(directory), word, input]).toEqual([true, "x", ""])
  })

  test("may write to stderr as well", async () => {
    expect(await run(`console.error("fetching\\n".repeat(10000)); console.log("${TOKEN}")`)).toBe(TOKEN)
  })

  test.each([
    ["fails", "process.exit(7)", "ERR_OIDC", /^gitsign\.tokenCommand failed with status 7$/],
    [
      "fails and says why",
      "console.error('\\n  not logged in\\nsecond line'); process.exit(1)",
      "ERR_OIDC",
      /^gitsign\.tokenCommand failed with status 1: not logged in$/,
    ],
    ["prints a token and fails", `console.log("${TOKEN}"); process.exit(1)`, "ERR_OIDC", /status 1$/],
    [
      "ends itself",
      "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 5000)",
      "ERR_OIDC",
      /was ended by SIGTERM$/,
    ],
    ["prints nothing", "console.error('no account')", "ERR_TOKEN", /printed no identity token: no account$/],
    ["prints white space", "console.log(' \\n')", "ERR_TOKEN", /printed no identity token$/],
    ["prints too much", "process.stdout.write('x'.repeat(70000))", "ERR_OIDC", /more than 64 KiB/],
    ["prints for ever", "setInterval(() => process.stdout.write('x'.repeat(9999)), 1)", "ERR_OIDC", /more than 64 KiB/],
  ])("that %s", async (_, text, code, message) => {
    await expect(run(text)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
      hint: expect.stringContaining("gitsign.tokenCommand"),
    })
  })

  test("does not get a token or a control character into the message", async () => {
    const error = await run(`console.error("bad ${TOKEN} \\u001b[31m!"); process.exit(1)`).catch(
      (error: unknown) => error,
    )
    expect(String(error)).toMatch(/bad \(token\) \[31m!$/)
  })

  test("that is not there, or is no program", async () => {
    for (const program of [join(directory, "none"), directory, "gitsign-no-such-program", ""]) {
      const error = await execToken({ command: [program], env }).catch((error: unknown) => error)
      expect(error, program).toMatchObject({ code: "ERR_CONFIG" })
    }
    await expect(execToken({ command: [], env })).rejects.toMatchObject({
      code: "ERR_CONFIG",
      message: "gitsign.tokenProvider is exec, and gitsign.tokenCommand is not set",
    })
  })
})

describe("a command that does not end", () => {
  // Does not listen to SIGTERM, and says which process it is.
  const stubborn = (file: string) =>
    `process.on('SIGTERM', () => {}); require('node:fs').writeFileSync(${JSON.stringify(file)}, String(process.pid)); setInterval(() => {}, 1000)`

  async function hasEnded(pid: number): Promise<boolean> {
    for (let tries = 0; tries < 50; tries++) {
      try {
        process.kill(pid, 0)
      } catch {
        return true
      }
      await delay(100)
    }
    return false
  }

  test("is stopped after its time, also when it does not listen", async () => {
    const file = join(directory, "pid")
    const name = "the command"
    const token = commandToken({ command: script(stubborn(file)), name, hint: "x", env, timeoutMs: 1500 })
    await expect(token).rejects.toMatchObject({ code: "ERR_OIDC", message: "the command did not finish within 1.5 s" })
    expect(existsSync(file)).toBe(true)
    expect(await hasEnded(Number(readFileSync(file, "utf8")))).toBe(true)
  })

  test("is stopped by the signal, before and while it runs", async () => {
    const cancelled = { code: "ERR_CANCELLED" }
    await expect(run("0", { signal: AbortSignal.abort() })).rejects.toMatchObject(cancelled)
    const text = "setInterval(() => {}, 1000)"
    await expect(run(text, { signal: AbortSignal.timeout(200) })).rejects.toMatchObject(cancelled)
  })

  test("is not waited for when it is only what the command has started", async () => {
    const lasting =
      "require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 6000)'], { stdio: 'inherit' }).unref()"
    const start = performance.now()
    expect(await run(`${lasting}; console.log("${TOKEN}")`)).toBe(TOKEN)
    expect(performance.now() - start).toBeLessThan(5000)
  })
})
