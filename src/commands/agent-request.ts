/**
 * One question to the agent, for the verbs that look at it and command it.
 *
 * @module
 */

import { type AgentChannel, connectAgent } from "../../cache-daemon/connect.ts"
import type { Reply, ReplyOf, Request } from "../../cache-daemon/protocol.ts"
import { extraSocketPath } from "../../cache-daemon/socket-path.ts"
import { AgentUnreachable } from "../../cache-daemon/unreachable.ts"
import { GitsignError } from "../errors.ts"
import { shellQuote } from "../formats/printable.ts"
import { PROGRAM } from "./agent-client.ts"
import { errorOf } from "./agent-conversation.ts"
import type { SocketOptions } from "./agent-settings.ts"

/** How long the agent may take to say hello, in milliseconds. */
const HELLO_MS = 2000

/** How long it may take to answer; only a wrong pass phrase makes it think for long. */
const ANSWER_MS = 70_000

/** A connection to the agent; undefined when nothing listens on the socket. */
async function connect(socket: string): Promise<AgentChannel | undefined> {
  try {
    return await connectAgent(socket, { program: PROGRAM, timeoutMs: HELLO_MS })
  } catch (error) {
    // One with a hint is somebody who takes connections.
    const isNobody = error instanceof AgentUnreachable && /^(absent|dead)$/.test(error.reason)
    if (isNobody && error.hint === undefined) return undefined
    throw asGitsignError(error, socket)
  }
}

function asGitsignError(error: unknown, socket: string): unknown {
  if (!(error instanceof AgentUnreachable)) return error
  const { reason, message } = error
  if (error.hint !== undefined) {
    const code = reason === "foreign" ? "ERR_AGENT_SOCKET" : "ERR_AGENT"
    return new GitsignError(code, message, { cause: error, hint: error.hint })
  }
  if (reason === "dead") return new GitsignError("ERR_AGENT", message, { cause: error })
  // To stop it would take a conversation with it.
  const hint = `see what listens there, and end it: lsof ${shellQuote(socket)}`
  return new GitsignError("ERR_AGENT", message, { cause: error, hint })
}

/**
 * Sends one request and returns its answer; undefined when no agent listens on the socket.
 *
 * @throws ERR_AGENT_SOCKET when the socket is somebody else's; ERR_AGENT when what listens there is no agent of this version or
 *   answers something else; whatever the agent refuses with
 */
export async function askAgent<T extends Reply["type"]>(
  socket: string,
  request: Request,
  expected: T,
): Promise<ReplyOf<T> | undefined> {
  const channel = await connect(socket)
  if (channel === undefined) return undefined
  try {
    channel.send(request)
    const reply = await channel.receive(ANSWER_MS)
    if (reply.type === "error") throw errorOf(reply)
    if (isOf(reply, expected)) return reply
    throw new GitsignError("ERR_AGENT", `the agent answered with "${reply.type}", which is no answer to this`)
  } catch (error) {
    throw asGitsignError(error, socket)
  } finally {
    channel.close()
  }
}

const isOf = <T extends Reply["type"]>(reply: Reply, type: T): reply is ReplyOf<T> => reply.type === type

/** The error for a verb that needs an agent where none is. */
export function noAgent(path: string, { socket }: SocketOptions): GitsignError {
  const flag = socket === undefined ? "" : ` --socket ${shellQuote(path)}`
  return new GitsignError("ERR_AGENT", `no agent listens at ${path}`, {
    hint: `start one with: gitsign agent start${flag}`,
  })
}

/**
 * The restricted socket of the agent that answered with `running` on `socket`; undefined when it has none there.
 *
 * @param path where it is looked for, when that is not the usual place beside the other
 */
export async function restrictedSocketOf(
  socket: string,
  running: ReplyOf<"status">,
  path?: string,
): Promise<string | undefined> {
  try {
    const extra = path ?? extraSocketPath(socket)
    const status = await askAgent(extra, { type: "status" }, "status")
    return status?.restricted && status.pid === running.pid ? extra : undefined
  } catch {
    // Whatever is there, it is not the agent's.
    return undefined
  }
}
