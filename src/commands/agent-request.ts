/**
 * One question to the agent, for the verbs that look at it and command it.
 *
 * @module
 */

import { resolve } from "node:path"
import { type AgentChannel, AgentUnreachable, connectAgent } from "../../cache-daemon/connect.ts"
import type { Reply, ReplyOf, Request } from "../../cache-daemon/protocol.ts"
import { defaultSocketPath } from "../../cache-daemon/socket-path.ts"
import type { Config } from "../config.ts"
import { GitsignError } from "../errors.ts"
import { agentAddressOf, errorOf, PROGRAM } from "./agent-client.ts"
import type { CommandIo } from "./io.ts"
import { shellQuote } from "./printable.ts"

/** The flag that all verbs of the agent share. */
export interface SocketOptions {
  readonly socket?: string
}

/**
 * The socket that a verb means: the one it is given, the one that gitsign.credentialCache names, or the usual one.
 *
 * @throws ERR_AGENT_SOCKET when the usual one has too long a path
 */
export function socketOf(io: CommandIo, config: Config, { socket }: SocketOptions): string {
  if (socket !== undefined) return resolve(io.cwd, socket)
  return agentAddressOf(config, io)?.path ?? defaultSocketPath(io.env)
}

/** The command that has commits use the agent on a socket; undefined where they do already. */
export function switchOnCommand(config: Config, io: CommandIo, socket: string): string | undefined {
  if (socketOf(io, config, {}) !== socket) return `git config --global gitsign.credentialCache ${shellQuote(socket)}`
  return config.credentialCache === undefined ? "git config --global gitsign.credentialCache auto" : undefined
}

/** How long the agent may take to say hello, in milliseconds. */
const HELLO_MS = 2000

/** How long it may take to answer; only a wrong pass phrase makes it think for long. */
const ANSWER_MS = 70_000

/** A connection to the agent; undefined when nothing listens on the socket. */
async function connect(socket: string): Promise<AgentChannel | undefined> {
  try {
    return await connectAgent(socket, { program: PROGRAM, timeoutMs: HELLO_MS })
  } catch (error) {
    if (error instanceof AgentUnreachable && /^(absent|dead)$/.test(error.reason)) return undefined
    throw asGitsignError(error, socket)
  }
}

function asGitsignError(error: unknown, socket: string): unknown {
  if (!(error instanceof AgentUnreachable)) return error
  const { reason, message } = error
  if (reason === "foreign") return new GitsignError("ERR_AGENT_SOCKET", message, { cause: error })
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
  return new GitsignError("ERR_AGENT", `no agent listens on ${path}`, {
    hint: `start one with: gitsign agent start${flag}`,
  })
}
