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
  /** Resolves to whether the bytes could be handed to the other side. */
  send(reply: Reply): Promise<boolean>
  /** The client's next message; rejects with ERR_AGENT when it is gone. The caller bounds the wait itself. */
  receive(): Promise<Request>
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
  /** A message that was asked for and is not waited for any more. */
  #crossing: Promise<Request> | undefined

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
    if (!(await this.say(question.ask))) throw new GitsignError("ERR_CANCELLED", "the client is gone")
    const pending = this.conversation.receive()
    const answer = await this.#bounded(pending, question)
    if ((question.answers as readonly string[]).includes(answer.type)) return answer as RequestOf<T>
    throw new GitsignError("ERR_AGENT", `"${answer.type}" is no answer to "${question.ask.type}"`)
  }

  /**
   * To be called when the request has been answered. An answer that was on its way when the agent stopped waiting for it is taken
   * off the line; what comes instead of it is the client's next request and is returned.
   */
  async leftover(): Promise<Request | undefined> {
    const request = await this.#crossing?.catch(() => undefined)
    return request === undefined || isAnswer(request) ? undefined : request
  }

  #bounded(pending: Promise<Request>, { timeoutMs, late, signal }: Question<Request["type"]>): Promise<Request> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        signal?.removeEventListener("abort", onAbort)
        act()
      }
      const giveUp = (error: unknown): void => {
        this.#crossing = pending
        settle(() => reject(error))
      }
      const onAbort = (): void => giveUp(signal?.reason)
      const timer = setTimeout(() => giveUp(new GitsignError("ERR_AGENT", late, { hint: "try again" })), timeoutMs)
      signal?.addEventListener("abort", onAbort, { once: true })
      if (signal?.aborted) onAbort()
      pending.then(
        (answer) => settle(() => resolve(answer)),
        () => settle(() => reject(new GitsignError("ERR_CANCELLED", "the client is gone"))),
      )
    })
  }
}
