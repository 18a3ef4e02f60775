/**
 * The sandbox's Rekor: entries, proofs, searches and refusals, checked with the keys a client would have.
 *
 * @module
 */

import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { leafHash, rootFromInclusionProof, verifyConsistencyProof } from "../../src/formats/merkle.ts"
import { parseCheckpoint, parseSignedNote } from "../../src/formats/note.ts"
import { certify, entryFor, get, type LogEntry, newKey, onlyEntry, pemOf, post, temporarySandbox } from "./client.ts"

let box: Awaited<ReturnType<typeof temporarySandbox>>
let base = ""
let entries = ""
beforeAll(async () => {
  box = await temporarySandbox()
  base = box.sandbox.urls.rekor
  entries = `${base}/api/v1/log/entries`
})
afterAll(() => box.remove())

const logKey = (): ReturnType<typeof createPublicKey> =>
  createPublicKey(readFileSync(join(box.sandbox.directory, "rekor.pub")))

const unhex = (text: string): Buffer => Buffer.from(text, "hex")

/** Everything a client can check of an entry. */
function checkEntry(uuid: string, entry: LogEntry): void {
  const { body, integratedTime, logID, logIndex, verification } = entry
  const { inclusionProof, signedEntryTimestamp } = verification
  const spki = logKey().export({ type: "spki", format: "der" })
  expect(logID).toBe(createHash("sha256").update(spki).digest("hex"))
  expect(Math.abs(integratedTime - Date.now() / 1000)).toBeLessThan(60)
  const signed = `{"body":"${body}","integratedTime":${integratedTime},"logID":"${logID}","logIndex":${logIndex}}`
  expect(verify("sha256", Buffer.from(signed), logKey(), Buffer.from(signedEntryTimestamp, "base64"))).toBe(true)

  const hash = leafHash(Buffer.from(body, "base64"))
  expect(uuid.slice(16)).toBe(Buffer.from(hash).toString("hex"))
  const root = rootFromInclusionProof(
    BigInt(inclusionProof.logIndex),
    BigInt(inclusionProof.treeSize),
    hash,
    inclusionProof.hashes.map(unhex),
  )
  expect(Buffer.from(root).toString("hex")).toBe(inclusionProof.rootHash)
  const checkpoint = checkCheckpoint(inclusionProof.checkpoint)
  expect(checkpoint.treeSize).toBe(BigInt(inclusionProof.treeSize))
  expect(Buffer.from(checkpoint.rootHash).toString("hex")).toBe(inclusionProof.rootHash)
}

function checkCheckpoint(note: string): ReturnType<typeof parseCheckpoint> {
  const { text, signatures } = parseSignedNote(note)
  const [signature] = signatures
  const spki = logKey().export({ type: "spki", format: "der" })
  expect(Buffer.from(signature?.keyHint ?? [])).toEqual(createHash("sha256").update(spki).digest().subarray(0, 4))
  expect(verify("sha256", Buffer.from(text), logKey(), signature?.signature ?? Buffer.of())).toBe(true)
  const checkpoint = parseCheckpoint(text)
  expect(checkpoint.origin).toMatch(/^127\.0\.0\.1 - \d+$/)
  expect(signature?.name).toBe("127.0.0.1")
  return checkpoint
}

describe("entries", () => {
  test("are logged with a promise, a proof and a checkpoint that verify, and are found again by every name", async () => {
    const { chain, privateKey } = await certify(box.sandbox)
    const proposed = entryFor("first", privateKey, chain[0])
    const created = await post(entries, proposed)
    expect(created.status).toBe(201)
    const { uuid, entry } = onlyEntry(created)
    expect(created.headers.get("etag")).toBe(uuid)
    expect(created.headers.get("location")).toBe(`/api/v1/log/entries/${uuid}`)
    checkEntry(uuid, entry)

    const again = [`${entries}/${uuid}`, `${entries}/${uuid.slice(16)}`, `${entries}?logIndex=${entry.logIndex}`]
    for (const url of again) {
      const found = onlyEntry(await get(url))
      expect(found.uuid).toBe(uuid)
      expect(found.entry.body).toBe(entry.body)
      checkEntry(found.uuid, found.entry)
    }
    for (const query of [
      { entryUUIDs: [uuid] },
      { logIndexes: [entry.logIndex] },
      { entryUUIDs: [uuid.slice(16)] },
      { entries: [proposed] },
    ]) {
      const [found] = (await post(`${entries}/retrieve`, query)).json
      expect(Object.keys(found)).toEqual([uuid])
    }
  })

  test("keep the canonical body, whatever stood around the certificate and in whatever order the members came", async () => {
    const { chain, privateKey } = await certify(box.sandbox)
    const entry = entryFor("canonical", privateKey, `\n comment\r\n${chain[0].replaceAll("\n", "\r\n")}\n`) as {
      spec: { data: unknown; signature: { content: string } }
    }
    const reordered = {
      kind: "hashedrekord",
      spec: { signature: entry.spec.signature, data: entry.spec.data },
      apiVersion: "0.0.1",
    }
    const answer = await post(entries, reordered)
    const value = createHash("sha256").update("canonical").digest("hex")
    const key = Buffer.from(chain[0]).toString("base64")
    expect(Buffer.from(onlyEntry(answer).entry.body, "base64").toString()).toBe(
      `{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"${value}"}},` +
        `"signature":{"content":"${entry.spec.signature.content}","publicKey":{"content":"${key}"}}}}`,
    )
  })

  test("that are there already give 409 with their place, also when two clients bring one at once", async () => {
    const { chain, privateKey } = await certify(box.sandbox)
    const entry = entryFor("twice", privateKey, chain[0])
    const answers = await Promise.all([1, 2, 3].map(() => post(entries, entry)))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409])
    const created = answers.find(({ status }) => status === 201)
    const [uuid = ""] = Object.keys(created?.json)
    for (const { headers, json } of answers.filter(({ status }) => status === 409)) {
      expect(headers.get("location")).toBe(`/api/v1/log/entries/${uuid}`)
      expect(json).toEqual({
        code: 409,
        message: `an equivalent entry already exists in the transparency log with UUID ${uuid}`,
      })
    }
  })

  test("by bare keys: other curves, other digests, RSA", async () => {
    const make = (hash: string, keys: ReturnType<typeof newKey>): unknown => ({
      apiVersion: "0.0.1",
      kind: "hashedrekord",
      spec: {
        data: { hash: { algorithm: hash, value: createHash(hash).update("x").digest("hex") } },
        signature: {
          content: sign(hash, Buffer.from("x"), keys.privateKey).toString("base64"),
          publicKey: { content: Buffer.from(pemOf(keys.publicKey)).toString("base64") },
        },
      },
    })
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 })
    const cases = [
      make("sha384", newKey("P-384")),
      make("sha512", newKey("P-521")),
      make("sha256", rsa),
      make("sha512", rsa),
    ]
    for (const entry of cases) {
      const answer = await post(entries, entry)
      expect(answer.status).toBe(201)
      const { uuid, entry: logged } = onlyEntry(answer)
      checkEntry(uuid, logged)
    }
  })
})

describe("refusals", () => {
  const value = createHash("sha256").update("x").digest("hex")
  const key = newKey()
  const content = Buffer.from(pemOf(key.publicKey)).toString("base64")
  const signature = sign("sha256", Buffer.from("x"), key.privateKey).toString("base64")
  const spec = (overrides: { hash?: unknown; signature?: string; key?: string }): unknown => ({
    apiVersion: "0.0.1",
    kind: "hashedrekord",
    spec: {
      data: { hash: overrides.hash ?? { algorithm: "sha256", value } },
      signature: { content: overrides.signature ?? signature, publicKey: { content: overrides.key ?? content } },
    },
  })
  const wrong = "verifying signature: invalid signature when validating ASN.1 encoded signature"

  test.each<[string, unknown, string]>([
    ["another digest", spec({ hash: { algorithm: "sha256", value: `00${value.slice(2)}` } }), wrong],
    ["another key", spec({ key: Buffer.from(pemOf(newKey().publicKey)).toString("base64") }), wrong],
    ["no signature", spec({ signature: "" }), wrong],
    ["a short digest", spec({ hash: { algorithm: "sha256", value: "00" } }), "invalid value for hash"],
    ["an old digest", spec({ hash: { algorithm: "md5", value } }), "data.hash.algorithm in body should be one of"],
    ["no PEM", spec({ key: "AAAA" }), "invalid public key: failure decoding PEM"],
    ["a chain", spec({ key: Buffer.from(pemOf(key.publicKey).repeat(2)).toString("base64") }), "invalid public key"],
    [
      "another version",
      { apiVersion: "0.0.2", kind: "hashedrekord", spec: {} },
      "hashedrekord implementation for version '0.0.2'",
    ],
    ["another kind", { apiVersion: "0.0.1", kind: "rekord", spec: {} }, "unsupported entry kind"],
    [
      "no spec",
      { apiVersion: "0.0.1", kind: "hashedrekord", spec: {} },
      "validation failure list:\ndata in body is required",
    ],
  ])("%s", async (_name, entry, message) => {
    const before = (await get(`${base}/api/v1/log`)).json.treeSize
    const answer = await post(entries, entry)
    expect([answer.status, answer.json.code]).toEqual([400, 400])
    expect(answer.json.message).toContain(`error processing entry: ${message}`)
    expect((await get(`${base}/api/v1/log`)).json.treeSize).toBe(before)
  })

  test.each<[string, number, number | undefined]>([
    ["?logIndex=-1", 422, 609],
    ["?logIndex=x", 422, 602],
    ["?logIndex=999999", 404, undefined],
    ["/abc", 422, 605],
    [`/${"0".repeat(64)}`, 404, undefined],
    [`/${"0".repeat(80)}`, 404, undefined],
  ])("GET entries%s", async (rest, status, code) => {
    const answer = await get(entries + rest)
    expect([answer.status, answer.json?.code]).toEqual([status, code])
  })

  test("bodies that are no JSON or too large, and too many questions", async () => {
    expect((await post(entries, "{")).status).toBe(400)
    expect((await post(entries, {})).json).toEqual({ code: 602, message: "kind in body is required" })
    expect((await post(entries, "x".repeat(1_048_577))).status).toBe(413)
    expect((await post(`${entries}/retrieve`, { logIndexes: Array.from({ length: 11 }, (_, i) => i) })).status).toBe(
      422,
    )
    expect((await post(`${entries}/retrieve`, {})).json).toEqual([])
  })
})

describe("the log", () => {
  test("tells its state, and proves that each state begins with the one before", async () => {
    const { chain, privateKey } = await certify(box.sandbox)
    const states: { size: bigint; root: Uint8Array }[] = []
    for (let i = 0; i < 9; i++) {
      await post(entries, entryFor(`state ${i}`, privateKey, chain[0]))
      const { json } = await get(`${base}/api/v1/log`)
      const checkpoint = checkCheckpoint(json.signedTreeHead)
      expect(json).toMatchObject({ treeSize: Number(checkpoint.treeSize), inactiveShards: null })
      expect(json.rootHash).toBe(Buffer.from(checkpoint.rootHash).toString("hex"))
      expect(json.treeID).toBe(checkpoint.origin.split(" - ")[1])
      states.push({ size: checkpoint.treeSize, root: checkpoint.rootHash })
    }
    for (const first of states) {
      for (const second of states.filter(({ size }) => size >= first.size)) {
        const { json } = await get(`${base}/api/v1/log/proof?firstSize=${first.size}&lastSize=${second.size}`)
        verifyConsistencyProof(first.size, second.size, first.root, second.root, json.hashes.map(unhex))
      }
    }
    const last = states.at(-1)?.size ?? 0n
    expect((await get(`${base}/api/v1/log/proof?lastSize=${last + 1n}`)).json.message).toContain(
      "was greater than what is",
    )
    expect((await get(`${base}/api/v1/log/proof?firstSize=2&lastSize=1`)).json.message).toBe(
      "firstSize(2) must be less than lastSize(1)",
    )
    expect((await get(`${base}/api/v1/log/proof?lastSize=0`)).json.code).toBe(609)
    expect((await get(`${base}/api/v1/log/proof?lastSize=1&treeID=7`)).status).toBe(400)
  })

  test("gives its public key", async () => {
    const answer = await get(`${base}/api/v1/log/publicKey`)
    expect(answer.headers.get("content-type")).toBe("application/x-pem-file")
    expect(answer.text).toBe(readFileSync(join(box.sandbox.directory, "rekor.pub"), "utf8"))
  })

  test("is searched by key, by digest and by address, with or and and", async () => {
    const search = async (query: unknown): Promise<string[]> =>
      (await post(`${base}/api/v1/index/retrieve`, query)).json
    const [one, two] = [await certify(box.sandbox, "One@Example.com"), await certify(box.sandbox, "two@example.com")]
    const log = async ({ privateKey, chain }: typeof one, text: string): Promise<string> =>
      onlyEntry(await post(entries, entryFor(text, privateKey, chain[0]))).uuid
    const a = await log(one, "search a")
    const b = await log(one, "search b")
    const c = await log(two, "search a")
    const publicKey = { format: "x509", content: Buffer.from(one.chain[0]).toString("base64") }
    const hash = createHash("sha256").update("search a").digest("hex")
    expect(await search({ publicKey })).toEqual([a, b])
    expect(await search({ hash })).toEqual([a, c])
    expect(await search({ hash: `sha256:${hash.toUpperCase()}` })).toEqual([a, c])
    expect(await search({ email: "one@example.com" })).toEqual([a, b])
    expect(await search({ publicKey, hash })).toEqual([a, b, c])
    expect(await search({ publicKey, hash, operator: "and" })).toEqual([a])
    expect(await search({ email: "nobody@example.com" })).toEqual([])
    expect(await search({})).toEqual([])
    expect(await search({ email: "x" })).toMatchObject({ code: 601 })
    expect(await search({ hash: "00" })).toMatchObject({ code: 605 })
    expect(await search({ publicKey: { format: "pgp", content: "AA==" } })).toMatchObject({ code: 400 })
    expect(await search({ publicKey: { format: "x509", content: "AA==" } })).toMatchObject({
      message: "public key provided could not be parsed",
    })
  })
})
