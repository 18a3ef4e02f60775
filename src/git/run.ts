/**
 * Runs git (git(1)) without a shell, with its environment as it is, and reads what it answers.
 *
 * @module
 */

import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { GitsignError } from "../errors.ts"

/** Where git runs. The caller passes its own working directory and environment on: GIT_DIR and its kin must survive. */
export interface GitContext {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
}

/** What one git process answered. */
export interface GitResult {
  readonly status: number
  readonly stdout: Buffer
  /** Text for people, without the final line feed. */
  readonly stderr: string
}

const MAX_STDERR = 64 * 1024

/**
 * Starts git and returns the process at once. `--no-replace-objects` is always given: a replace ref would let a
 * repository show one object and have another one verified. So could the commit-graph file, which tells parents and dates apart from
 * the commits themselves.
 *
 * The caller MUST put revisions and names that it did not make behind `--end-of-options` or `--`, or on stdin.
 */
export function startGit(context: GitContext, args: readonly string[]): ChildProcessWithoutNullStreams {
  // Not imported: loading it is waited for at each commit, where bun has something quicker.
  const { spawn } = process.getBuiltinModule("node:child_process")
  return spawn("git", argumentsOf(args), { ...placeOf(context), stdio: "pipe", windowsHide: true })
}

const argumentsOf = (args: readonly string[]): string[] => [
  "--no-replace-objects",
  "-c",
  "core.commitGraph=false",
  ...args,
]

// GIT_SHALLOW_FILE would give commits no parents at all. In a hook git sets it for what a shallow clone pushes, with the ends that the
// pusher has named; without it git finds that parents are missing, and the push is refused as what it is.
const placeOf = ({ cwd, env: { GIT_SHALLOW_FILE: _, ...env } }: GitContext) => ({
  cwd,
  env: { ...env, ...GIT_ENVIRONMENT },
})

const GIT_ENVIRONMENT = {
  // What git says about a revision is read, so it has to be in one language.
  LC_ALL: "C",
  // Grafts would give commits other parents than those that they were signed with. There is no flag against them, only another file;
  // this one cannot exist.
  GIT_GRAFT_FILE: "/dev/null/none",
  // A partial clone would fetch what it lacks from wherever its configuration says.
  GIT_NO_LAZY_FETCH: "1",
} as const

/** The error for a git process that could not be started. */
export const startError = (cause: unknown): GitsignError =>
  isNotFound(cause)
    ? new GitsignError("ERR_GIT", "there is no git program on PATH", { cause, hint: "install git" })
    : new GitsignError("ERR_GIT", "git could not be started", { cause })

const isNotFound = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "code" in error && error.code === "ENOENT"

/** Keeps what a git process says on stderr, up to 64 KiB; the returned function gives it without `fatal: `. */
export function collectStderr(child: ChildProcessWithoutNullStreams): () => string {
  const chunks: Uint8Array[] = []
  let size = 0
  child.stderr.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size <= MAX_STDERR) chunks.push(chunk)
  })
  return () => messageOf(chunks)
}

const messageOf = (chunks: readonly Uint8Array[]): string =>
  Buffer.concat(chunks)
    .toString("utf8")
    .replace(/^(fatal|error): /gm, "")
    .trimEnd()

/**
 * Runs git to its end with nothing on stdin and returns its answer, whatever its exit status; the caller MUST look at it.
 *
 * @param maxOutput the size in bytes that stdout may have; 16 MiB when not given
 * @throws ERR_GIT when git cannot be started, is killed, or says more than `maxOutput`
 */
export function runGit(
  context: GitContext,
  args: readonly string[],
  maxOutput: number = 16 * 1024 * 1024,
): Promise<GitResult> {
  const { Bun } = globalThis as { Bun?: BunRuntime }
  return Bun === undefined ? runInNode(context, args, maxOutput) : runInBun(Bun, context, args, maxOutput)
}

const tooMuch = (args: readonly string[], maxOutput: number): GitsignError =>
  new GitsignError("ERR_GIT", `git ${args[0]} answered with more than ${maxOutput} bytes`)

const ended = (args: readonly string[], signal: string | null): GitsignError =>
  new GitsignError("ERR_GIT", `git ${args[0]} was ended by ${signal}`)

function runInNode(context: GitContext, args: readonly string[], maxOutput: number): Promise<GitResult> {
  return new Promise((resolve, reject) => {
    const child = startGit(context, args)
    child.on("error", (error) => reject(startError(error)))
    const stderr = collectStderr(child)
    const stdout: Buffer[] = []
    let size = 0
    // git may end before it has read anything; that shows in its status.
    child.stdin.on("error", () => undefined)
    child.stdin.end()
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size > maxOutput) {
        child.kill()
        reject(tooMuch(args, maxOutput))
      } else stdout.push(chunk)
    })
    child.on("close", (status, signal) => {
      if (status === null) reject(ended(args, signal))
      else resolve({ status, stdout: Buffer.concat(stdout), stderr: stderr() })
    })
  })
}

/** As much of Bun.spawn (https://bun.com/docs/api/spawn) as is used here. */
interface BunRuntime {
  readonly spawn: (
    command: readonly string[],
    options: {
      cwd: string
      env: NodeJS.ProcessEnv
      stdin: "ignore"
      stdout: "pipe"
      stderr: "pipe"
      windowsHide: boolean
    },
  ) => {
    readonly stdout: AsyncIterable<Uint8Array>
    readonly stderr: AsyncIterable<Uint8Array>
    readonly exited: Promise<number>
    readonly signalCode: string | null
    readonly kill: () => void
  }
}

/** The same through Bun.spawn: node:child_process costs bun 3 ms more, and git waits for them at each commit. */
async function runInBun(
  bun: BunRuntime,
  context: GitContext,
  args: readonly string[],
  maxOutput: number,
): Promise<GitResult> {
  let child: ReturnType<BunRuntime["spawn"]>
  try {
    const pipes = { stdin: "ignore", stdout: "pipe", stderr: "pipe", windowsHide: true } as const
    child = bun.spawn(["git", ...argumentsOf(args)], { ...placeOf(context), ...pipes })
  } catch (cause) {
    throw startError(cause)
  }
  const [stdout, stderr] = await Promise.all([
    readUpTo(child.stdout, maxOutput, () => child.kill()),
    readUpTo(child.stderr, MAX_STDERR),
  ])
  const status = await child.exited
  if (stdout.size > maxOutput) throw tooMuch(args, maxOutput)
  if (child.signalCode !== null) throw ended(args, child.signalCode)
  return { status, stdout: Buffer.concat(stdout.chunks), stderr: messageOf(stderr.chunks) }
}

/** Reads a stream to its end and keeps what is within `max` bytes. */
async function readUpTo(stream: AsyncIterable<Uint8Array>, max: number, onMore?: () => void) {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.length
    if (size <= max) chunks.push(chunk)
    else onMore?.()
  }
  return { chunks, size }
}
