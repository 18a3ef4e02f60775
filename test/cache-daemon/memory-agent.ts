/**
 * An agent in this process: its messages are encoded and decoded as on a socket, and its clocks can be moved.
 *
 * @module
 */

import { Agent, type AgentOptions } from "../../cache-daemon/agent.ts"
import { type Conversation, isAnswer } from "../../cache-daemon/exchange.ts"
import {
  decodeReply,
  decodeRequest,
  encodeMessage,
  MessageReader,
  type Reply,
  type Request,
} from "../../cache-daemon/protocol.ts"
import { createHttpClient } from "../../src/services/http.ts"
import type { AgentUnderTest, Client } from "./agent-world.ts"

/** How long a client waits for a reply, in milliseconds. */
const WAIT_MS = 30_000

export interface MemoryAgent extends AgentUnderTest {
  readonly agent: Agent
}

/** Makes an agent in this process. */
export function memoryAgent(options: Partial<AgentOptions> = {}): MemoryAgent {
  const lines: string[] = []
  const http = createHttpClient({ userAgent: "gitsign/test" })
  const agent = new Agent({
    program: "gitsign test",
    http,
    limits: { signatures: 0, lifetime: 0 },
    confirm: undefined,
    log: (line) => lines.push(line),
    ...options,
  })
  const connections = new Set<Connection>()
  return {
    agent,
    connect: async ({ restricted = false } = {}) => {
      const connection = new Connection(agent, restricted)
      connections.add(connection)
      return connection
    },
    logged: () => lines.join("\n"),
    close: async () => {
      for (const connection of connections) connection.close()
      agent.forget("the test is over")
      http.close()
    },
  }
}

/** Messages that come one after the other, until there are no more. */
class Mailbox<T> {
  readonly #messages: T[] = []
  readonly #takers: { resolve: (message: T) => void; reject: (error: Error) => void }[] = []
  #ended = false

  put(message: T): void {
    const taker = this.#takers.shift()
    if (taker === undefined) this.#messages.push(message)
    else taker.resolve(message)
  }

  take(enough?: AbortSignal): Promise<T> {
    const message = this.#messages.shift()
    if (message !== undefined) return Promise.resolve(message)
    if (this.#ended) return Promise.reject(new Error("the connection has ended"))
    return new Promise((resolve, reject) => {
      const taker = { resolve, reject }
      this.#takers.push(taker)
      const leave = (): void => {
        const index = this.#takers.indexOf(taker)
        if (index >= 0) this.#takers.splice(index, 1)
        reject(enough?.reason)
      }
      enough?.addEventListener("abort", leave, { once: true })
    })
  }

  end(): void {
    this.#ended = true
    for (const { reject } of this.#takers.splice(0)) reject(new Error("the connection has ended"))
  }
}

/** Both ends of a connection. */
class Connection implements Client {
  readonly #requests = new Mailbox<Request>()
  readonly #replies = new Mailbox<Reply>()
  readonly #gone = new AbortController()
  readonly #reader = new MessageReader()
  #isAnswerDue = false

  constructor(agent: Agent, restricted: boolean) {
    const conversation: Conversation = {
      restricted,
      gone: this.#gone.signal,
      receive: (enough) => {
        // What is not waited for any more may still come.
        enough.addEventListener("abort", () => {
          this.#isAnswerDue = true
        })
        return this.#requests.take(enough)
      },
      send: async (reply) => {
        if (this.#gone.signal.aborted) return false
        const [body] = new MessageReader().push(encodeMessage(reply))
        this.#replies.put(decodeReply(body ?? new Uint8Array()))
        return true
      },
    }
    this.#serve(agent, conversation)
  }

  /** What a server does: one request after the other. */
  async #serve(agent: Agent, conversation: Conversation): Promise<void> {
    for (;;) {
      const request = await this.#requests.take().catch(() => undefined)
      if (request === undefined) return
      const isLate = this.#isAnswerDue && isAnswer(request)
      this.#isAnswerDue = false
      if (isLate) continue
      await agent.handle(request, conversation)
      if (request.type === "stop" && !conversation.restricted) await conversation.send({ type: "done" })
    }
  }

  send(request: Request): void {
    if (this.#gone.signal.aborted) throw new Error("the connection has ended")
    for (const body of this.#reader.push(encodeMessage(request))) this.#requests.put(decodeRequest(body))
  }

  receive(): Promise<Reply> {
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error("no reply")), WAIT_MS).unref()
    })
    return Promise.race([this.#replies.take(), late])
  }

  close(): void {
    this.#gone.abort()
    this.#requests.end()
    this.#replies.end()
  }
}
