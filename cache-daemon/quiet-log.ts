/**
 * A log for what anybody who can connect may cause: the same thing is told once a minute, so that nobody can fill a disk with it.
 *
 * @module
 */

/** In milliseconds. */
const AGAIN_MS = 60_000

/**
 * Writes a line unless one about the same subject was written less than a minute ago.
 *
 * @param subject what the line is about, the line itself when not given; the caller MUST have only a few of them
 */
export type QuietLog = (line: string, subject?: string) => void

/** A quiet log in front of `log`; `monotonic` is a clock in milliseconds. */
export function quietLog(log: (line: string) => void, monotonic: () => number = () => performance.now()): QuietLog {
  const last = new Map<string, number>()
  return (line, subject = line) => {
    const now = monotonic()
    const before = last.get(subject)
    if (before !== undefined && now - before < AGAIN_MS) return
    last.set(subject, now)
    log(line)
  }
}
