/**
 * Found log entries of online-mode signatures, kept in files so that the second verification needs no network.
 *
 * An entry proves itself, so the cache needs no protection against being written by others: what it returns is verified
 * like an entry that the log has just sent.
 *
 * @module
 */

import { createHash, randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { TransparencyLogEntry } from "../formats/log-entry.ts"
import { JsonReader, parseJson } from "./answer.ts"
import { type LogEntryQuery, matchesQuery } from "./rekor.ts"

/** What is looked up: the signed object's id in hex, and what its entry must state. */
export interface CachedEntryQuery extends LogEntryQuery {
  readonly objectId: string
}

export interface LogEntryCache {
  /** The entry kept for this object and certificate, or undefined. A file with anything else in it is removed. */
  readonly read: (query: CachedEntryQuery) => TransparencyLogEntry | undefined
  /** Keeps an entry. It never throws: a full disk or a read-only home must not fail a verification. */
  readonly write: (query: CachedEntryQuery, entry: TransparencyLogEntry) => void
}

/** Entries are about 5 KB; a larger file is not one of ours. */
const MAX_FILE_BYTES = 64 * 1024

/** Opens the cache in `directory`, which is made (mode 0700) when the first entry is written. */
export function createLogEntryCache(directory: string): LogEntryCache {
  const pathOf = (query: CachedEntryQuery): string | undefined => {
    // The id becomes a file name, and it comes from outside.
    if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(query.objectId)) return undefined
    const leaf = createHash("sha256").update(query.certificateDer).digest("hex")
    return join(directory, `${query.objectId}-${leaf.slice(0, 32)}.json`)
  }
  return {
    read: (query) => {
      const path = pathOf(query)
      if (path === undefined) return undefined
      try {
        const bytes = readSmallFile(path)
        if (bytes === undefined) return undefined
        const entry = decodeEntry(bytes)
        if (matchesQuery(entry, query)) return entry
      } catch {
        // Damaged; what is wrong with it does not matter, the log has the original.
      }
      remove(path)
      return undefined
    },
    write: (query, entry) => {
      const path = pathOf(query)
      if (path === undefined) return
      // Written whole under another name: a reader or a crash never sees half an entry.
      const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`
      try {
        makeDirectory(directory)
        writeFileSync(temporary, encodeEntry(entry), { mode: 0o600, flag: "wx" })
        renameSync(temporary, path)
      } catch {
        remove(temporary)
      }
    },
  }
}

/** Undefined when there is no such file. */
function readSmallFile(path: string): Buffer | undefined {
  const status = statSync(path, { throwIfNoEntry: false })
  if (status === undefined) return undefined
  if (!status.isFile() || status.size > MAX_FILE_BYTES) throw new Error("not a cache file")
  return readFileSync(path)
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {
    // Not ours to remove; it stays a miss.
  }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** Numbers are decimal strings, as in protobuf's JSON, since an index may exceed 2^53. */
function encodeEntry(entry: TransparencyLogEntry): string {
  const proof = entry.inclusionProof
  return JSON.stringify({
    logIndex: String(entry.logIndex),
    logId: base64(entry.logId),
    kindVersion: entry.kindVersion,
    integratedTime: String(entry.integratedTime),
    inclusionPromise: entry.inclusionPromise && base64(entry.inclusionPromise),
    inclusionProof: proof && {
      logIndex: String(proof.logIndex),
      rootHash: base64(proof.rootHash),
      treeSize: String(proof.treeSize),
      hashes: proof.hashes.map(base64),
      checkpoint: proof.checkpoint,
    },
    canonicalizedBody: base64(entry.canonicalizedBody),
  })
}

function decodeEntry(bytes: Uint8Array): TransparencyLogEntry {
  const reader = new JsonReader(parseJson(bytes, "cached log entry", "ERR_IO"), "cached log entry", "ERR_IO")
  const kindVersion = reader.object("kindVersion")
  const proof = reader.optionalObject("inclusionProof")
  return {
    logIndex: decimal(reader, "logIndex"),
    logId: reader.base64("logId"),
    kindVersion: { kind: kindVersion.string("kind"), version: kindVersion.string("version") },
    integratedTime: decimal(reader, "integratedTime"),
    inclusionPromise: reader.get("inclusionPromise") === undefined ? undefined : reader.base64("inclusionPromise"),
    inclusionProof: proof && {
      logIndex: decimal(proof, "logIndex"),
      rootHash: proof.base64("rootHash"),
      treeSize: decimal(proof, "treeSize"),
      hashes: proof.base64List("hashes"),
      checkpoint: proof.string("checkpoint"),
    },
    canonicalizedBody: reader.base64("canonicalizedBody"),
  }
}

function decimal(reader: JsonReader, key: string): bigint {
  const text = reader.string(key)
  return /^(0|[1-9]\d{0,18})$/.test(text) ? BigInt(text) : reader.fail(`${key} is not a number`)
}

/** Makes a directory and its parents, one by one: under /proc, Node 20's own `recursive` never returns. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return
  makeDirectory(dirname(path))
  mkdirSync(path, { mode: 0o700 })
}
