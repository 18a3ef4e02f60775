/**
 * A log that nobody can fill.
 *
 * @module
 */

import { expect, test } from "vitest"
import { quietLog } from "../../cache-daemon/quiet-log.ts"

test("the same subject is told once a minute", () => {
  const lines: string[] = []
  let now = 0
  const log = quietLog(
    (line) => lines.push(line),
    () => now,
  )
  const tellAll = (): void => {
    log("a")
    log("b")
    log(`entry ${now}`, "entries")
  }
  tellAll()
  now = 59_999
  tellAll()
  expect(lines).toEqual(["a", "b", "entry 0"])
  now = 60_000
  tellAll()
  expect(lines.slice(3)).toEqual(["a", "b", "entry 60000"])
})
