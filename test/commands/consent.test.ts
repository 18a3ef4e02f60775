/**
 * The question at the terminal, at real terminals, under both runtimes.
 *
 * @module
 */

import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { build } from "esbuild"
import { afterAll, beforeAll, describe, expect, test } from "vitest"

const ROOT = resolve(import.meta.dirname, "../..")
const BUN = join(ROOT, "node_modules/bun/bin/bun.exe")

let directory: string
let program: string

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "gitsign-ask-"))
  program = join(directory, "ask.mjs")
  const contents = `
    import { askAtTerminal } from "./src/commands/consent.ts"
    try {
      const answer = await askAtTerminal(process.env.TEXT ?? "the text\\n", Number(process.env.LIMIT ?? 10000))
      process.stdout.write(answer ? "granted" : "refused")
    } catch (error) {
      process.stdout.write(error.code + ": " + error.hint)
    }`
  await build({
    stdin: { contents, resolveDir: ROOT, loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: program,
  })
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

interface Step {
  /** What has to be on the terminal; "" is at once. */
  readonly after: string
  readonly send: string
}

interface Ended {
  readonly shown: string
  readonly status: number | null
  readonly signal: string | null
  readonly ms: number
}

/** Runs the question at a terminal of its own. */
async function atTerminal(runtime: string, steps: readonly Step[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const job = { command: [runtime, program], cwd: directory, env: { PATH: process.env.PATH, ...env }, steps }
  const child = spawn(BUN, [join(import.meta.dirname, "at-terminal.mjs"), JSON.stringify(job)], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const output: Buffer[] = []
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk))
  await once(child, "close")
  return JSON.parse(Buffer.concat(output).toString("utf8"))
}

const ASKED = "sign this? [y/N] "
/** What the program says at its end stands behind what the person typed. */
const answerOf = ({ shown }: Ended): string => /(granted|refused)$/.exec(shown)?.[1] ?? ""

describe.skipIf(process.platform === "win32").each([
  ["Node", process.execPath],
  ["bun", BUN],
])("askAtTerminal on %s", (_, runtime) => {
  test.each([
    ["y", "granted"],
    ["Y", "granted"],
    [" yes ", "granted"],
    ["", "refused"],
    ["n", "refused"],
    ["yes, but", "refused"],
    ["ye", "refused"],
    ["ja", "refused"],
  ])("%j is %s", async (answer, expected) => {
    const ended = await atTerminal(runtime, [{ after: ASKED, send: `${answer}\r` }])
    expect(ended.shown).toContain(`the text\r\n${ASKED}${answer}`)
    expect(answerOf(ended)).toBe(expected)
  })

  test("what was typed before the question answers nothing", async () => {
    const ended = await atTerminal(runtime, [{ after: "", send: "y\ry\ryes\r" }], { LIMIT: "600" })
    expect(ended.shown).toContain("gitsign: no answer, nothing is signed\r\n")
    expect(answerOf(ended)).toBe("refused")
  })

  test("an answer may come in pieces, and be corrected", async () => {
    const ended = await atTerminal(runtime, [
      { after: ASKED, send: "no" },
      { after: "no", send: "\u007f\u007fy" },
      { after: "y", send: "es\r" },
    ])
    expect(answerOf(ended)).toBe("granted")
  })

  test("nobody answers: no, after the limit", async () => {
    const ended = await atTerminal(runtime, [], { LIMIT: "500" })
    expect(answerOf(ended)).toBe("refused")
    expect(ended.ms).toBeGreaterThan(450)
    expect(ended.ms).toBeLessThan(8000)
  })

  test("the end of input is a no", async () => {
    expect(answerOf(await atTerminal(runtime, [{ after: ASKED, send: "\u0004" }]))).toBe("refused")
  })

  test("Ctrl-C ends it at once", async () => {
    const ended = await atTerminal(runtime, [{ after: ASKED, send: "\u0003" }])
    expect(ended).toMatchObject({ signal: "SIGINT" })
    expect(ended.ms).toBeLessThan(8000)
  })

  test("text that could deceive is escaped, and too much of it cut", async () => {
    const TEXT = `a\u001b[2Jb\u202e\u009b\n${"x".repeat(1000)}\n${"line\n".repeat(100)}`
    const { shown } = await atTerminal(runtime, [{ after: ASKED, send: "n\r" }], { TEXT })
    expect(shown).toContain("a\\u{1b}[2Jb\\u{202e}\\u{9b}\r\n")
    expect(shown.split("line\r\n")).toHaveLength(39)
    expect(shown).not.toContain("x".repeat(241))
  })

  test("without a terminal it says so", () => {
    // A session of its own has none, whatever this test was started from.
    const script =
      "const c = require('node:child_process').spawn(process.argv[1], [process.argv[2]], { detached: true, stdio: 'inherit' })"
    const ran = spawnSync(process.execPath, ["-e", script, runtime, program], { encoding: "utf8", input: "y\n" })
    expect(ran.stdout).toBe(
      "ERR_AGENT_REFUSED: sign in a terminal, or turn it off with: git config --global gitsign.agentConfirm false && gitsign agent stop",
    )
  })
})
