/**
 * The agent's server: the connections of all its sockets, and what they may take together.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import { Connection, type ConnectionHost, type ConnectionLimits } from "./connection.ts"
import type { Conversation } from "./exchange.ts"
import type { Request } from "./protocol.ts"

/** What clients may take. */
export interface ServerLimits extends ConnectionLimits {
  /** How many connections there are at once. Over that, the one without a request that has been silent for longest goes. */
  readonly connections: number
  /** How many bytes that nothing has been done with yet are kept, over all connections. Over that, the one with the most goes. */
  readonly unfinishedBytes: number
}

const LIMITS: ServerLimits = {
  connections: 512,
  unfinishedBytes: 64 * 1024 * 1024,
  helloMs: 5000,
  messageMs: 10_000,
  idleMs: 60_000,
  requestMs: 60_000,
  personMs: 10 * 60_000,
}

/** How long the end of the agent waits for signatures that may be in the log already, in milliseconds. */
const LOGGING_MS = 15_000

/** The same thing is logged once in this many milliseconds: whoever can connect must not be able to fill a disk. */
const LOG_AGAIN_MS = 60_000

/**
 * Half of the descriptors that this process may have, where the system says how many: without one, the services could not be reached
 * any more, and bun would try to accept the next connection again and again (measured with 1.4.5).
 */
function affordableConnections(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? []
    return Math.min(LIMITS.connections, Math.floor(Number(soft ?? Number.POSITIVE_INFINITY) / 2))
  } catch {
    return LIMITS.connections
  }
}

/** What a server is made with. */
export interface ServerOptions {
  /** Such as `gitsign 1.0.0`, for the hello. */
  readonly program: string
  /** Answers a request completely: Agent.handle. For `stop` it drops what the agent holds and answers nothing. */
  readonly handle: (request: Request, conversation: Conversation) => Promise<void>
  /** Removes the sockets, when a client has asked the agent to stop and before it is answered. */
  readonly stop: () => void
  /** Called when that client has its answer. */
  readonly stopped: () => void
  /** Whether the process at the other end may connect at all; where not, it gets not a byte. */
  readonly mayConnect: (socket: Socket) => boolean
  readonly log: (line: string) => void
  readonly limits?: Partial<ServerLimits>
}

/** Serves all connections of an agent. */
export class AgentServer {
  readonly #options: ServerOptions
  readonly #limits: ServerLimits
  readonly #host: ConnectionHost
  readonly #servers: Server[] = []
  readonly #connections = new Set<Connection>()
  readonly #logged = new Map<string, number>()
  #lastActive = performance.now()

  constructor(options: ServerOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, connections: affordableConnections(), ...options.limits }
    this.#host = {
      program: options.program,
      limits: this.#limits,
      handle: options.handle,
      stop: (connection) => this.#stop(connection),
      closed: (connection) => {
        this.#lastActive = performance.now()
        this.#connections.delete(connection)
      },
      grown: () => this.#boundBytes(),
      log: (line) => this.#log(line),
    }
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#connections.size
  }

  /** When a connection last came or went, on the clock of `performance.now()`. */
  get lastActive(): number {
    return this.#lastActive
  }

  /** A server whose connections are served here; the caller MUST make it listen. */
  add(restricted: boolean): Server {
    const server = createServer((socket) => this.#accept(socket, restricted))
    // It cannot accept for want of descriptors or memory, which other connections will give back.
    server.on("error", (error) =>
      this.#log(`a connection could not be accepted (${"code" in error ? error.code : "?"})`),
    )
    this.#servers.push(server)
    return server
  }

  /**
   * Takes no more connections and closes those that there are. One whose signature may be in the log already gets up to 15 s to hear
   * of it.
   *
   * @param spared stays open
   */
  async close(spared?: Connection): Promise<void> {
    for (const server of this.#servers.splice(0)) server.close()
    const others = (): Connection[] => [...this.#connections].filter((connection) => connection !== spared)
    const deadline = performance.now() + LOGGING_MS
    for (;;) {
      for (const connection of others()) if (!connection.isLogging) connection.drop("the agent ends")
      if (others().length === 0) return
      if (performance.now() > deadline) break
      await wait(20)
    }
    for (const connection of others()) connection.drop("the agent ends, and its signature took too long")
  }

  async #stop(connection: Connection): Promise<void> {
    this.#options.stop()
    await this.close(connection)
    connection.gone.addEventListener("abort", () => this.#options.stopped(), { once: true })
    if (connection.gone.aborted) this.#options.stopped()
  }

  #accept(socket: Socket, restricted: boolean): void {
    if (!this.#options.mayConnect(socket)) {
      this.#log("refused a connection of another user")
      socket.on("error", () => {})
      socket.destroy()
      return
    }
    const connection = new Connection(socket, restricted, this.#host)
    this.#connections.add(connection)
    this.#lastActive = performance.now()
    if (this.#connections.size > this.#limits.connections) this.#longestSilent(connection).drop("there are too many")
  }

  /** The connection that can best be spared; the newcomer when all others are at work. */
  #longestSilent(newcomer: Connection): Connection {
    const idle = [...this.#connections].filter((connection) => connection !== newcomer && !connection.isBusy)
    return idle.reduce((a, b) => (b.lastActive < a.lastActive ? b : a), idle[0] ?? newcomer)
  }

  #boundBytes(): void {
    let total = 0
    let largest: Connection | undefined
    for (const connection of this.#connections) {
      total += connection.unfinishedBytes
      if (connection.unfinishedBytes > (largest?.unfinishedBytes ?? 0)) largest = connection
    }
    if (total > this.#limits.unfinishedBytes) largest?.drop("too many unfinished messages")
  }

  #log(line: string): void {
    const now = performance.now()
    const last = this.#logged.get(line)
    if (last !== undefined && now - last < LOG_AGAIN_MS) return
    this.#logged.set(line, now)
    this.#options.log(line)
  }
}
