/**
 * The cache of found log entries: lossless, and never in the way.
 *
 * @module
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { beforeEach, describe, expect, onTestFinished, test } from "vitest"
import type { TransparencyLogEntry } from "../../src/formats/log-entry.ts"
import { type CachedEntryQuery, createLogEntryCache } from "../../src/services/log-entry-cache.ts"
import { parseRekorResponse } from "../../src/services/rekor.ts"
import { ENTRY, entryFor, LEAF, rekorAnswer } from "./rekor-answers.ts"

const entryOf = (rekord: typeof ENTRY): TransparencyLogEntry =>
  parseRekorResponse(Buffer.from(JSON.stringify(rekorAnswer(rekord))), "log")

const entry = entryOf(ENTRY)
const query: CachedEntryQuery = { objectId: "1f".repeat(20), digestCandidates: [ENTRY.digest], certificateDer: LEAF }
let directory: string

beforeEach(() => {
  const parent = mkdtempSync(join(tmpdir(), "gitsign-cache-"))
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }))
  directory = join(parent, "a", "b")
})

const onlyFile = (): string => {
  const [name, ...more] = readdirSync(directory)
  expect(more).toEqual([])
  return join(directory, name ?? "")
}

describe("an entry", () => {
  test("comes back as it was, from a file that only its owner can read", () => {
    const cache = createLogEntryCache(directory)
    expect(cache.read(query)).toBeUndefined()
    cache.write(query, entry)
    expect(createLogEntryCache(directory).read(query)).toEqual(entry)
    if (process.platform !== "win32") {
      expect(statSync(directory).mode & 0o777).toBe(0o700)
      expect(statSync(onlyFile()).mode & 0o777).toBe(0o600)
    }
  })

  test("comes back without what it did not have, and with numbers beyond 2^53", () => {
    const cache = createLogEntryCache(directory)
    const { inclusionPromise, inclusionProof, ...bare } = entry
    expect(inclusionPromise && inclusionProof).toBeDefined()
    const large = { ...bare, logIndex: 2n ** 62n + 1n }
    cache.write(query, large)
    expect(cache.read(query)).toEqual({ ...large, inclusionPromise: undefined, inclusionProof: undefined })
  })

  test("is kept once per object and certificate", () => {
    const cache = createLogEntryCache(directory)
    cache.write(query, entry)
    cache.write(query, entry)
    cache.write({ ...query, objectId: "2f".repeat(32) }, entry)
    expect(readdirSync(directory)).toHaveLength(2)
    expect(cache.read({ ...query, objectId: "3f".repeat(20) })).toBeUndefined()
  })
})

describe("a file", () => {
  const other = entryFor("something else")

  test.each<[string, (text: string) => string]>([
    ["is empty", () => ""],
    ["is cut short", (text) => text.slice(0, 200)],
    ["is not JSON", () => "hello"],
    ["is other JSON", () => "[]"],
    ["has a damaged number", (text) => text.replace('"logIndex":"', '"logIndex":"x')],
    ["has a damaged body", (text) => text.replace('"canonicalizedBody":"ey', '"canonicalizedBody":"fy')],
    ["is too large", (text) => text + " ".repeat(70_000)],
    [
      "holds another object's entry",
      () => {
        const elsewhere = createLogEntryCache(directory)
        elsewhere.write({ ...query, objectId: "4f".repeat(20), digestCandidates: [other.digest] }, entryOf(other))
        const path = join(directory, readdirSync(directory).find((name) => name.startsWith("4f")) ?? "")
        const text = readFileSync(path, "utf8")
        rmSync(path)
        return text
      },
    ],
  ])("that %s counts as missing and is removed", (_, damage) => {
    const cache = createLogEntryCache(directory)
    cache.write(query, entry)
    const path = onlyFile()
    writeFileSync(path, damage(readFileSync(path, "utf8")))
    expect(cache.read(query)).toBeUndefined()
    expect(readdirSync(directory)).toEqual([])
    cache.write(query, entry)
    expect(cache.read(query)).toEqual(entry)
  })

  test("that cannot be written or read fails nothing", () => {
    mkdirSync(join(directory, ".."), { recursive: true })
    writeFileSync(directory, "a file where the directory should be")
    const cache = createLogEntryCache(directory)
    expect(() => cache.write(query, entry)).not.toThrow()
    expect(cache.read(query)).toBeUndefined()
    const inTheWay = createLogEntryCache(join(directory, "..", "c"))
    inTheWay.write(query, entry)
    const path = join(directory, "..", "c", readdirSync(join(directory, "..", "c"))[0] ?? "")
    rmSync(path)
    mkdirSync(join(path, "full"), { recursive: true })
    expect(inTheWay.read(query)).toBeUndefined()
    expect(() => inTheWay.write(query, entry)).not.toThrow()
    expect(readdirSync(join(directory, "..", "c"))).toHaveLength(1)
  })

  test("is never named by what is not an object id", () => {
    const cache = createLogEntryCache(directory)
    for (const objectId of ["../../x", "", "HEAD", `${"1f".repeat(20)}/x`, "1F".repeat(20)]) {
      cache.write({ ...query, objectId }, entry)
      expect(cache.read({ ...query, objectId })).toBeUndefined()
    }
    expect(() => readdirSync(directory)).toThrow(/ENOENT/)
  })
})
