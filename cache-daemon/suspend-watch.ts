/**
 * Notices that the machine slept or that its clock was moved, by looking at two clocks often.
 *
 * @module
 */

/** How often {@link SuspendWatch.check} is to be called at least, in milliseconds. */
const TICK_MS = 5000

/** A longer gap than this beyond the tick counts; in milliseconds. */
const GAP_MS = 60_000

export class SuspendWatch {
  readonly #wall: () => number
  readonly #monotonic: () => number
  #last: readonly [number, number]

  constructor(wall: () => number, monotonic: () => number) {
    this.#wall = wall
    this.#monotonic = monotonic
    this.#last = [wall(), monotonic()]
  }

  /**
   * Whether either clock has made a jump since the last call. A monotonic clock stands still during a suspend on some systems and
   * goes on in others, and a wall clock can be set.
   */
  check(): boolean {
    const now = [this.#wall(), this.#monotonic()] as const
    const gaps = now.map((value, index) => value - (this.#last[index] ?? value))
    this.#last = now
    return gaps.some((gap) => gap > GAP_MS + TICK_MS || gap < -GAP_MS)
  }
}
