/**
 * Lets a bounded number of tasks work at once and a bounded number wait.
 *
 * @module
 */

import { GitsignError } from "../src/errors.ts"

interface GateOptions {
  /** What is being done, for the error. */
  readonly what: string
  readonly atOnce: number
  readonly waiting: number
}

export class Gate {
  readonly #options: GateOptions
  #working = 0
  /** In the order in which they came. */
  readonly #queue = new Set<() => void>()

  constructor(options: GateOptions) {
    this.#options = options
  }

  /**
   * Does the work as soon as there is room for it, and returns what it returns.
   *
   * @throws ERR_AGENT when too many wait already; ERR_CANCELLED when the client is gone before its turn
   */
  async pass<T>(gone: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#working >= this.#options.atOnce) await this.#turn(gone)
    else this.#working++
    try {
      return await work()
    } finally {
      const [next] = this.#queue
      if (next === undefined) this.#working--
      else {
        // The place is handed over and not given up: who comes now must not overtake.
        this.#queue.delete(next)
        next()
      }
    }
  }

  #turn(gone: AbortSignal): Promise<void> {
    const { what, waiting } = this.#options
    if (this.#queue.size >= waiting) {
      const hint = "try again when the others are done"
      throw new GitsignError("ERR_AGENT", `the agent has too many ${what} to do`, { hint })
    }
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        gone.removeEventListener("abort", leave)
        resolve()
      }
      const leave = (): void => {
        this.#queue.delete(enter)
        reject(new GitsignError("ERR_CANCELLED", "the client is gone"))
      }
      if (gone.aborted) return leave()
      this.#queue.add(enter)
      gone.addEventListener("abort", leave, { once: true })
    })
  }
}
