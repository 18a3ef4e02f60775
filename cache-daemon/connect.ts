/**
 * The client's side of a connection to the agent (PROTOCOL.md). It is loaded at each commit and imports as little as it can.
 *
 * @module
 */

import { isGitsignError, messageOf } from "../src/errors.ts"
import { type ClientSocket, openSocket } from "./client-socket.ts"
import { decodeReply, encodeMessage, MessageReader, PROTOCOL_VERSION, type Reply, type Request } from "./protocol.ts"
import { ownedSocket } from "./socket-owner.ts"
import { checkSocketPath, OTHER_USERS_PLACE } from "./socket-path.ts"
import { AgentUnreachable, type UnreachableReason } from "./unreachable.ts"

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

/** An agent sends a handful of messages for a request, each in its turn; one that sends more is none. */
const MAX_WAITING_MESSAGES = 64

/**
 * Connects to the agent at `socketPath` and sends the hello at once. The agent's own hello is checked by the first `receive()`, so
 * that the first request can go out behind ours.
 *
 * @param options.program the client, as in `gitsign 1.0.0`
 * @param options.timeoutMs how long connecting may take, and then the agent for its hello, in milliseconds
 * @throws AgentUnreachable when there is none, or the socket is not one that only this user (or root) can have put there
 * @throws ERR_AGENT_SOCKET when no socket can have this path
 */
export async function connectAgent(
  socketPath: string,
  options: { readonly program: string; readonly timeoutMs: number },
): Promise<AgentChannel> {
  const socket = ownedSocket(checkSocketPath(socketPath))
  const channel = new Channel(checkSocketPath(socket.path), options.timeoutMs)
  await channel.open()
  try {
    socket.checkAgain()
  } catch (error) {
    channel.close()
    throw error
  }
  channel.send({ type: "hello", protocol: PROTOCOL_VERSION, program: options.program })
  return channel
}

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "unknown error"

class Channel implements AgentChannel {
  restricted: boolean | undefined
  readonly #path: string
  readonly #helloMs: number
  readonly #reader = new MessageReader()
  readonly #messages: Uint8Array[] = []
  #socket: ClientSocket | undefined
  #failure: AgentUnreachable | undefined
  #wake: (() => void) | undefined

  constructor(path: string, helloMs: number) {
    this.#path = path
    this.#helloMs = helloMs
  }

  async open(): Promise<void> {
    const events = { data: (chunk: Uint8Array) => this.#take(chunk), closed: () => this.#closed() }
    const opening = openSocket(this.#path, events)
    const timer = setTimeout(() => this.#fail("timeout"), this.#helloMs)
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
      const hello = await this.#next(Math.min(timeoutMs, this.#helloMs))
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
    this.#failure ??= isAgent ? undefined : nobodyBehind(this.#path)
    this.#fail("dead")
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
    } catch {
      this.#fail("garbage")
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
  if (code === "EACCES" || code === "EPERM") {
    return new AgentUnreachable("foreign", `${path} may not be used by this user`, OTHER_USERS_PLACE)
  }
  // A queue of connections that nobody accepts.
  if (code === "EAGAIN") return new AgentUnreachable("timeout", sentence("timeout", path))
  return code === "ECONNREFUSED"
    ? new AgentUnreachable("dead", `nobody listens at the socket ${path} any more`)
    : nobodyBehind(path)
}

/** Somebody takes connections and has nothing to say: such as sshd, whose other end finds no agent. */
const nobodyBehind = (path: string): AgentUnreachable =>
  new AgentUnreachable(
    "dead",
    `nothing answers behind ${path}`,
    "if it is forwarded, on the machine you come from: gitsign agent start --extra-socket",
  )

function sentence(reason: UnreachableReason, path: string, detail = ""): string {
  switch (reason) {
    case "absent":
      return `no agent listens at ${path}`
    case "dead":
      return `the agent at ${path} closed the connection`
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
