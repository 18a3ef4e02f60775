/**
 * The agent's parts as programs of their own, for both runtimes: most of what is tested here is about processes.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, resolve } from "node:path"
import { build } from "esbuild"
import { afterAll, afterEach } from "vitest"

const HERE = import.meta.dirname

/** What runs the programs. */
export interface Runtime {
  readonly name: "Node" | "bun"
  readonly command: string
}

/** Both that gitsign is made for. bun is what the standalone executable has in it. */
export const RUNTIMES: readonly [Runtime, Runtime] = [
  { name: "Node", command: process.execPath },
  {
    name: "bun",
    command: join(dirname(createRequire(import.meta.url).resolve("bun/package.json")), "bin", "bun.exe"),
  },
]

/** Builds programs of `test/cache-daemon/programs/` and returns the paths of their scripts. */
export async function buildPrograms<N extends string>(...names: readonly N[]): Promise<Readonly<Record<N, string>>> {
  const folder = temporaryFolder()
  await build({
    entryPoints: names.map((name) => resolve(HERE, "programs", `${name}.ts`)),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    external: ["bun:ffi"],
    platform: "node",
    target: "node20.19",
    format: "esm",
    logLevel: "warning",
    banner: { js: 'import { createRequire as __cr } from "node:module"; const require = __cr(import.meta.url);' },
  })
  return Object.fromEntries(names.map((name) => [name, join(folder, `${name}.mjs`)])) as Record<N, string>
}

/** A folder that is gone after the tests of this file. Short, because of the length that a socket's path may have. */
export function temporaryFolder(): string {
  const folder = mkdtempSync("/tmp/gs-")
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A program that was started. */
export interface Program {
  readonly child: ChildProcess
  readonly pid: number
  /** What it has printed so far. */
  readonly output: { stdout: string; stderr: string }
  /** Its exit status, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
}

const running = new Set<ChildProcess>()

/** Ends what a test has left running. */
export function stopProgramsAfterEach(): void {
  afterEach(async () => {
    const left = [...running]
    for (const child of left) child.kill("SIGKILL")
    await Promise.all(
      left.map((child) => new Promise((done) => (running.has(child) ? child.on("close", done) : done(0)))),
    )
  })
}

/** Starts a program; it is killed when the test ends. */
export function start(
  command: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
): Program {
  const child = spawn(command, args, { ...options, env: options.env ?? process.env, stdio: ["ignore", "pipe", "pipe"] })
  running.add(child)
  const output = { stdout: "", stderr: "" }
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      output[name] += chunk
    })
  }
  const ended = new Promise<number | NodeJS.Signals | null>((done, fail) => {
    child.on("error", fail)
    child.on("close", (status, signal) => {
      running.delete(child)
      done(status ?? signal)
    })
  })
  return { child, pid: child.pid ?? 0, output, ended }
}

/** Waits until `isTrue`, at most `ms` milliseconds. */
export async function until(isTrue: () => boolean, ms = 10_000): Promise<void> {
  const deadline = performance.now() + ms
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`it did not become so: ${isTrue}`)
    await new Promise((done) => setTimeout(done, 10))
  }
}

/** Starts a program that prints a line when it is ready, and waits for that line. */
export async function startReady(...args: Parameters<typeof start>): Promise<Program> {
  const program = start(...args)
  let isOver = false
  program.ended.then(
    () => {
      isOver = true
    },
    () => {
      isOver = true
    },
  )
  await until(() => isOver || program.output.stdout.includes("\n"), 20_000)
  if (!program.output.stdout.startsWith("ok\n")) {
    throw new Error(`it did not start: ${program.output.stdout}${program.output.stderr}`)
  }
  return program
}
