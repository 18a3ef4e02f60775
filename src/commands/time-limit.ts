/**
 * A bound on how long somebody waits for this program.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"

/** What work gets, after its time is over, to say what it has come to; in milliseconds. */
const GRACE_MS = 2000

/**
 * Does `work` for so many seconds; 0 is no limit. When they are over the signal aborts with ERR_TIME_LIMIT, so that the work can end
 * with what it has; when it does not, it is left alone.
 *
 * @throws ERR_TIME_LIMIT when the work goes on for two seconds more; else whatever it throws
 */
export async function withinSeconds<T>(seconds: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const working = work(controller.signal)
  if (seconds === 0) return working
  const reason = new GitsignError(
    "ERR_TIME_LIMIT",
    `the time limit of ${seconds} s (gitsign.hookTimeLimit) was over before this could be checked`,
    { hint: "push fewer commits at a time, or have gitsign.hookTimeLimit made longer where it is checked" },
  )
  const timers: NodeJS.Timeout[] = []
  const over = new Promise<never>((_, reject) => {
    timers.push(setTimeout(() => controller.abort(reason), seconds * 1000))
    timers.push(setTimeout(() => reject(reason), seconds * 1000 + GRACE_MS))
  })
  try {
    return await Promise.race([working, over])
  } finally {
    for (const timer of timers) clearTimeout(timer)
  }
}
