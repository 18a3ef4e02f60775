/**
 * The sandbox's Rekor: the v1 API of sigstore/rekor (openapi.yaml), with Rekor's own error texts.
 *
 * @module
 */

import { messageOf } from "../errors.ts"
import { whole } from "./ct-log.ts"
import { json, type Reply, type Route, refuse, type SandboxRequest } from "./http-server.ts"
import { checkEntry, type HashedRekord, keyIndex, parseVerifier } from "./rekor-entry.ts"
import { RekorLog, type RekorOptions } from "./rekor-log.ts"

/** The most entries that one retrieve request may ask for. */
const MAX_QUERIES = 10

/** Rekor's codes for requests that its API description does not allow (go-openapi). */
const INVALID = { type: 601, required: 602, pattern: 605, minimum: 609 } as const

const UUID = /^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$/
const HASH = /^(sha512:)?[0-9a-fA-F]{128}$|^(sha256:)?[0-9a-fA-F]{64}$|^(sha1:)?[0-9a-fA-F]{40}$/

/** A log that is open for entries. */
export interface Rekor {
  readonly size: () => number
  readonly routes: readonly Route[]
  readonly close: () => Promise<void>
}

/** Opens the log in the state directory. @throws ERR_SANDBOX when its file is damaged */
export async function openRekor(options: RekorOptions): Promise<Rekor> {
  const log = await RekorLog.open(options)
  const publicKey: Reply = {
    status: 200,
    headers: { "content-type": "application/x-pem-file" },
    body: log.publicKeyPem,
  }
  const routes: Route[] = [
    { method: "POST", path: "/api/v1/log/entries", handle: (request) => create(log, request) },
    { method: "GET", path: "/api/v1/log/entries", handle: (request) => getByIndex(log, request) },
    { method: "POST", path: "/api/v1/log/entries/retrieve", handle: (request) => retrieve(log, request) },
    { method: "GET", path: "/api/v1/log/entries/", handle: (request) => getByUuid(log, request) },
    { method: "POST", path: "/api/v1/index/retrieve", handle: (request) => search(log, request) },
    { method: "GET", path: "/api/v1/log", handle: () => info(log) },
    { method: "GET", path: "/api/v1/log/proof", handle: (request) => proof(log, request) },
    { method: "GET", path: "/api/v1/log/publicKey", handle: () => publicKey },
  ]
  return { size: () => log.tree.size, routes, close: () => log.close() }
}

async function create(log: RekorLog, request: SandboxRequest): Promise<Reply> {
  const proposed = parseJson(request.body)
  if (proposed instanceof Error) return refuse(400, proposed.message)
  if (memberOf(proposed, "kind") === undefined) {
    return refuse(422, "kind in body is required", undefined, INVALID.required)
  }
  let entry: HashedRekord
  try {
    entry = checkEntry(proposed)
  } catch (error) {
    return refuse(400, `error processing entry: ${messageOf(error)}`)
  }
  const { index, added } = await log.append(entry)
  const uuid = log.uuid(index)
  const location = `/api/v1/log/entries/${uuid}`
  if (!added) {
    const message = `an equivalent entry already exists in the transparency log with UUID ${uuid}`
    return { ...json(409, { code: 409, message }, { location }), reason: message }
  }
  return json(201, await log.entry(index), { etag: uuid, location })
}

async function getByIndex(log: RekorLog, { query }: SandboxRequest): Promise<Reply> {
  const value = query.get("logIndex")
  const index = whole(value)
  if (index === undefined) {
    const [code, message] = /^-\d+$/.test(value ?? "")
      ? [INVALID.minimum, "logIndex in query should be greater than or equal to 0"]
      : [INVALID.required, "logIndex in query is required"]
    return refuse(422, message, undefined, code)
  }
  return index < log.tree.size ? json(200, await log.entry(index)) : { status: 404 }
}

async function getByUuid(log: RekorLog, { rest }: SandboxRequest): Promise<Reply> {
  if (!UUID.test(rest)) {
    return refuse(422, `entryUUID in path should match '${UUID.source}'`, undefined, INVALID.pattern)
  }
  const index = log.findUuid(rest)
  return index === undefined ? { status: 404 } : json(200, await log.entry(index))
}

async function retrieve(log: RekorLog, request: SandboxRequest): Promise<Reply> {
  const query = parseJson(request.body)
  if (query instanceof Error) return refuse(400, query.message)
  const uuids = listOf(query, "entryUUIDs")
  const indexes = listOf(query, "logIndexes")
  const entries = listOf(query, "entries")
  if (uuids.length + indexes.length + entries.length > MAX_QUERIES) {
    return refuse(422, `more than max allowed ${MAX_QUERIES} entries in request`)
  }
  const found: (number | undefined)[] = []
  for (const uuid of uuids) {
    if (typeof uuid !== "string" || !UUID.test(uuid)) return refuse(400, `invalid uuid ${String(uuid)}`)
    found.push(log.findUuid(uuid))
  }
  for (const entry of entries) {
    try {
      found.push(log.findBody(checkEntry(entry).body))
    } catch (error) {
      return refuse(400, messageOf(error))
    }
  }
  for (const index of indexes) {
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0) return refuse(400, "invalid log index")
    found.push(index < log.tree.size ? index : undefined)
  }
  const present = found.filter((index) => index !== undefined)
  return json(200, await Promise.all(present.map((index) => log.entry(index))))
}

function search(log: RekorLog, request: SandboxRequest): Reply {
  const query = parseJson(request.body)
  if (query instanceof Error) return refuse(400, query.message)
  const keys = indexKeys(query)
  if (!Array.isArray(keys)) return keys
  const sets = keys.map((key) => new Set(log.search(key)))
  const all = [...new Set(sets.flatMap((set) => [...set]))].sort((a, b) => a - b)
  const both = memberOf(query, "operator") === "and"
  const matching = all.filter((position) => !both || sets.every((set) => set.has(position)))
  return json(
    200,
    matching.map((position) => log.uuid(position)),
  )
}

/** What a query looks for in the index, or the refusal of a query that makes no sense. */
function indexKeys(query: unknown): string[] | Reply {
  const keys: string[] = []
  const hash = memberOf(query, "hash")
  if (typeof hash === "string" && hash !== "") {
    if (!HASH.test(hash)) {
      return refuse(422, `hash in body should match '${HASH.source}'`, undefined, INVALID.pattern)
    }
    const algorithm = { 40: "sha1", 64: "sha256" }[hash.length] ?? "sha512"
    keys.push((hash.includes(":") ? hash : `${algorithm}:${hash}`).toLowerCase())
  }
  const publicKey = memberOf(query, "publicKey")
  if (publicKey !== undefined) {
    if (memberOf(publicKey, "format") !== "x509") {
      return refuse(400, "the PKI format requested is not supported by this server")
    }
    try {
      const content = memberOf(publicKey, "content")
      const { pem } = parseVerifier(Buffer.from(typeof content === "string" ? content : "", "base64"))
      keys.push(keyIndex(Buffer.from(pem)))
    } catch (error) {
      return refuse(400, "public key provided could not be parsed", messageOf(error))
    }
  }
  const email = memberOf(query, "email")
  if (typeof email === "string" && email !== "") {
    if (!email.includes("@")) {
      return refuse(422, `email in body must be of type email: ${JSON.stringify(email)}`, undefined, INVALID.type)
    }
    keys.push(email.toLowerCase())
  }
  return keys
}

function info(log: RekorLog): Reply {
  return json(200, {
    inactiveShards: null,
    rootHash: hex(log.tree.root()),
    signedTreeHead: log.checkpoint(),
    treeID: log.treeId,
    treeSize: log.tree.size,
  })
}

function proof({ tree, treeId }: RekorLog, { query }: SandboxRequest): Reply {
  const firstSize = query.has("firstSize") ? whole(query.get("firstSize")) : 1
  const lastSize = whole(query.get("lastSize"))
  for (const [name, size] of Object.entries({ firstSize, lastSize })) {
    if (size === undefined || size < 1) {
      return refuse(422, `${name} in query should be greater than or equal to 1`, undefined, INVALID.minimum)
    }
  }
  if (firstSize === undefined || lastSize === undefined || firstSize > lastSize) {
    return refuse(400, `firstSize(${firstSize}) must be less than lastSize(${lastSize})`)
  }
  const wanted = query.get("treeID")
  if (wanted && wanted !== treeId) return refuse(400, `invalid tree ID specified: ${wanted}`)
  if (lastSize > tree.size) {
    return refuse(
      400,
      `the tree size requested(${lastSize}) was greater than what is currently observable(${tree.size})`,
    )
  }
  // The root is that of the whole tree, whatever lastSize is: so says Rekor, and so it does.
  return json(200, { hashes: tree.consistencyProof(firstSize, lastSize).map(hex), rootHash: hex(tree.root()) })
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** A JSON value, or the error that says why it is none. */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"))
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined

const listOf = (value: unknown, name: string): readonly unknown[] => {
  const list = memberOf(value, name)
  return Array.isArray(list) ? list : []
}
