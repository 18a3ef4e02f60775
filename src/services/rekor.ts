/**
 * The transparency log: Rekor's API v1 (sigstore/rekor openapi.yaml), entries of kind hashedrekord 0.0.1.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises"
import { GitsignError } from "../errors.ts"
import {
  type HashedRekord,
  hashedRekordBody,
  proposedHashedRekord,
  type TransparencyLogEntry,
} from "../formats/log-entry.ts"
import { leafHash } from "../formats/merkle.ts"
import { decodePemFile, encodePem } from "../formats/pem.ts"
import { JsonReader, parseJson, refusal } from "./answer.ts"
import { endpoint, type HttpClient, type HttpResponse } from "./http.ts"

export interface RekorClientOptions {
  /** The base address, such as https://rekor.sigstore.dev. */
  readonly url: string
  readonly http: HttpClient
  readonly signal?: AbortSignal | undefined
}

/** What an entry must state to be the one that is looked for. */
export interface LogEntryQuery {
  /** SHA-256 digests, 32 bytes each; the entry has one of them. */
  readonly digestCandidates: readonly Uint8Array[]
  /** The leaf certificate of the signature; the entry has exactly this one. */
  readonly certificateDer: Uint8Array
}

/** The state of the log. Nothing in it is proven. */
export interface LogInfo {
  readonly treeId: string
  readonly treeSize: bigint
  readonly rootHash: Uint8Array
  /** The checkpoint, a signed note. */
  readonly signedTreeHead: string
}

/**
 * Every function throws ERR_REKOR when the log refuses or answers something else than it was asked, ERR_NETWORK when it does
 * not answer. Entries that are returned are whole and for what was asked, but the caller MUST verify their proofs.
 */
export interface RekorClient {
  /** Uploads an entry and returns it with its proofs; one that is in the log already is fetched. */
  readonly uploadLogEntry: (entry: HashedRekord) => Promise<TransparencyLogEntry>
  /** The entry with this uuid (64 or 80 hex digits), or undefined when the log has none. */
  readonly getLogEntry: (uuid: string) => Promise<TransparencyLogEntry | undefined>
  /** The uuids that the search index has for a certificate. */
  readonly searchByCertificate: (certificateDer: Uint8Array) => Promise<readonly string[]>
  /** The uuids that the search index has for a SHA-256 digest. */
  readonly searchByHash: (digest: Uint8Array) => Promise<readonly string[]>
  /** The first entry that the query describes and `accept` takes, else the first it describes, or undefined when there is none. */
  readonly findLogEntry: (
    query: LogEntryQuery,
    accept?: (entry: TransparencyLogEntry) => boolean,
  ) => Promise<TransparencyLogEntry | undefined>
  readonly logInfo: () => Promise<LogInfo>
}

/** How many entries one search looks at. A certificate lives for ten minutes; the most seen under one is 66. */
const MAX_ENTRIES = 200
const CONCURRENCY = 4

export function createRekorClient(options: RekorClientOptions): RekorClient {
  const { http, signal } = options
  const send = (path: string, body?: string): Promise<HttpResponse> =>
    http.request({
      url: endpoint(options.url, path),
      method: body === undefined ? "GET" : "POST",
      headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }) },
      body,
      // An upload that arrived twice answers 409 and is then fetched.
      repeatable: true,
      signal,
    })

  async function uploadLogEntry(entry: HashedRekord): Promise<TransparencyLogEntry> {
    const response = await send("/api/v1/log/entries", proposedHashedRekord(entry))
    let found: TransparencyLogEntry | undefined
    if (response.status === 409) found = await getExistingEntry(response)
    else if (response.status === 201 || response.status === 200)
      found = parseRekorResponse(response.body, response.peer)
    else throw refusal(response, "ERR_REKOR")
    if (Buffer.compare(found.canonicalizedBody, hashedRekordBody(entry, "0.0.1")) !== 0) {
      throw new GitsignError("ERR_REKOR", `${response.peer} answered with an entry for something else`)
    }
    return found
  }

  async function getExistingEntry(response: HttpResponse): Promise<TransparencyLogEntry> {
    const uuid = /([0-9a-f]{80}|[0-9a-f]{64})$/.exec(response.headers.location ?? "")?.[0]
    if (uuid === undefined) {
      throw new GitsignError("ERR_REKOR", `${response.peer} has the entry already and does not say where`)
    }
    // The log knows of an entry a moment before it can be fetched; this is how an upload looks that was sent twice.
    for (const wait of [0, 500, 1500]) {
      if (wait > 0) await delay(wait, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
      const entry = await getLogEntry(uuid)
      if (entry !== undefined) return entry
    }
    throw new GitsignError("ERR_REKOR", `${response.peer} has the entry already and does not return it`)
  }

  async function getLogEntry(uuid: string): Promise<TransparencyLogEntry | undefined> {
    if (!isUuid(uuid)) throw new GitsignError("ERR_REKOR", "the id of a log entry is 64 or 80 hex digits")
    const response = await send(`/api/v1/log/entries/${uuid}`)
    if (response.status === 404) return undefined
    if (response.status !== 200) throw refusal(response, "ERR_REKOR")
    return parseRekorResponse(response.body, response.peer, uuid)
  }

  async function search(query: object): Promise<readonly string[]> {
    const response = await send("/api/v1/index/retrieve", JSON.stringify(query))
    if (response.status !== 200) throw refusal(response, "ERR_REKOR")
    const uuids = parseJson(response.body, `${response.peer} answered a search`, "ERR_REKOR")
    if (!Array.isArray(uuids) || !uuids.every((uuid) => typeof uuid === "string" && isUuid(uuid))) {
      throw new GitsignError("ERR_REKOR", `${response.peer} answered a search with something else than entry ids`)
    }
    return uuids
  }

  const searchByHash = (digest: Uint8Array): Promise<readonly string[]> =>
    search({ hash: `sha256:${Buffer.from(digest).toString("hex")}` })

  const searchByCertificate = (certificateDer: Uint8Array): Promise<readonly string[]> => {
    const pem = Buffer.from(encodePem("CERTIFICATE", certificateDer), "latin1")
    return search({ publicKey: { format: "x509", content: pem.toString("base64") } })
  }

  async function findLogEntry(
    query: LogEntryQuery,
    accept: (entry: TransparencyLogEntry) => boolean = () => true,
  ): Promise<TransparencyLogEntry | undefined> {
    const seen = new Set<string>()
    // Anyone can log a signature again later, with s replaced by n - s: one entry that will not do says nothing of the others.
    let refused: TransparencyLogEntry | undefined
    const search = async (uuids: readonly string[]): Promise<TransparencyLogEntry | undefined> => {
      for await (const entry of matches(uuids, seen, query)) {
        if (accept(entry)) return entry
        refused ??= entry
      }
      return undefined
    }
    for (const digest of query.digestCandidates) {
      const found = await search(await searchByHash(digest))
      if (found !== undefined) return found
    }
    // Anyone can log the digest with keys of their own until the bound is reached, but not with this certificate.
    return (await search(await searchByCertificate(query.certificateDer))) ?? refused
  }

  async function* matches(
    uuids: readonly string[],
    seen: Set<string>,
    query: LogEntryQuery,
  ): AsyncGenerator<TransparencyLogEntry> {
    const fresh = [...new Set(uuids)].filter((uuid) => !seen.has(uuid)).slice(0, MAX_ENTRIES)
    for (let start = 0; start < fresh.length; start += CONCURRENCY) {
      const batch = fresh.slice(start, start + CONCURRENCY)
      for (const uuid of batch) seen.add(uuid)
      const entries = await Promise.all(batch.map(getLogEntry))
      for (const entry of entries) if (entry !== undefined && matchesQuery(entry, query)) yield entry
    }
  }

  async function logInfo(): Promise<LogInfo> {
    const response = await send("/api/v1/log")
    if (response.status !== 200) throw refusal(response, "ERR_REKOR")
    const what = `${response.peer} answered about the log`
    const info = new JsonReader(parseJson(response.body, what, "ERR_REKOR"), what, "ERR_REKOR")
    return {
      treeId: info.string("treeID"),
      treeSize: info.integer("treeSize"),
      rootHash: info.hex("rootHash", 32),
      signedTreeHead: info.string("signedTreeHead"),
    }
  }

  return { uploadLogEntry, getLogEntry, searchByCertificate, searchByHash, findLogEntry, logInfo }
}

const isUuid = (text: string): boolean => /^([0-9a-f]{64}|[0-9a-f]{80})$/.test(text)

/**
 * Reads the JSON in which Rekor sends one entry, `{UUID: {body, integratedTime, logID, logIndex, verification}}`.
 *
 * @param peer who sent it, for the messages
 * @param expected the uuid that was asked for, 64 or 80 hex digits, when one was
 * @throws ERR_REKOR when it is anything else, or its uuid is not that of the body or not the expected one
 */
export function parseRekorResponse(bytes: Uint8Array, peer: string, expected?: string): TransparencyLogEntry {
  const what = `${peer} answered with something that is not a log entry`
  const answer = new JsonReader(parseJson(bytes, what, "ERR_REKOR"), what, "ERR_REKOR")
  const [uuid, ...more] = answer.keys
  if (uuid === undefined || more.length > 0 || !isUuid(uuid)) return answer.fail("not exactly one entry")
  const entry = answer.object(uuid)
  const canonicalizedBody = entry.base64("body")
  const leaf = Buffer.from(leafHash(canonicalizedBody)).toString("hex")
  if (uuid.slice(-64) !== leaf || (expected !== undefined && expected.slice(-64) !== leaf)) {
    throw new GitsignError(
      "ERR_REKOR",
      `${peer} answered with an entry for something else: its id is not that of its body`,
    )
  }
  const verification = entry.optionalObject("verification")
  const proof = verification?.optionalObject("inclusionProof")
  return {
    logIndex: entry.integer("logIndex"),
    logId: entry.hex("logID", 32),
    kindVersion: kindVersionOf(canonicalizedBody, what),
    integratedTime: entry.integer("integratedTime"),
    inclusionPromise:
      verification?.get("signedEntryTimestamp") === undefined ? undefined : verification.base64("signedEntryTimestamp"),
    inclusionProof: proof && {
      logIndex: proof.integer("logIndex"),
      rootHash: proof.hex("rootHash", 32),
      treeSize: proof.integer("treeSize"),
      hashes: proof.hexList("hashes", 32),
      checkpoint: proof.string("checkpoint"),
    },
    canonicalizedBody,
  }
}

function kindVersionOf(body: Uint8Array, what: string): { kind: string; version: string } {
  const reader = new JsonReader(parseJson(body, what, "ERR_REKOR"), what, "ERR_REKOR")
  return { kind: reader.string("kind"), version: reader.string("apiVersion") }
}

/**
 * What the canonical body of a hashedrekord 0.0.1 states, or undefined when it is another kind of entry or not canonical.
 *
 * Only a body that is rebuilt to the same bytes counts, since verification rebuilds it too.
 */
export function readHashedRekord(body: Uint8Array): HashedRekord | undefined {
  try {
    const spec = new JsonReader(parseJson(body, "body", "ERR_REKOR"), "body", "ERR_REKOR").object("spec")
    const signature = spec.object("signature")
    const pem = signature.object("publicKey").base64("content")
    const [certificateDer] = decodePemFile(Buffer.from(pem).toString("latin1"), "CERTIFICATE", "ERR_REKOR")
    if (certificateDer === undefined) return undefined
    const digest = spec.object("data").object("hash").hex("value", 32)
    const entry = { digest, signature: signature.base64("content"), certificateDer }
    return Buffer.compare(hashedRekordBody(entry, "0.0.1"), body) === 0 ? entry : undefined
  } catch {
    return undefined
  }
}

/** Whether the entry's body states what the query asks for. */
export function matchesQuery(entry: TransparencyLogEntry, query: LogEntryQuery): boolean {
  const rekord = readHashedRekord(entry.canonicalizedBody)
  return (
    rekord !== undefined &&
    Buffer.compare(rekord.certificateDer, query.certificateDer) === 0 &&
    query.digestCandidates.some((digest) => Buffer.compare(digest, rekord.digest) === 0)
  )
}
