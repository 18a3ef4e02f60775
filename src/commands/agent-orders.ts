/**
 * `gitsign agent stop`, `clear`, `lock`, `unlock` and `warm`: what a person tells a running agent to do.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { askAgent, noAgent, type SocketOptions, socketOf } from "./agent-request.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { readPassphrase } from "./passphrase.ts"
import { loadConfig } from "./settings.ts"

/** The flags of `lock` and `unlock`. */
export interface LockOptions extends SocketOptions {
  readonly passphraseFile?: string
}

const socketFor = async (io: CommandIo, messages: Messages, options: SocketOptions): Promise<string> =>
  socketOf(io, await loadConfig(io, messages), options)

/** Ends the agent; where there is none, that is what was asked for. */
export async function stopAgent(io: CommandIo, messages: Messages, options: SocketOptions): Promise<void> {
  const socket = await socketFor(io, messages, options)
  const done = await askAgent(socket, { type: "stop" }, "done")
  io.stdout(done === undefined ? `no agent listens on ${socket}\n` : "the agent has stopped\n")
}

/** Has the agent forget all credentials. */
export async function clearAgent(io: CommandIo, messages: Messages, options: SocketOptions): Promise<void> {
  const socket = await socketFor(io, messages, options)
  const done = await askAgent(socket, { type: "clear" }, "done")
  io.stdout(done === undefined ? `no agent listens on ${socket}\n` : "the agent has forgotten its credentials\n")
}

/**
 * Locks the agent.
 *
 * @throws ERR_AGENT when there is none: an agent that starts later would not be locked
 */
export async function lockAgent(io: CommandIo, messages: Messages, options: LockOptions): Promise<void> {
  const socket = await socketFor(io, messages, options)
  const status = await askAgent(socket, { type: "status" }, "status")
  if (status === undefined) throw noAgent(socket, options)
  if (status.state === "locked") throw new GitsignError("ERR_AGENT_LOCKED", "the agent is locked already")
  const questions = ["pass phrase to unlock the agent with: ", "the same again: "] as const
  const passphrase = await readPassphrase(io, options.passphraseFile, questions)
  const done = await askAgent(socket, { type: "lock", passphrase }, "done")
  if (done === undefined) throw noAgent(socket, options)
  io.stdout("agent locked; gitsign agent unlock opens it again\n")
}

/**
 * Unlocks the agent.
 *
 * @throws ERR_AGENT when there is none; ERR_AGENT_REFUSED when the pass phrase is a wrong one
 */
export async function unlockAgent(io: CommandIo, messages: Messages, options: LockOptions): Promise<void> {
  const socket = await socketFor(io, messages, options)
  const status = await askAgent(socket, { type: "status" }, "status")
  if (status === undefined) throw noAgent(socket, options)
  if (status.state !== "locked") return io.stdout("the agent is not locked\n")
  const passphrase = await readPassphrase(io, options.passphraseFile, ["pass phrase: "])
  const done = await askAgent(socket, { type: "unlock", passphrase }, "done")
  if (done === undefined) throw noAgent(socket, options)
  io.stdout("agent unlocked\n")
}
