/**
 * The program: decides who is calling, runs the verb, tells what went wrong and returns the exit status.
 *
 * Every verb is evaluated only when it is asked for: git waits for this program at each commit.
 *
 * @module
 */

import { isatty } from "node:tty"
import { runGit } from "../git/run.ts"
import { parseGitArguments } from "./git-arguments.ts"
import { type CommandIo, openTerminal, processIo } from "./io.ts"
import { describeError, Messages } from "./messages.ts"
import { printableLines } from "./printable.ts"

/** Runs gitsign with the arguments after the program's name and returns the exit status. It throws nothing. */
export async function main(argv: readonly string[]): Promise<number> {
  const io = processIo()
  const messages = new Messages(io)
  // Left to the runtime they would end it with 1, which means "not verified".
  const stop = (error: unknown): never => process.exit(messages.error(error))
  process.on("uncaughtException", stop).on("unhandledRejection", stop)
  try {
    return await run(argv, io, messages)
  } catch (error) {
    return messages.error(error)
  } finally {
    messages.close()
  }
}

async function run(argv: readonly string[], io: CommandIo, messages: Messages): Promise<number> {
  // Every call by git begins with a flag, every other verb with its name.
  if (!argv[0]?.startsWith("-")) return runCli(argv, io, messages)
  const call = parseGitArguments(argv)
  switch (call.verb) {
    case "sign":
      try {
        const { gitSign } = await import("./git-sign.ts")
        await gitSign(call, io, messages)
        return 0
      } catch (error) {
        await tellPastOldGit(error, io)
        throw error
      }
    case "verify": {
      const { gitVerify } = await import("./git-verify.ts")
      return gitVerify(call, io, messages)
    }
    case "version":
    case "help":
      return runCli([call.verb], io, messages)
  }
}

async function runCli(argv: readonly string[], io: CommandIo, messages: Messages): Promise<number> {
  const { runCommandLine } = await import("./cli.ts")
  return runCommandLine(argv, io, messages)
}

/**
 * Shows an error on the terminal as well when git is older than 2.40, which throws away what its signing program said.
 */
async function tellPastOldGit(error: unknown, io: CommandIo): Promise<void> {
  if (isatty(2)) return
  const terminal = openTerminal()
  if (terminal === undefined) return
  const { stdout } = await runGit(io, ["version"]).catch(() => ({ stdout: "" }))
  const [, major, minor] = /(\d+)\.(\d+)/.exec(String(stdout)) ?? []
  if (Number(major) === 2 && Number(minor) < 40) terminal.write(printableLines(describeError(error).text))
  terminal.close()
}
