/**
 * The client's side of a connection to the agent (PROTOCOL.md). It is loaded at each commit and imports as little as it can.
 *
 * @module
 */

import { lstatSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { isGitsignError, messageOf } from "../src/errors.ts"
import { type ClientSocket, openSocket } from "./client-socket.ts"
import { decodeReply, encodeMessage, MessageReader, PROTOCOL_VERSION, type Reply, type Request } from "./protocol.ts"
import { checkSocketPath } from "./socket-path.ts"

/**
 * Why there is no agent to talk to: `absent` no socket; `dead` a socket behind which nobody is, or an agent that has gone; `foreign`
 * something that might be somebody else's; `timeout` it does not answer; `garbage` it is not an agent; `version` it is another one.
 */
export type UnreachableReason = "absent" | "dead" | "foreign" | "timeout" | "garbage" | "version"

/** There is no agent to talk to; the message is one sentence that says why. */
export class AgentUnreachable extends Error {
  readonly reason: UnreachableReason

  constructor(reason: UnreachableReason, message: string) {
    super(message)
    this.name = "AgentUnreachable"
    this.reason = reason
  }
}

/** A connection to an agent. */
export interface AgentChannel {
  /** Whether this is the agent's restricted socket; undefined until its hello has come with the first {@link receive}. */
  readonly restricted: boolean | undefined
  /** Sends a request; a connection that is lost shows at the next {@link receive}. */
  send(request: Request): void
  /**
   * The agent's next message; one call at a time.
   *
   * @throws AgentUnreachable when it is gone, says nothing for `timeoutMs` milliseconds, or talks nonsense; the channel is closed then
   */
  receive(timeoutMs: number): Promise<Reply>
  /** Closes the connection; the agent stops working on what was asked for here. */
  close(): void
}

/** How long an agent may take for its hello, in milliseconds: it does nothing for it but answer. */
const HELLO_MS = 2000

/** An agent sends a handful of messages for a request, each in its turn; one that sends more is none. */
const MAX_WAITING_MESSAGES = 64

/**
 * Connects to the agent at `socketPath` and sends the hello at once. The agent's own hello is checked by the first `receive()`, so
 * that the first request can go out behind ours.
 *
 * @param options.program the client, as in `gitsign 1.0.0`
 * @param options.timeoutMs how long connecting may take, in milliseconds
 * @throws AgentUnreachable when there is none, or the socket is not one that only this user (or root) can have put there
 * @throws ERR_AGENT_SOCKET when no socket can have this path
 */
export async function connectAgent(
  socketPath: string,
  options: { readonly program: string; readonly timeoutMs: number },
): Promise<AgentChannel> {
  checkOwner(checkSocketPath(socketPath))
  const channel = new Channel(socketPath)
  await channel.open(options.timeoutMs)
  channel.send({ type: "hello", protocol: PROTOCOL_VERSION, program: options.program })
  return channel
}

/**
 * Whoever listens here gets an identity token. So nobody else may own the socket, or be able to put another one in its place between
 * this look and the connection.
 */
function checkOwner(path: string): void {
  const foreign = (what: string) => new AgentUnreachable("foreign", what)
  let socket: ReturnType<typeof lstatSync>
  let directory: ReturnType<typeof statSync>
  try {
    socket = lstatSync(path)
    directory = statSync(dirname(path))
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") {
      throw new AgentUnreachable("absent", `no agent listens at ${path}`)
    }
    throw foreign(`the agent's socket ${path} cannot be looked at (${codeOf(error)})`)
  }
  if (!socket.isSocket()) throw foreign(`${path} is not a socket`)
  if (!isTrusted(socket.uid)) throw foreign(`the socket ${path} belongs to another user`)
  const replaceable = (directory.mode & 0o022) !== 0 && (directory.mode & 0o1000) === 0
  if (replaceable || !isTrusted(directory.uid)) {
    throw foreign(`other users can replace the socket ${path}: they may write to its directory`)
  }
}

/** Root can be anybody anyway. */
const isTrusted = (uid: number): boolean => uid === 0 || uid === process.geteuid?.()

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "unknown error"

class Channel implements AgentChannel {
  restricted: boolean | undefined
  readonly #path: string
  readonly #reader = new MessageReader()
  readonly #messages: Uint8Array[] = []
  #socket: ClientSocket | undefined
  #failure: AgentUnreachable | undefined
  #wake: (() => void) | undefined

  constructor(path: string) {
    this.#path = path
  }

  async open(timeoutMs: number): Promise<void> {
    const events = { data: (chunk: Uint8Array) => this.#take(chunk), closed: () => this.#closed() }
    const opening = openSocket(this.#path, events)
    const timer = setTimeout(() => this.#fail("timeout"), timeoutMs)
    const failed = new Promise<void>((done) => {
      this.#wake = done
    })
    try {
      await Promise.race([opening.then((socket) => this.#opened(socket)), failed])
    } catch (error) {
      throw unreachable(codeOf(error), this.#path)
    } finally {
      clearTimeout(timer)
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  send(request: Request): void {
    this.#socket?.write(encodeMessage(request))
  }

  async receive(timeoutMs: number): Promise<Reply> {
    if (this.restricted === undefined) {
      const hello = await this.#next(Math.min(timeoutMs, HELLO_MS))
      if (hello.type !== "hello") throw this.#fail("garbage")
      if (hello.protocol !== PROTOCOL_VERSION) throw this.#fail("version")
      this.restricted = hello.restricted
    }
    return this.#next(timeoutMs)
  }

  close(): void {
    this.#fail("dead")
  }

  async #next(timeoutMs: number): Promise<Reply> {
    if (this.#messages.length === 0 && this.#failure === undefined) {
      await new Promise<void>((done) => {
        const timer = setTimeout(() => this.#fail("timeout"), timeoutMs)
        this.#wake = () => {
          clearTimeout(timer)
          done()
        }
      })
    }
    const body = this.#messages.shift()
    if (body === undefined) throw this.#failure ?? this.#fail("dead")
    try {
      return decodeReply(body)
    } catch (error) {
      if (isGitsignError(error)) throw this.#fail("garbage", messageOf(error))
      throw error
    }
  }

  #closed(): void {
    const isAgent = this.restricted !== undefined || this.#messages.length > 0
    this.#fail("dead", isAgent ? "" : "without a word")
  }

  #opened(socket: ClientSocket): void {
    // It came too late: nobody waits for it any more.
    if (this.#failure !== undefined) socket.close()
    else this.#socket = socket
  }

  #take(chunk: Uint8Array): void {
    if (this.#failure !== undefined) return
    try {
      this.#messages.push(...this.#reader.push(chunk))
    } catch (error) {
      this.#fail("garbage", messageOf(error))
    }
    if (this.#messages.length > MAX_WAITING_MESSAGES) this.#fail("garbage", "it sends more than was asked for")
    if (this.#messages.length > 0) this.#wake?.()
  }

  /** Ends the channel, for the first reason that is given; what has arrived can still be received. */
  #fail(reason: UnreachableReason, detail = ""): AgentUnreachable {
    this.#failure ??= new AgentUnreachable(reason, sentence(reason, this.#path, detail))
    if (reason === "garbage") this.#messages.length = 0
    this.#socket?.close()
    this.#wake?.()
    return this.#failure
  }
}

function unreachable(code: string, path: string): AgentUnreachable {
  if (code === "ENOENT") return new AgentUnreachable("absent", sentence("absent", path))
  if (code === "EACCES" || code === "EPERM")
    return new AgentUnreachable("foreign", `${path} may not be used by this user`)
  // A queue of connections that nobody accepts.
  if (code === "EAGAIN") return new AgentUnreachable("timeout", sentence("timeout", path))
  const gone =
    code === "ECONNREFUSED" ? `nobody listens at the socket ${path} any more` : sentence("dead", path, "without a word")
  return new AgentUnreachable("dead", gone)
}

function sentence(reason: UnreachableReason, path: string, detail = ""): string {
  switch (reason) {
    case "absent":
      return `no agent listens at ${path}`
    case "dead":
      return detail
        ? `what listens at ${path} closed the connection ${detail}`
        : `the agent at ${path} closed the connection`
    case "foreign":
      return `the socket ${path} is not ours`
    case "timeout":
      return `the agent at ${path} does not answer`
    case "garbage":
      return `what listens at ${path} is not a gitsign agent${detail && ` (${detail})`}`
    case "version":
      return `the agent at ${path} is of another version of gitsign`
  }
}
