/**
 * Runs git (git(1)) without a shell, with its environment as it is, and reads what it answers.
 *
 * @module
 */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
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
 * repository show one object and have another one verified.
 *
 * The caller MUST put revisions and names that it did not make behind `--end-of-options` or `--`, or on stdin.
 */
export function startGit(context: GitContext, args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn("git", ["--no-replace-objects", ...args], {
    cwd: context.cwd,
    // What git says about a revision is read, so it has to be in one language.
    env: { ...context.env, LC_ALL: "C" },
    stdio: "pipe",
    windowsHide: true,
  })
}

/** The error for a git process that could not be started. */
export const startError = (cause: unknown): GitsignError =>
  isNotFound(cause)
    ? new GitsignError("ERR_GIT", "there is no git program on PATH", { cause, hint: "install git" })
    : new GitsignError("ERR_GIT", "git could not be started", { cause })

const isNotFound = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "code" in error && error.code === "ENOENT"

/** Keeps what a git process says on stderr, up to 64 KiB; the returned function gives it without `fatal: `. */
export function collectStderr(child: ChildProcessWithoutNullStreams): () => string {
  const chunks: Buffer[] = []
  let size = 0
  child.stderr.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size <= MAX_STDERR) chunks.push(chunk)
  })
  return () =>
    Buffer.concat(chunks)
      .toString("utf8")
      .replace(/^(fatal|error): /gm, "")
      .trimEnd()
}

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
  return new Promise((resolve, reject) => {
    const child = startGit(context, args)
    const stderr = collectStderr(child)
    const stdout: Buffer[] = []
    let size = 0
    child.on("error", (error) => reject(startError(error)))
    // git may end before it has read anything; that shows in its status.
    child.stdin.on("error", () => undefined)
    child.stdin.end()
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size > maxOutput) {
        child.kill()
        reject(new GitsignError("ERR_GIT", `git ${args[0]} answered with more than ${maxOutput} bytes`))
      } else stdout.push(chunk)
    })
    child.on("close", (status, signal) => {
      if (status === null) reject(new GitsignError("ERR_GIT", `git ${args[0]} was ended by ${signal}`))
      else resolve({ status, stdout: Buffer.concat(stdout), stderr: stderr() })
    })
  })
}
