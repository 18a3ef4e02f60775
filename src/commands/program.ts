/**
 * What every program does around its work: takes the process, tells what went wrong, returns the exit status.
 *
 * @module
 */

import { type CommandIo, processIo } from "./io.ts"
import { Messages } from "./messages.ts"

/** The work of a program: returns the exit status, or throws. */
export type Program = (argv: readonly string[], io: CommandIo, messages: Messages) => Promise<number>

/** Runs a program with the arguments after its name and returns the exit status. It throws nothing. */
export async function runProgram(program: Program, argv: readonly string[]): Promise<number> {
  const io = processIo()
  const messages = new Messages(io)
  // Left to the runtime they would end it with 1, which means "not verified".
  const stop = (error: unknown): never => process.exit(messages.error(error))
  process.on("uncaughtException", stop).on("unhandledRejection", stop)
  const status = await statusOf(() => program(argv, io, messages), messages)
  const lost = io.outputFailure()
  const told = lost === undefined ? 0 : messages.error(lost)
  messages.close()
  // A disk that is full may be told besides, and not instead of, what was found out.
  return status === 0 ? told : status
}

async function statusOf(work: () => Promise<number>, messages: Messages): Promise<number> {
  try {
    return await work()
  } catch (error) {
    return messages.error(error)
  }
}
