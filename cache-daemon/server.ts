/**
 * The agent's server: the connections of all its sockets, and what they may take together.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import { Connection } from "./connection.ts"
import type { ConnectionHost, ConnectionLimits } from "./connection-host.ts"
import type { Conversation } from "./exchange.ts"
import type { Reply, Request } from "./protocol.ts"
import { type QuietLog, quietLog } from "./quiet-log.ts"

/** What clients may take. */
export interface ServerLimits extends ConnectionLimits {
  /** How many connections there are at once. Over that, the one without a request that has been silent for longest goes. */
  readonly connections: number
  /** How many of them may be restricted. Over that, one of those goes: another host never takes the room of this one. */
  readonly restrictedConnections: number
  /** How many bytes that nothing has been done with yet are kept, over all connections. Over that, the one with the most goes. */
  readonly unfinishedBytes: number
  /** How many bytes of messages are worked on. Over that, a request is refused. */
  readonly workBytes: number
  /** As much of each may be that of restricted connections. */
  readonly restrictedBytes: number
}

const LIMITS: ServerLimits = {
  connections: 512,
  restrictedConnections: 64,
  unfinishedBytes: 64 * 1024 * 1024,
  workBytes: 64 * 1024 * 1024,
  restrictedBytes: 16 * 1024 * 1024,
  helloMs: 5000,
  messageMs: 10_000,
  idleMs: 60_000,
  requestMs: 60_000,
  personMs: 10 * 60_000,
  replyMs: 5000,
}

/** A request of no more bytes is always worked on: whatever is going on, the agent can be locked and stopped. */
const SMALL_REQUEST = 8192

/** How long the end of the agent waits for signatures that may be in the log already, in milliseconds. */
const LOGGING_MS = 15_000

/** How long those who have connected may take to say that they want the end, too; in milliseconds. */
const LAST_CALL_MS = 100

const ENDING: Reply = {
  type: "error",
  code: "ERR_AGENT",
  message: "the agent was told to stop",
  hint: "try again, or start another one with: gitsign agent start",
}

/**
 * Half of the descriptors that this process may have, where the system says how many: without one, the services could not be reached
 * any more, and bun would try to accept the next connection again and again (measured with 1.4.5).
 */
function affordableConnections(): Pick<ServerLimits, "connections" | "restrictedConnections"> {
  let { connections, restrictedConnections } = LIMITS
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? []
    connections = Math.min(connections, Math.floor(Number(soft ?? Number.POSITIVE_INFINITY) / 2))
    restrictedConnections = Math.min(restrictedConnections, Math.floor(connections / 2))
  } catch {
    // Not on Linux.
  }
  return { connections, restrictedConnections }
}

/** What a server is made with. */
export interface ServerOptions {
  /** Such as `gitsign 1.0.0`, for the hello. */
  readonly program: string
  /** Answers a request completely: Agent.handle. For `stop` it drops what the agent holds and answers nothing. */
  readonly handle: (request: Request, conversation: Conversation) => Promise<void>
  /** Removes the sockets, when a client has asked the agent to stop and before it is answered. */
  readonly stop: () => void
  /** Called when all clients that have asked for it have their answer. */
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
  readonly #log: QuietLog
  /** Those whose clients have asked the agent to stop. */
  readonly #stopping = new Set<Connection>()
  #end: Promise<void> | undefined
  #lastActive = performance.now()

  constructor(options: ServerOptions) {
    this.#options = options
    this.#log = quietLog(options.log)
    this.#limits = { ...LIMITS, ...affordableConnections(), ...options.limits }
    this.#host = {
      program: options.program,
      limits: this.#limits,
      handle: (request, connection) => this.#handle(request, connection),
      stop: (connection) => this.#stop(connection),
      closed: (connection) => {
        this.#lastActive = performance.now()
        this.#connections.delete(connection)
      },
      grown: () => this.#boundBytes(),
      hasRoom: (connection, bytes) => this.#hasRoom(connection, bytes),
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
   * of it, and one that has asked for the end hears that.
   */
  async close(): Promise<void> {
    await this.#closeOthers()
    const leaving = [...this.#stopping].filter(({ gone }) => !gone.aborted)
    await Promise.all(leaving.map(({ gone }) => new Promise((done) => gone.addEventListener("abort", done))))
  }

  /** Closes all connections but those that have asked for the end. */
  async #closeOthers(): Promise<void> {
    for (const server of this.#servers.splice(0)) server.close()
    const others = (): Connection[] => [...this.#connections].filter((connection) => !this.#stopping.has(connection))
    const deadline = performance.now() + LOGGING_MS
    for (;;) {
      for (const connection of others()) if (!connection.isLogging) connection.drop("the agent ends")
      if (others().length === 0) return
      if (performance.now() > deadline) break
      await wait(20)
    }
    for (const connection of others()) connection.drop("the agent ends, and its signature took too long")
  }

  /** Resolves when a client that has asked for the end can be told that it is here; the caller MUST do so, and close. */
  #stop(connection: Connection): Promise<void> {
    this.#stopping.add(connection)
    const onGone = (): void => {
      if ([...this.#stopping].every(({ gone }) => gone.aborted)) this.#options.stopped()
    }
    connection.gone.addEventListener("abort", onGone, { once: true })
    if (connection.gone.aborted) onGone()
    this.#end ??= this.#prepareEnd()
    return this.#end
  }

  async #prepareEnd(): Promise<void> {
    this.#options.stop()
    await wait(LAST_CALL_MS)
    await this.#closeOthers()
  }

  async #handle(request: Request, connection: Conversation): Promise<void> {
    if (this.#end === undefined || request.type === "stop") await this.#options.handle(request, connection)
    else await connection.send(ENDING)
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
    const { connections, restrictedConnections } = this.#limits
    const rivals = [...this.#connections].filter((one) => !restricted || one.restricted)
    const isOver = this.#connections.size > connections || (restricted && rivals.length > restrictedConnections)
    if (isOver) longestSilent(rivals, connection).drop("there are too many")
  }

  #boundBytes(): void {
    const { unfinishedBytes, restrictedBytes } = this.#limits
    const all = [...this.#connections]
    boundBytes(
      all.filter(({ restricted }) => restricted),
      restrictedBytes,
    )
    boundBytes(all, unfinishedBytes)
  }

  #hasRoom({ restricted }: Connection, bytes: number): boolean {
    if (bytes <= SMALL_REQUEST) return true
    const { workBytes, restrictedBytes } = this.#limits
    const rivals = [...this.#connections].filter((one) => !restricted || one.restricted)
    const taken = rivals.reduce((sum, one) => sum + one.workBytes, 0)
    return taken + bytes <= (restricted ? restrictedBytes : workBytes)
  }
}

/** The connection that can best be spared; the newcomer when all others are at work. */
function longestSilent(connections: readonly Connection[], newcomer: Connection): Connection {
  const idle = connections.filter((connection) => connection !== newcomer && !connection.isBusy)
  return idle.reduce((a, b) => (b.lastActive < a.lastActive ? b : a), idle[0] ?? newcomer)
}

/** Closes the connection with the most bytes that nothing has been done with, when all together have more than `max`. */
function boundBytes(connections: readonly Connection[], max: number): void {
  let total = 0
  let largest: Connection | undefined
  for (const connection of connections) {
    total += connection.unfinishedBytes
    if (connection.unfinishedBytes > (largest?.unfinishedBytes ?? 0)) largest = connection
  }
  if (total > max) largest?.drop("too many unfinished messages")
}
