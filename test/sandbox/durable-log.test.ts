/**
 * Cuts, damage and concurrent appends against the log file.
 *
 * @module
 */

import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { DurableLog } from "../../src/sandbox/durable-log.ts"

let folder = ""
let path = ""

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gitsign-durable-"))
  path = join(folder, "x.log")
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Opens the log, returns the records that were handed over, and closes it. */
async function contents(): Promise<string[]> {
  const found: string[] = []
  const log = await DurableLog.open(path, (record, index) => {
    expect(index).toBe(found.length)
    found.push(record.toString())
  })
  expect(log.size).toBe(found.length)
  for (const [index, text] of found.entries()) expect((await log.read(index)).toString()).toBe(text)
  await log.close()
  return found
}

async function write(...records: readonly string[]): Promise<void> {
  const log = await DurableLog.open(path, () => {})
  for (const record of records) await log.append(Buffer.from(record))
  await log.close()
}

async function codeOf(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => "no error",
    (error: unknown) => (isGitsignError(error) ? error.code : String(error)),
  )
}

describe("DurableLog", () => {
  test("keeps records over restarts, in order, also empty ones", async () => {
    await write("a", "", "ccc")
    await write("d")
    expect(await contents()).toEqual(["a", "", "ccc", "d"])
  })

  test("is private", async () => {
    await write("a")
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test("a file cut anywhere loses only the record that the cut is in", async () => {
    await write("first", "second", "third")
    const whole = readFileSync(path)
    const frame = (text: string): number => 16 + 4 + text.length
    const ends = [0, frame("first"), frame("first") + frame("second"), whole.length]
    for (let length = 0; length <= whole.length; length++) {
      writeFileSync(path, whole)
      truncateSync(path, length)
      const complete = ends.filter((end) => end <= length).length - 1
      expect(await contents()).toEqual(["first", "second", "third"].slice(0, complete))
      expect(statSync(path).size).toBe(ends[complete])
    }
  })

  test("after a cut new records follow the complete ones", async () => {
    await write("first", "second")
    truncateSync(path, statSync(path).size - 1)
    await write("third")
    expect(await contents()).toEqual(["first", "third"])
  })

  test("zeros at the end, as a power failure leaves them, are dropped", async () => {
    await write("first")
    writeFileSync(path, Buffer.alloc(5000), { flag: "a" })
    expect(await contents()).toEqual(["first"])
  })

  test("any changed byte before the last frame is an error, not a loss", async () => {
    await write("first", "second")
    const whole = readFileSync(path)
    for (let offset = 0; offset < 16 + 4 + "first".length; offset++) {
      const changed = Buffer.from(whole)
      changed[offset] = (changed[offset] ?? 0) ^ 1
      writeFileSync(path, changed)
      expect(await codeOf(contents()), `byte ${offset}`).toBe("ERR_SANDBOX")
      expect(readFileSync(path)).toEqual(changed)
    }
  })

  test("appends at once share frames, and each gets its own index", async () => {
    const log = await DurableLog.open(path, () => {})
    const texts = Array.from({ length: 500 }, (_, i) => `record ${i}`)
    const indexes = await Promise.all(texts.map((text) => log.append(Buffer.from(text))))
    expect(indexes).toEqual(texts.map((_, i) => i))
    await log.close()
    expect(await contents()).toEqual(texts)
    const frames = (statSync(path).size - texts.reduce((sum, text) => sum + 4 + text.length, 0)) / 16
    expect(frames).toBeLessThan(10)
  })

  test("a record is handed over before its append resolves, and an append in that moment is not lost", async () => {
    const seen: number[] = []
    const log = await DurableLog.open(path, (_, index) => seen.push(index))
    for (let round = 0; round < 50; round++) {
      const index = await log.append(Buffer.from("x"))
      expect(seen).toContain(index)
    }
    await log.close()
    expect(await contents()).toHaveLength(50)
  })

  test("a second writer is found out before it can do harm", async () => {
    const one = await DurableLog.open(path, () => {})
    const two = await DurableLog.open(path, () => {})
    await one.append(Buffer.from("one"))
    expect(await codeOf(two.append(Buffer.from("two")))).toBe("ERR_SANDBOX")
    expect(await codeOf(two.append(Buffer.from("two again")))).toBe("ERR_SANDBOX")
    await one.append(Buffer.from("three"))
    await Promise.all([one.close(), two.close()])
    expect(await contents()).toEqual(["one", "three"])
  })
})
