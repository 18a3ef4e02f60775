/**
 * kill -9 while clients write: nothing that was acknowledged is lost, and every earlier state is the beginning of the next.
 *
 * @module
 */

import { randomInt, randomUUID } from "node:crypto"
import { once } from "node:events"
import { appendFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { leafHash, rootFromInclusionProof, verifyConsistencyProof } from "../../src/formats/merkle.ts"
import { parseCheckpoint, parseSignedNote } from "../../src/formats/note.ts"
import { openSandboxFiles } from "../../src/sandbox/sandbox-files.ts"
import {
  entryFor,
  get,
  type LogEntry,
  newKey,
  onlyEntry,
  pemOf,
  post,
  signingRequest,
  temporaryFolder,
} from "./client.ts"
import { buildSandboxProgram, startForeground } from "./program.ts"

const ROUNDS = 8
const CLIENTS = 6

let folder = ""
let script = ""
beforeAll(async () => {
  folder = temporaryFolder()
  script = await buildSandboxProgram(folder)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const unhex = (text: string): Buffer => Buffer.from(text, "hex")
const stateOf = (note: string): { size: bigint; root: Uint8Array } => {
  const { treeSize, rootHash } = parseCheckpoint(parseSignedNote(note).text)
  return { size: treeSize, root: rootHash }
}

test("kill -9 in a loop", async () => {
  const directory = join(folder, "sandbox")
  const acknowledged = new Map<string, LogEntry>()
  const states: ReturnType<typeof stateOf>[] = []
  let certificates = 0
  for (let round = 0; round < ROUNDS; round++) {
    const child = await startForeground(script, directory)
    const files = await openSandboxFiles(directory)
    if (files === undefined) throw new Error("no state")
    const { rekor, fulcio } = files.urls

    await checkAll(rekor, acknowledged, states)
    const { entries } = (await get(`${rekor}/sandbox/status`)).json
    expect(entries.ctLog).toBeGreaterThanOrEqual(certificates)

    const key = newKey()
    const token = await files.token()
    let killed = false
    const writer = async (): Promise<void> => {
      while (!killed) {
        const entry = entryFor(randomUUID(), key.privateKey, pemOf(key.publicKey))
        const answer = await post(`${rekor}/api/v1/log/entries`, entry).catch(() => undefined)
        if (answer === undefined) return
        expect(answer.status).toBe(201)
        const logged = onlyEntry(answer)
        acknowledged.set(logged.uuid, logged.entry)
        states.push(stateOf(logged.entry.verification.inclusionProof.checkpoint))
      }
    }
    const certified = async (): Promise<void> => {
      while (!killed) {
        const request = signingRequest(token, key, "dev@example.com")
        const answer = await post(`${fulcio}/api/v2/signingCert`, request).catch(() => undefined)
        if (answer === undefined) return
        expect(answer.status).toBe(200)
        certificates++
      }
    }
    const work = Promise.all([...Array.from({ length: CLIENTS }, writer), certified()])
    await new Promise((done) => setTimeout(done, randomInt(60, 250)))
    const gone = once(child, "exit")
    child.kill("SIGKILL")
    await gone
    killed = true
    await work
    // Whatever the kernel had of a frame that was not finished; a kill alone seldom leaves one.
    if (round % 2 === 1) appendFileSync(join(directory, "rekor.log"), Buffer.from("00000400", "hex"))
  }
  const child = await startForeground(script, directory)
  const files = await openSandboxFiles(directory)
  await checkAll(files?.urls.rekor ?? "", acknowledged, states)
  const gone = once(child, "exit")
  child.kill("SIGTERM")
  expect(await gone).toEqual([0, null])
  expect(acknowledged.size).toBeGreaterThan(ROUNDS * CLIENTS)
  expect(certificates).toBeGreaterThan(ROUNDS)
}, 120_000)

async function checkAll(
  rekor: string,
  acknowledged: ReadonlyMap<string, LogEntry>,
  states: ReturnType<typeof stateOf>[],
): Promise<void> {
  const info = (await get(`${rekor}/api/v1/log`)).json
  const now = stateOf(info.signedTreeHead)
  expect(Number(now.size)).toBeGreaterThanOrEqual(acknowledged.size)
  const entries = [...acknowledged]
  for (let at = 0; at < entries.length; at += 10) {
    const entryUUIDs = entries.slice(at, at + 10).map(([uuid]) => uuid)
    const answers: Record<string, LogEntry>[] = (await post(`${rekor}/api/v1/log/entries/retrieve`, { entryUUIDs }))
      .json
    const found = Object.assign({}, ...answers) as Record<string, LogEntry>
    for (const [uuid, { body, logIndex, integratedTime }] of entries.slice(at, at + 10)) {
      expect(found[uuid]).toMatchObject({ body, logIndex, integratedTime })
      const proof = found[uuid]?.verification.inclusionProof
      const hashes = proof?.hashes.map(unhex) ?? []
      const root = rootFromInclusionProof(BigInt(logIndex), now.size, leafHash(Buffer.from(body, "base64")), hashes)
      expect(Buffer.from(root)).toEqual(Buffer.from(now.root))
    }
  }
  // The states of the last round; the ones before were found to be the beginning of these.
  for (const earlier of states.splice(0)) {
    const { hashes } = (await get(`${rekor}/api/v1/log/proof?firstSize=${earlier.size}&lastSize=${now.size}`)).json
    verifyConsistencyProof(earlier.size, now.size, earlier.root, now.root, hashes.map(unhex))
  }
  if (now.size > 0n) states.push(now)
}
