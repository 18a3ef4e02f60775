/**
 * `gitsign agent stop`, `clear`, `lock` and `unlock`: what a person tells a running agent to do.
 *
 * @module
 */

import type { ReplyOf } from "../../cache-daemon/protocol.ts"
import { GitsignError } from "../errors.ts"
import { askAgent, noAgent } from "./agent-request.ts"
import { agentSettings, type SocketOptions, socketOf } from "./agent-settings.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { readPassphrase } from "./passphrase.ts"

/** The flags of `lock` and `unlock`. */
export interface LockOptions extends SocketOptions {
  readonly passphraseFile?: string
}

/** An agent whose socket is named can be commanded whatever is wrong with the settings. */
async function socketFor(io: CommandIo, messages: Messages, options: SocketOptions): Promise<string> {
  const settings = options.socket === undefined ? await agentSettings(io, messages) : { credentialCache: undefined }
  return socketOf(io, settings, options)
}

/** Ends the agent; where there is none, that is what was asked for. */
export async function stopAgent(io: CommandIo, messages: Messages, options: SocketOptions): Promise<void> {
  const socket = await socketFor(io, messages, options)
  const done = await askAgent(socket, { type: "stop" }, "done")
  io.stdout(done === undefined ? `no agent listens at ${socket}\n` : "the agent has stopped\n")
}

/** Has the agent forget all credentials. */
export async function clearAgent(io: CommandIo, messages: Messages, options: SocketOptions): Promise<void> {
  const socket = await socketFor(io, messages, options)
  const done = await askAgent(socket, { type: "clear" }, "done")
  io.stdout(done === undefined ? `no agent listens at ${socket}\n` : "the agent has forgotten its credentials\n")
}

/**
 * Locks the agent.
 *
 * @throws ERR_AGENT when there is none: an agent that starts later would not be locked; ERR_AGENT_REFUSED on the restricted socket
 */
export async function lockAgent(io: CommandIo, messages: Messages, options: LockOptions): Promise<void> {
  const socket = await socketFor(io, messages, options)
  const status = await fullStatus(socket, "lock", options)
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
  const status = await fullStatus(socket, "unlock", options)
  if (status.state !== "locked") return io.stdout("the agent is not locked\n")
  const passphrase = await readPassphrase(io, options.passphraseFile, ["pass phrase: "])
  const done = await askAgent(socket, { type: "unlock", passphrase }, "done")
  if (done === undefined) throw noAgent(socket, options)
  io.stdout("agent unlocked\n")
}

/** The state of an agent that would do what a pass phrase is needed for: nobody types one in vain. */
async function fullStatus(socket: string, verb: "lock" | "unlock", options: SocketOptions): Promise<ReplyOf<"status">> {
  const status = await askAgent(socket, { type: "status" }, "status")
  if (status === undefined) throw noAgent(socket, options)
  if (!status.restricted) return status
  throw new GitsignError("ERR_AGENT_REFUSED", `the restricted socket does not allow "${verb}"`, {
    hint: "do it on the machine where the agent runs",
  })
}
