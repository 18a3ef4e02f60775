/**
 * The agent's side of one connection: messages in, one request at a time, and a limit for everything that the other side can stretch.
 *
 * @module
 */

import type { Socket } from "node:net"
import { GitsignError, isGitsignError, messageOf } from "../src/errors.ts"
import type { ConnectionHost } from "./connection-host.ts"
import { type Conversation, isAnswer } from "./exchange.ts"
import {
  decodeRequest,
  encodeMessage,
  LIMITS,
  MessageReader,
  PROTOCOL_VERSION,
  type Reply,
  type Request,
} from "./protocol.ts"

/** Everything that a hello can be, in bytes. Whoever has not said hello gets no more memory than this. */
const MAX_HELLO_BYTES = 4 + 3 * LIMITS.name + 64

/** How long a last reply may take to leave, in milliseconds. */
const FAREWELL_MS = 1000

/** As many bytes of a reply as are given {@link ConnectionLimits.replyMs}: even a slow line takes so much in that time. */
const REPLY_PART = 64 * 1024

const TOO_MUCH: Reply = {
  type: "error",
  code: "ERR_AGENT",
  message: "the agent is asked for too much at once",
  hint: "try again when the others are done",
}

interface Message {
  readonly request: Request
  /** In bytes. */
  readonly size: number
}

interface Waiter {
  readonly done: (request: Request) => void
  readonly fail: (error: unknown) => void
}

/** One connection, which the agent speaks through. */
export class Connection implements Conversation {
  readonly restricted: boolean
  readonly gone: AbortSignal
  /** When something last came from the client or a request ended, on the clock of `performance.now()`. */
  lastActive = performance.now()
  readonly #socket: Socket
  readonly #host: ConnectionHost
  readonly #reader = new MessageReader()
  /** Complete messages whose turn has not come. */
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  /** Of the request that goes on, and of the answers in it. */
  #workBytes = 0
  #waiter: Waiter | undefined
  /** Whether the next message may be the answer to a question that nobody asks any more. */
  #isAnswerDue = false
  #phase: "hello" | "idle" | "busy" | "closing" = "hello"
  #isLogging = false
  #phaseTimer: NodeJS.Timeout | undefined
  #requestStarted = 0
  #messageTimer: NodeJS.Timeout | undefined

  constructor(socket: Socket, restricted: boolean, host: ConnectionHost) {
    this.#socket = socket
    this.restricted = restricted
    this.#host = host
    const gone = new AbortController()
    this.gone = gone.signal
    socket.on("data", (chunk: Uint8Array) => this.#take(chunk))
    // Its reason does not matter, and the socket closes by itself.
    socket.on("error", () => {})
    socket.on("close", () => {
      this.#end()
      gone.abort(new GitsignError("ERR_AGENT", "the client is gone"))
    })
    this.#setDeadline(host.limits.helloMs, "it did not say hello in time")
  }

  /** Whether a request is going on. */
  get isBusy(): boolean {
    return this.#phase === "busy"
  }

  /** Whether the log may have or get an entry that the client has not been told of. */
  get isLogging(): boolean {
    return this.#isLogging
  }

  /** How many bytes it holds that the agent has done nothing with yet. */
  get unfinishedBytes(): number {
    return this.#reader.pending + this.#queuedBytes
  }

  /** How many bytes of messages the request that goes on was made from. */
  get workBytes(): number {
    return this.#workBytes
  }

  /** Closes it at once. */
  drop(why: string): void {
    if (this.#socket.destroyed) return
    this.#host.log(`closed a connection: ${why}`)
    this.#socket.destroy()
    this.#end()
  }

  send(reply: Reply): Promise<boolean> {
    if (this.#socket.destroyed) return Promise.resolve(false)
    this.#follow(reply)
    const bytes = encodeMessage(reply)
    return new Promise((done) => {
      // Whoever does not read must not hold up what is done for others: a place at the log, memory.
      const late = (): void => this.drop("it does not take its replies")
      const timer = setTimeout(late, this.#host.limits.replyMs * Math.ceil(bytes.length / REPLY_PART))
      // Called as well when the socket closes before it could write, with an error or without.
      this.#socket.write(bytes, (error) => {
        clearTimeout(timer)
        done(!error && !this.#socket.destroyed)
      })
    })
  }

  receive(enough: AbortSignal): Promise<Request> {
    return new Promise((done, fail) => {
      if (this.#socket.destroyed) return fail(new GitsignError("ERR_AGENT", "the client is gone"))
      if (enough.aborted) return fail(enough.reason)
      const giveUp = (): void => {
        this.#waiter = undefined
        this.#isAnswerDue = true
        fail(enough.reason)
      }
      enough.addEventListener("abort", giveUp, { once: true })
      const settle = (act: () => void): void => {
        enough.removeEventListener("abort", giveUp)
        act()
      }
      this.#waiter = {
        done: (request) => settle(() => done(request)),
        fail: (error) => settle(() => fail(error)),
      }
      this.#next()
    })
  }

  /** Sends a last reply and closes when it has left, or has had the time to. */
  async farewell(reply: Reply): Promise<void> {
    this.#phase = "closing"
    this.#forget()
    this.#stopMessageClock()
    this.#setDeadline(FAREWELL_MS, "it did not take its last reply")
    await this.send(reply)
    this.#socket.destroySoon()
  }

  #take(chunk: Uint8Array): void {
    if (this.#phase === "closing") return
    this.lastActive = performance.now()
    let bodies: Uint8Array[]
    try {
      bodies = this.#reader.push(chunk)
    } catch {
      this.drop("what came is no message")
      return
    }
    for (const body of bodies) {
      this.#queue.push(body)
      this.#queuedBytes += body.length
    }
    if (bodies.length > 0) this.#stopMessageClock()
    this.#next()
    if (this.#phase === "hello" && this.#reader.pending > MAX_HELLO_BYTES) this.drop("its hello is too long")
    this.#host.grown()
  }

  /** Does with the messages that are there what can be done now, and reads on when that was all. */
  #next(): void {
    while (this.#queue.length > 0 && this.#phase !== "closing") {
      if (this.isBusy && this.#waiter === undefined) break
      const message = this.#decode()
      if (message === undefined) return
      if (this.#phase === "hello") this.#greet(message.request)
      else if (this.isBusy) this.#hand(message)
      else this.#begin(message)
    }
    // A client that asks faster than it is answered waits in its own buffers. One that asks nothing more is read, for its end to be seen.
    if (this.#queue.length > 0) this.#socket.pause()
    else if (this.#socket.isPaused()) this.#socket.resume()
    this.#runMessageClock()
  }

  #decode(): Message | undefined {
    const body = this.#queue.shift()
    const size = body?.length ?? 0
    this.#queuedBytes -= size
    try {
      if (body !== undefined) return { request: decodeRequest(body), size }
    } catch (error) {
      this.#refuse("what it sent is no request", messageOf(error))
    }
    return undefined
  }

  /** Gives an answer to the request that waits for it. */
  #hand({ request, size }: Message): void {
    this.#workBytes += size
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.done(request)
  }

  #begin({ request, size }: Message): void {
    const isLate = this.#isAnswerDue && isAnswer(request)
    this.#isAnswerDue = false
    if (!isLate) void this.#run(request, size)
  }

  #greet(request: Request): void {
    if (request.type !== "hello") {
      this.drop("it did not say hello first")
      return
    }
    const { program } = this.#host
    void this.send({ type: "hello", protocol: PROTOCOL_VERSION, program, restricted: this.restricted })
    if (request.protocol === PROTOCOL_VERSION) {
      this.#rest()
    } else {
      const message = `this agent is ${program} and speaks version ${PROTOCOL_VERSION} of the protocol`
      this.#refuse("it speaks another version of the protocol", message)
    }
  }

  async #run(request: Request, size: number): Promise<void> {
    if (request.type === "hello") return this.#refuse("it said hello twice", "hello comes once")
    this.#phase = "busy"
    this.#requestStarted = performance.now()
    this.#setDeadline(this.#host.limits.requestMs, "its request took too long")
    try {
      if (this.#host.hasRoom(this, size)) {
        this.#workBytes = size
        await this.#host.handle(request, this)
      } else {
        await this.send(TOO_MUCH)
      }
      if (request.type === "stop" && !this.restricted) {
        await this.#host.stop(this)
        await this.farewell({ type: "done" })
      }
    } catch (error) {
      this.drop(`a defect of gitsign (${isGitsignError(error) ? error.code : "unknown"})`)
    }
    this.#isLogging = false
    this.#workBytes = 0
    // Whoever asked for a message and did not wait for it must not get the next request.
    this.#reject()
    if (this.#socket.destroyed || !this.isBusy) return
    this.lastActive = performance.now()
    this.#rest()
    this.#next()
  }

  #rest(): void {
    this.#phase = "idle"
    const { idleMs, personMs } = this.#host.limits
    // The person whom the client was told to ask is still busy with that.
    this.#setDeadline(this.#isAnswerDue ? personMs : idleMs, "it was idle")
  }

  /** What a reply means for the time that is left, and for whether the agent may end now. */
  #follow(reply: Reply): void {
    if (!this.isBusy) return
    if (reply.type === "waiting" || reply.type === "token_needed" || reply.type === "consent_needed") {
      const spent = performance.now() - this.#requestStarted
      this.#setDeadline(this.#host.limits.personMs - spent, "its request took too long")
    } else if (reply.type === "logging") {
      this.#isLogging = true
    }
  }

  #refuse(why: string, message: string): void {
    this.#host.log(`closed a connection: ${why}`)
    void this.farewell({ type: "error", code: "ERR_AGENT", message: message.slice(0, LIMITS.name), hint: undefined })
  }

  #setDeadline(ms: number, why: string): void {
    clearTimeout(this.#phaseTimer)
    if (!this.#socket.destroyed) this.#phaseTimer = setTimeout(() => this.drop(why), Math.max(0, ms))
  }

  /** Gives a message that has begun its time. It does not run while we are the ones who do not read. */
  #runMessageClock(): void {
    if (this.#reader.pending === 0 || this.#socket.isPaused() || this.#phase === "closing") {
      this.#stopMessageClock()
    } else {
      const late = (): void => this.drop("its message did not come to an end")
      this.#messageTimer ??= setTimeout(late, this.#host.limits.messageMs)
    }
  }

  #stopMessageClock(): void {
    clearTimeout(this.#messageTimer)
    this.#messageTimer = undefined
  }

  #forget(): void {
    this.#queue = []
    this.#queuedBytes = 0
  }

  #reject(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.fail(new GitsignError("ERR_AGENT", "the client is gone"))
  }

  #end(): void {
    this.#phase = "closing"
    this.#forget()
    clearTimeout(this.#phaseTimer)
    this.#stopMessageClock()
    this.#reject()
    this.#host.closed(this)
  }
}
