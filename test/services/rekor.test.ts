/**
 * The Rekor client: uploads, searches, and the strict reading of what a log answers.
 *
 * @module
 */

import { createHash } from "node:crypto"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { hashedRekordBody } from "../../src/formats/log-entry.ts"
import { createRekorClient, matchesQuery, parseRekorResponse, readHashedRekord } from "../../src/services/rekor.ts"
import { httpServer, json, rawServer, type SeenRequest, testClient } from "./loopback.ts"
import { ENTRY, entryFor, LEAF, rekorAnswer, uuidOf } from "./rekor-answers.ts"

const client = (url: string) => createRekorClient({ url, http: testClient() })

describe("an upload", () => {
  test("sends the entry and returns it with its proofs", async () => {
    const server = await httpServer(() => json(rekorAnswer(ENTRY), 201))
    const entry = await client(server.url).uploadLogEntry(ENTRY)
    const [{ method, path, body }] = server.seen as [SeenRequest]
    expect([method, path]).toEqual(["POST", "/api/v1/log/entries"])
    expect(body).toEqual(hashedRekordBody(ENTRY, "0.0.1"))
    expect(entry).toEqual({
      logIndex: 2_282_308_323n,
      logId: Buffer.alloc(32, 7),
      kindVersion: { kind: "hashedrekord", version: "0.0.1" },
      integratedTime: 1_795_000_000n,
      inclusionPromise: Buffer.from("promise"),
      inclusionProof: {
        logIndex: 5n,
        rootHash: Buffer.alloc(32, 1),
        treeSize: 9n,
        hashes: [Buffer.alloc(32, 2), Buffer.alloc(32, 3)],
        checkpoint: "log.example - 1\n9\nAQEB\n\n\u2014 log.example AAAA\n",
      },
      canonicalizedBody: hashedRekordBody(ENTRY, "0.0.1"),
    })
  })

  test("that was made already returns the entry that is there", async () => {
    const uuid = uuidOf(ENTRY)
    for (const location of [
      `/api/v1/log/entries/${uuid}`,
      `https://rekor.example.com/api/v1/log/entries/${uuid.slice(16)}`,
    ]) {
      const server = await httpServer(({ method }) =>
        method === "POST" ? { ...json({}, 409), headers: { location } } : json(rekorAnswer(ENTRY)),
      )
      expect((await client(server.url).uploadLogEntry(ENTRY)).logIndex).toBe(2_282_308_323n)
      expect(server.seen[1]?.path).toBe(`/api/v1/log/entries/${location.split("/").at(-1)}`)
    }
  })

  test("whose first answer was lost is repeated, and waits for the entry to appear", async () => {
    let gets = 0
    const server = await rawServer((socket, count) => {
      const reply = (status: string, headers: string, body = "") =>
        socket.end(
          `HTTP/1.1 ${status}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n${headers}\r\n${body}`,
        )
      if (count === 1) socket.resetAndDestroy()
      else if (count === 2) reply("409 Conflict", `location: /api/v1/log/entries/${uuidOf(ENTRY)}\r\n`)
      else if (++gets === 1) reply("404 Not Found", "")
      else reply("200 OK", "", JSON.stringify(rekorAnswer(ENTRY)))
    })
    expect((await client(server.url).uploadLogEntry(ENTRY)).logIndex).toBe(2_282_308_323n)
    expect(gets).toBe(2)
  })

  test.each([
    ["another digest", { digest: Buffer.alloc(32, 9) }],
    ["another signature", { signature: Buffer.from("other") }],
    ["another certificate", { certificateDer: Buffer.from("other") }],
  ])("answered with an entry for %s is refused", async (_, change) => {
    const other = { ...ENTRY, ...change }
    const created = await httpServer(() => json(rekorAnswer(other), 201))
    const message = expect.stringMatching(/answered with an entry for something else/)
    await expect(client(created.url).uploadLogEntry(ENTRY)).rejects.toMatchObject({ code: "ERR_REKOR", message })
    const location = `/api/v1/log/entries/${uuidOf(ENTRY)}`
    const existing = await httpServer(({ method }) =>
      method === "POST" ? { ...json({}, 409), headers: { location } } : json(rekorAnswer(other)),
    )
    await expect(client(existing.url).uploadLogEntry(ENTRY)).rejects.toMatchObject({ code: "ERR_REKOR", message })
  })

  test.each([
    [
      400,
      { code: 400, message: "error processing entry: invalid\n signature" },
      /answered 400: error processing entry: invalid signature$/,
    ],
    [409, {}, /has the entry already and does not say where/],
    [500, {}, /answered 500$/],
    [302, {}, /answered 302$/],
  ])("refused with %i", async (status, body, message) => {
    const server = await httpServer(() => json(body, status))
    await expect(client(server.url).uploadLogEntry(ENTRY)).rejects.toMatchObject({
      code: "ERR_REKOR",
      message: expect.stringMatching(message),
    })
  })
})

describe("a search", () => {
  /** A log with these entries, and a search index over them. */
  const log = (entries: readonly (typeof ENTRY)[], index: (query: Record<string, unknown>) => readonly string[]) =>
    httpServer(({ path, body }) => {
      if (path === "/api/v1/index/retrieve") return json(index(JSON.parse(body.toString())))
      const found = entries.find((entry) => path.endsWith(uuidOf(entry)))
      return found === undefined ? { status: 404 } : json(rekorAnswer(found))
    })

  const query = { digestCandidates: [Buffer.alloc(32), ENTRY.digest], certificateDer: LEAF }

  test("asks by digest and finds the entry of the certificate", async () => {
    const stranger = { ...ENTRY, certificateDer: Buffer.from("other") }
    const server = await log([stranger, ENTRY], ({ hash }) =>
      hash === `sha256:${ENTRY.digest.toString("hex")}` ? [uuidOf(stranger), uuidOf(ENTRY)] : [],
    )
    const found = await client(server.url).findLogEntry(query)
    expect(found?.canonicalizedBody).toEqual(hashedRekordBody(ENTRY, "0.0.1"))
  })

  test("asks by certificate when others fill the index for the digest", async () => {
    const junk = Array.from({ length: 300 }, (_, i) => createHash("sha256").update(String(i)).digest("hex"))
    const server = await log([ENTRY], ({ hash, publicKey }) => {
      if (hash !== undefined) return junk
      expect(publicKey).toEqual({ format: "x509", content: expect.any(String) })
      return [uuidOf(ENTRY)]
    })
    const oneDigest = { ...query, digestCandidates: [ENTRY.digest] }
    expect((await client(server.url).findLogEntry(oneDigest))?.logIndex).toBe(2_282_308_323n)
    // Two searches, 200 of the 300 entries, and the right one.
    expect(server.seen).toHaveLength(203)
  })

  test("returns nothing when there is nothing", async () => {
    const server = await log([], () => [])
    expect(await client(server.url).findLogEntry(query)).toBeUndefined()
    expect(server.seen).toHaveLength(3)
  })

  test("passes over entries that are gone or of another kind", async () => {
    const intoto = Buffer.from(JSON.stringify({ apiVersion: "0.0.1", kind: "intoto", spec: {} }))
    const uuid = uuidOf(intoto)
    const server = await httpServer(({ path }) => {
      if (path === "/api/v1/index/retrieve") return json([uuid, "0".repeat(64), uuidOf(ENTRY)])
      if (path.endsWith(uuid)) return json(rekorAnswer(intoto))
      return path.endsWith(uuidOf(ENTRY)) ? json(rekorAnswer(ENTRY)) : { status: 404 }
    })
    expect((await client(server.url).findLogEntry(query))?.kindVersion.kind).toBe("hashedrekord")
  })

  test.each([
    ["an object", {}],
    ["a path", ["../../etc"]],
    ["a number", [1]],
    ["upper case", ["A".repeat(64)]],
  ])("answered with %s is refused", async (_, answer) => {
    const server = await httpServer(() => json(answer))
    await expect(client(server.url).findLogEntry(query)).rejects.toMatchObject({ code: "ERR_REKOR" })
    expect(server.seen).toHaveLength(1)
  })

  test("that cannot be done is an error and not an empty result", async () => {
    const server = await httpServer(() => ({ status: 500 }))
    await expect(client(server.url).findLogEntry(query)).rejects.toMatchObject({ code: "ERR_REKOR" })
  })
})

describe("one entry", () => {
  test("is undefined when the log has none, and an id is checked before it is sent", async () => {
    const server = await httpServer(() => ({ status: 404 }))
    expect(await client(server.url).getLogEntry(uuidOf(ENTRY))).toBeUndefined()
    await expect(client(server.url).getLogEntry("../log")).rejects.toMatchObject({ code: "ERR_REKOR" })
    expect(server.seen).toHaveLength(1)
  })

  test("is refused when it is another one than was asked for", async () => {
    const server = await httpServer(() => json(rekorAnswer(entryFor("something else"))))
    await expect(client(server.url).getLogEntry(uuidOf(ENTRY))).rejects.toMatchObject({
      code: "ERR_REKOR",
      message: expect.stringMatching(/its id is not that of its body/),
    })
  })
})

test("the state of the log", async () => {
  const info = { treeID: "1", treeSize: 9, rootHash: "01".repeat(32), signedTreeHead: "note", inactiveShards: null }
  const server = await httpServer(() => json(info))
  expect(await client(server.url).logInfo()).toEqual({
    treeId: "1",
    treeSize: 9n,
    rootHash: Buffer.alloc(32, 1),
    signedTreeHead: "note",
  })
})

describe("reading an answer", () => {
  const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
  const uuid = uuidOf(ENTRY)
  const answer = rekorAnswer(ENTRY)
  const entry = answer[uuid]
  const proof = entry?.verification.inclusionProof

  test("accepts an entry without proofs, for verification to judge", () => {
    const { verification, ...bare } = entry ?? {}
    expect(verification).toBeDefined()
    const parsed = parseRekorResponse(bytes({ [uuid]: bare }), "log")
    expect(parsed.inclusionPromise).toBeUndefined()
    expect(parsed.inclusionProof).toBeUndefined()
  })

  test.each<[string, unknown]>([
    ["no entry", {}],
    ["a list", []],
    ["two entries", { ...answer, ["0".repeat(64)]: entry }],
    ["another id", { ["0".repeat(64)]: entry }],
    ["no id", { __proto__x: entry }],
    ["no object", { [uuid]: "x" }],
    ["no body", { [uuid]: { ...entry, body: undefined } }],
    ["a body that is no base64", { [uuid]: { ...entry, body: "*" } }],
    ["a body that is no JSON", rekorAnswer(Buffer.from("hello"))],
    ["a fraction", { [uuid]: { ...entry, logIndex: 1.5 } }],
    ["a negative index", { [uuid]: { ...entry, logIndex: -1 } }],
    ["an index beyond 2^53", { [uuid]: { ...entry, logIndex: 2 ** 53 } }],
    ["an index in text", { [uuid]: { ...entry, logIndex: "1" } }],
    ["a short log id", { [uuid]: { ...entry, logID: "00" } }],
    ["upper-case hex", { [uuid]: { ...entry, logID: "AA".repeat(32) } }],
    ["a short hash", { [uuid]: { ...entry, verification: { inclusionProof: { ...proof, hashes: ["00"] } } } }],
    ["no checkpoint", { [uuid]: { ...entry, verification: { inclusionProof: { ...proof, checkpoint: 1 } } } }],
    ["an empty promise", { [uuid]: { ...entry, verification: { signedEntryTimestamp: "" } } }],
  ])("refuses %s", (_, value) => {
    expect(() => parseRekorResponse(bytes(value), "log")).toThrow(expect.objectContaining({ code: "ERR_REKOR" }))
  })

  test("throws nothing but ERR_REKOR, whatever the bytes are", () => {
    const whole = bytes(answer)
    const damaged = fc
      .tuple(fc.nat({ max: whole.length - 1 }), fc.uint8Array({ maxLength: 20 }), fc.nat({ max: 40 }))
      .map(([at, insert, drop]) => Buffer.concat([whole.subarray(0, at), insert, whole.subarray(at + drop)]))
    const anything = fc.oneof(
      damaged,
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((text) => Buffer.from(text)),
    )
    fc.assert(
      fc.property(anything, (input) => {
        try {
          parseRekorResponse(input, "log")
        } catch (error) {
          expect(isGitsignError(error) && error.code).toBe("ERR_REKOR")
        }
        expect(() => readHashedRekord(input)).not.toThrow()
      }),
      { numRuns: 2000 },
    )
  })
})

describe("what an entry states", () => {
  const of = (body: Uint8Array) => parseRekorResponse(Buffer.from(JSON.stringify(rekorAnswer(body))), "log")

  test("is read back from its canonical body only", () => {
    const body = hashedRekordBody(ENTRY, "0.0.1")
    expect(readHashedRekord(body)).toEqual(ENTRY)
    expect(readHashedRekord(Buffer.from(`${body} `))).toBeUndefined()
    expect(readHashedRekord(Buffer.from(JSON.stringify(JSON.parse(body.toString()), null, 1)))).toBeUndefined()
    expect(readHashedRekord(hashedRekordBody(ENTRY, "0.0.2"))).toBeUndefined()
  })

  test("matches only with both the digest and the certificate", () => {
    const entry = of(hashedRekordBody(ENTRY, "0.0.1"))
    expect(matchesQuery(entry, { digestCandidates: [ENTRY.digest], certificateDer: LEAF })).toBe(true)
    expect(matchesQuery(entry, { digestCandidates: [], certificateDer: LEAF })).toBe(false)
    expect(matchesQuery(entry, { digestCandidates: [Buffer.alloc(32)], certificateDer: LEAF })).toBe(false)
    expect(matchesQuery(entry, { digestCandidates: [ENTRY.digest], certificateDer: Buffer.alloc(1) })).toBe(false)
  })
})
