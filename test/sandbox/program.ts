/**
 * The command `sandbox` as a program of its own, built like the real one: two processes are needed where one is killed.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process"
import { resolve } from "node:path"
import { build } from "esbuild"

const ROOT = resolve(import.meta.dirname, "../..")

const MAIN = `
import { Command } from "commander"
import { processIo } from "./src/commands/io.ts"
import { describeError } from "./src/commands/messages.ts"
import { sandboxCommand } from "./src/commands/sandbox.ts"
const io = processIo()
try {
  await new Command("gitsign").addCommand(sandboxCommand(io)).parseAsync(process.argv.slice(2), { from: "user" })
} catch (error) {
  const { text, status } = describeError(error)
  io.stderr(text)
  process.exitCode = status
}
`

/** Builds the program into `folder` and returns the path of its script. */
export async function buildSandboxProgram(folder: string): Promise<string> {
  await build({
    stdin: { contents: MAIN, resolveDir: ROOT, loader: "ts" },
    outdir: folder,
    entryNames: "sandbox-program",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    logLevel: "warning",
    banner: { js: 'import { createRequire as __cr } from "node:module"; const require = __cr(import.meta.url);' },
  })
  return resolve(folder, "sandbox-program.mjs")
}

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the program to its end. */
export function run(script: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 30_000,
  })
  const output = { stdout: "", stderr: "" }
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      output[name] += chunk
    })
  }
  return new Promise((done, fail) => {
    child.on("error", fail)
    child.on("close", (status) => done({ status, ...output }))
  })
}

/** Starts the sandbox in the foreground and waits until it says that it runs. */
export async function startForeground(script: string, directory: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [script, "sandbox", "start", "--foreground", "--dir", directory], {
    stdio: ["ignore", "pipe", "pipe"],
  })
  let errors = ""
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    errors += chunk
  })
  await new Promise<void>((done, fail) => {
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      if (chunk.includes("\n")) done()
    })
    child.on("exit", () => fail(new Error(`the sandbox did not start: ${errors}`)))
  })
  return child
}
