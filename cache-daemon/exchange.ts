/**
 * One request of a client with everything that is said because of it.
 *
 * @module
 */

import { GitsignError } from "../src/errors.ts"
import type { Reply, Request, RequestOf } from "./protocol.ts"

/** The way to one client, however its messages travel. */
export interface Conversation {
  /** Whether it came over the socket for other hosts, where only what exists may be used. */
  readonly restricted: boolean
  /** Resolves to whether the bytes could be handed to the other side. MUST do so soon: a client that does not take them is gone. */
  send(reply: Reply): Promise<boolean>
  /**
   * The client's next message; rejects with ERR_AGENT when it is gone. Once `enough` is aborted it rejects with that reason, and the
   * next message is not handed to anybody if it is an answer ({@link isAnswer}): that one was on its way. Any other is a request.
   */
  receive(enough: AbortSignal): Promise<Request>
  /** Aborted when the client is gone. */
  readonly gone: AbortSignal
}

/** A question of the agent in the middle of a request. */
export interface Question<T extends Request["type"]> {
  readonly ask: Reply
  readonly answers: readonly T[]
  readonly timeoutMs: number
  /** What is said when the time is over. */
  readonly late: string
  /** Ends the wait with its reason, which MUST be a GitsignError. */
  readonly signal?: AbortSignal | undefined
}

const ANSWERS: ReadonlySet<Request["type"]> = new Set(["token", "no_token", "consent"])

/** Whether a message has a meaning only as the answer to a question. */
export const isAnswer = (request: Request): boolean => ANSWERS.has(request.type)

export class Exchange {
  readonly conversation: Conversation

  constructor(conversation: Conversation) {
    this.conversation = conversation
  }

  get gone(): AbortSignal {
    return this.conversation.gone
  }

  /** Sends a reply; resolves to whether it could be handed over, and never rejects. */
  async say(reply: Reply): Promise<boolean> {
    if (this.gone.aborted) return false
    try {
      return (await this.conversation.send(reply)) && !this.gone.aborted
    } catch {
      return false
    }
  }

  /**
   * Asks the client something and returns its answer.
   *
   * @throws ERR_CANCELLED when it is gone; ERR_AGENT when it says something else or nothing in time; the signal's reason
   */
  async ask<T extends Request["type"]>(question: Question<T>): Promise<RequestOf<T>> {
    const { ask, answers, timeoutMs, late, signal } = question
    if (!(await this.say(ask))) throw new GitsignError("ERR_CANCELLED", "the client is gone")
    const enough = new AbortController()
    const onAbort = (): void => enough.abort(signal?.reason)
    const onLate = (): void => enough.abort(new GitsignError("ERR_AGENT", late, { hint: "try again" }))
    const timer = setTimeout(onLate, timeoutMs)
    signal?.addEventListener("abort", onAbort, { once: true })
    if (signal?.aborted) onAbort()
    let answer: Request
    try {
      answer = await this.conversation.receive(enough.signal)
    } catch {
      throw enough.signal.aborted ? enough.signal.reason : new GitsignError("ERR_CANCELLED", "the client is gone")
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener("abort", onAbort)
    }
    if ((answers as readonly string[]).includes(answer.type)) return answer as RequestOf<T>
    throw new GitsignError("ERR_AGENT", `"${answer.type}" is no answer to "${ask.type}"`)
  }
}
