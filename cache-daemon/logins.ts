/**
 * One login at a time for each key: the first client leads, the others wait for what it brings.
 *
 * @module
 */

import { GitsignError } from "../src/errors.ts"

/** How a client's attempt to log in ended. */
export type Attempt<T> =
  | { readonly outcome: "made"; readonly value: T }
  /** Nobody else would do better: all who wait fail with the same error. */
  | { readonly outcome: "failed"; readonly error: GitsignError }
  /** It is this client's own trouble: the next one leads. */
  | { readonly outcome: "lost"; readonly error: GitsignError }
  /** This client cannot log in, and gladly takes what another one brings. */
  | { readonly outcome: "elsewhere"; readonly error: GitsignError }

/** A client that needs a credential. */
export interface Candidate<T> {
  /** Tries to log in. MUST end soon when the signal is aborted, and never throw. */
  readonly lead: (signal: AbortSignal) => Promise<Attempt<T>>
  /** Called when another client leads. */
  readonly waiting: () => void
  readonly gone: AbortSignal
}

export interface LoginLimits {
  /** How long one client waits for the login of another, in milliseconds. */
  readonly waitMs: number
  /** How many clients may lead or wait, over all keys. */
  readonly clients: number
}

/** The logins that are going on, by key. */
export class Logins<T> {
  readonly #limits: LoginLimits
  readonly #flights = new Map<string, Flight<T>>()
  #clients = 0

  constructor(limits: LoginLimits) {
    this.#limits = limits
  }

  /**
   * Leads the login for `id`, or waits for the one that is going on and leads when that is lost.
   *
   * @throws the error of this client's own attempt, or of one that failed for all; ERR_AGENT when it takes too long or too many
   * wait; ERR_CANCELLED when the client is gone; the reason given to {@link Logins.cancel}
   */
  async join(id: string, candidate: Candidate<T>): Promise<T> {
    if (this.#clients >= this.#limits.clients) {
      const hint = "try again when the others are done"
      throw new GitsignError("ERR_AGENT", "too many clients wait for a login", { hint })
    }
    this.#clients++
    try {
      return await new Promise<T>((resolve, reject) => {
        const waiter = new Waiter(candidate, { resolve, reject }, this.#limits.waitMs)
        const known = this.#flights.get(id)
        if (known !== undefined) return known.add(waiter)
        const flight = new Flight<T>(() => this.#flights.get(id) === flight && this.#flights.delete(id))
        this.#flights.set(id, flight)
        flight.begin(waiter)
      })
    } finally {
      this.#clients--
    }
  }

  /** Ends all logins with this error for all who lead or wait. */
  cancel(error: GitsignError): void {
    for (const flight of this.#flights.values()) flight.cancel(error)
  }
}

/** The login for one key. */
class Flight<T> {
  /** In the order in which they came, without the leader. */
  readonly #waiters = new Set<Waiter<T>>()
  readonly #controller = new AbortController()
  readonly #onEnd: () => void
  #leader: Waiter<T> | undefined

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd
  }

  /** Has a client wait. */
  add(waiter: Waiter<T>): void {
    this.#waiters.add(waiter)
    waiter.wait(() => this.#waiters.delete(waiter))
    waiter.candidate.waiting()
  }

  /** Has clients lead, one after the other, until one has brought a credential or nobody is left who could. */
  async begin(first: Waiter<T>): Promise<void> {
    for (let leader: Waiter<T> | undefined = first; leader !== undefined; leader = this.#next()) {
      this.#leader = leader
      const attempt: Attempt<T> = await leader.candidate.lead(this.#controller.signal)
      if (this.#controller.signal.aborted) return
      this.#leader = undefined
      if (attempt.outcome === "made") return this.#end(leader, (waiter) => waiter.resolve(attempt.value))
      if (attempt.outcome === "failed") return this.#end(leader, (waiter) => waiter.reject(attempt.error))
      if (attempt.outcome === "lost") leader.reject(attempt.error)
      else {
        leader.excuse = attempt.error
        this.#waiters.add(leader)
      }
      this.#tellExcused(leader)
    }
    this.#end(undefined, (waiter) => waiter.reject(waiter.excuse ?? new GitsignError("ERR_AGENT", "nobody logged in")))
  }

  cancel(error: GitsignError): void {
    this.#controller.abort(error)
    this.#end(this.#leader, (waiter) => waiter.reject(error))
  }

  /** Takes the first who may lead out of the queue. */
  #next(): Waiter<T> | undefined {
    for (const waiter of this.#waiters) {
      if (waiter.excuse !== undefined) continue
      this.#waiters.delete(waiter)
      waiter.stopWaiting()
      return waiter
    }
    return undefined
  }

  /** A client that could not lead waits like the others, as long as there is one that may bring something. */
  #tellExcused(waiter: Waiter<T>): void {
    if (!this.#waiters.has(waiter) || ![...this.#waiters].some(({ excuse }) => excuse === undefined)) return
    waiter.wait(() => this.#waiters.delete(waiter))
    waiter.candidate.waiting()
  }

  #end(leader: Waiter<T> | undefined, settle: (waiter: Waiter<T>) => void): void {
    // First of all: whoever comes from now on begins a login of its own.
    this.#onEnd()
    const all = leader === undefined ? [...this.#waiters] : [leader, ...this.#waiters]
    this.#waiters.clear()
    for (const waiter of all) {
      waiter.stopWaiting()
      settle(waiter)
    }
  }
}

/** One client in a login. */
class Waiter<T> {
  readonly candidate: Candidate<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: GitsignError) => void
  /** Why it cannot lead. */
  excuse: GitsignError | undefined
  readonly #waitMs: number
  #stop: (() => void) | undefined

  constructor(
    candidate: Candidate<T>,
    promise: { resolve: (value: T) => void; reject: (error: GitsignError) => void },
    waitMs: number,
  ) {
    this.candidate = candidate
    this.resolve = promise.resolve
    this.reject = promise.reject
    this.#waitMs = waitMs
  }

  /** Bounds the wait, and ends it when the client is gone; `leave` takes it out of the queue. */
  wait(leave: () => void): void {
    const { gone } = this.candidate
    const giveUp = (error: GitsignError): void => {
      this.stopWaiting()
      leave()
      this.reject(error)
    }
    const onGone = (): void => giveUp(new GitsignError("ERR_CANCELLED", "the client is gone"))
    const timer = setTimeout(() => {
      const message = `the login that another gitsign began was not finished within ${this.#waitMs / 1000} s`
      giveUp(new GitsignError("ERR_AGENT", message, { hint: "finish that login or end it, then try again" }))
    }, this.#waitMs)
    this.#stop = () => {
      clearTimeout(timer)
      gone.removeEventListener("abort", onGone)
    }
    gone.addEventListener("abort", onGone, { once: true })
    if (gone.aborted) onGone()
  }

  stopWaiting(): void {
    this.#stop?.()
    this.#stop = undefined
  }
}
