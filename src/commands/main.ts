/**
 * The program: decides who is calling, runs the verb, tells what went wrong and returns the exit status.
 *
 * Every verb is evaluated only when it is asked for: git waits for this program at each commit.
 *
 * @module
 */

import { printableLines } from "../formats/printable.ts"
import { runGit } from "../git/run.ts"
import { checkStatusFd, checkStdout } from "./descriptors.ts"
import { parseGitArguments } from "./git-arguments.ts"
import { type CommandIo, openTerminal } from "./io.ts"
import { describeError, type Messages } from "./messages.ts"
import { type Program, runProgram } from "./program.ts"
import { loadConfig } from "./settings.ts"

/**
 * Runs gitsign with the arguments after the program's name and returns the exit status. It throws nothing.
 *
 * @param name what the program was called as: the standalone executable is also gitsign-credential-cache, under that name
 */
export const main = (argv: readonly string[], name: string): Promise<number> =>
  runProgram(/(^|[\\/])gitsign-credential-cache(\.exe)?$/.test(name) ? runCache : runGitsign, argv)

const runCache: Program = async (argv, io, messages) => {
  const { runCredentialCache } = await import("./credential-cache.ts")
  return runCredentialCache(argv, io, messages)
}

async function runGitsign(argv: readonly string[], io: CommandIo, messages: Messages): Promise<number> {
  // Every call by git begins with a flag, every other verb with its name.
  if (!argv[0]?.startsWith("-")) return runCli(argv, io, messages)
  const call = parseGitArguments(argv)
  switch (call.verb) {
    case "sign":
      try {
        // Nothing may be published for a signature that nobody can receive. Before anything is opened here: what is open now
        // is the caller's or the runtime's, and not a connection that will be closed again.
        checkStdout()
        checkStatusFd(call.statusFd)
        // git answers while the rest is loaded.
        const reading = begin(loadConfig(io, messages))
        const { gitSign } = await import("./git-sign.ts")
        await gitSign(call, io, messages, reading)
        return 0
      } catch (error) {
        await tellPastOldGit(error, io)
        throw error
      }
    case "verify": {
      checkStatusFd(call.statusFd)
      const reading = begin(loadConfig(io, messages))
      const { gitVerify } = await import("./git-verify.ts")
      return gitVerify(call, io, messages, reading)
    }
    case "version":
    case "help":
      return runCli([call.verb], io, messages)
  }
}

/** A failure is told where the promise is awaited; until then it must not count as unhandled. */
function begin<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

async function runCli(argv: readonly string[], io: CommandIo, messages: Messages): Promise<number> {
  const { runCommandLine } = await import("./cli.ts")
  return runCommandLine(argv, io, messages)
}

/**
 * Shows an error on the terminal as well when git is older than 2.40, which throws away what its signing program said.
 */
async function tellPastOldGit(error: unknown, io: CommandIo): Promise<void> {
  const { isatty } = await import("node:tty")
  if (isatty(2)) return
  const terminal = openTerminal()
  if (terminal === undefined) return
  const { stdout } = await runGit(io, ["version"]).catch(() => ({ stdout: "" }))
  const [, major, minor] = /(\d+)\.(\d+)/.exec(String(stdout)) ?? []
  if (Number(major) === 2 && Number(minor) < 40) terminal.write(printableLines(describeError(error).text))
  terminal.close()
}
