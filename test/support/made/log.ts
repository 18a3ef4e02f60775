/**
 * The transparency log of the made-up Sigstore instance: Rekor v1 and v2 entries with their proofs, each part open to
 * being made wrong (RFC 6962, C2SP tlog-checkpoint, sigstore_rekor.proto).
 *
 * @module
 */

import { type KeyObject, sign } from "node:crypto"
import { KEYS, NOW } from "./certificates.ts"
import { namedKey, sha256, spkiOf } from "./keys.ts"

/** RFC 6962 §2.1, word for word. */
export function rootOf(leaves: readonly Uint8Array[]): Buffer {
  const [only] = leaves
  if (only === undefined) return sha256()
  if (leaves.length === 1) return Buffer.from(only)
  const k = largestPowerBelow(leaves.length)
  return sha256(Buffer.of(1), rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)))
}

/** RFC 6962 §2.1.1 PATH(m, D[n]), word for word. */
export function inclusionPath(m: number, leaves: readonly Uint8Array[]): Buffer[] {
  if (leaves.length <= 1) return []
  const k = largestPowerBelow(leaves.length)
  return m < k
    ? [...inclusionPath(m, leaves.slice(0, k)), rootOf(leaves.slice(k))]
    : [...inclusionPath(m - k, leaves.slice(k)), rootOf(leaves.slice(0, k))]
}

/** RFC 6962 §2.1.2 SUBPROOF(m, D[n], b), word for word. */
export function consistencyPath(m: number, leaves: readonly Uint8Array[], complete = true): Buffer[] {
  const n = leaves.length
  if (m === n) return complete ? [] : [rootOf(leaves)]
  const k = largestPowerBelow(n)
  return m <= k
    ? [...consistencyPath(m, leaves.slice(0, k), complete), rootOf(leaves.slice(k))]
    : [...consistencyPath(m - k, leaves.slice(k), false), rootOf(leaves.slice(0, k))]
}

const largestPowerBelow = (n: number): number => {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

export const leafHashOf = (entry: Uint8Array): Buffer => sha256(Buffer.of(0), entry)

/** A log: its key, the name on its signature lines, and the first line of its checkpoints. */
export interface Log {
  readonly key: KeyObject
  readonly id: Buffer
  readonly name: string
  readonly origin: string
}

export const REKOR: Log = logOf(KEYS.rekor, "rekor.fixtures.example", "rekor.fixtures.example - 1193050959916656506")
/** Of Rekor v2: the id is of name and key, and entries state no time. */
export const REKOR2: Log = logOf(namedKey("rekor v2"), "log2026.fixtures.example", "log2026.fixtures.example")
/** A log that nobody trusts. */
export const OTHER_LOG: Log = logOf(namedKey("other log"), "rekor.fixtures.example", "rekor.fixtures.example - 1")

function logOf(key: KeyObject, name: string, origin: string): Log {
  return { key, id: sha256(spkiOf(key)), name, origin }
}

/** An entry as it is stored in a signature. */
export interface Entry {
  logIndex: bigint
  logId: Buffer
  kind: string
  version: string
  integratedTime: bigint
  /** Undefined leaves the field out, an empty one is stored as an empty message. */
  promise: Buffer | undefined
  proof: { logIndex: bigint; rootHash: Buffer; treeSize: bigint; hashes: Buffer[]; checkpoint: string } | undefined
  body: Buffer
}

/** The difference between an index over all shards and one in the tree. */
const SHARD_OFFSET = 121_904_262n

const pem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** The canonical body of a hashedrekord, as text, since it is short. */
export const rekordBody = (digest: Uint8Array, signature: Uint8Array, leaf: Uint8Array, log = REKOR): Buffer =>
  Buffer.from(
    log === REKOR2
      ? `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"${base64(digest)}"},"signature":{"content":"${base64(signature)}","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","x509Certificate":{"rawBytes":"${base64(leaf)}"}}}}}}`
      : `{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"${Buffer.from(digest).toString("hex")}"}},"signature":{"content":"${base64(signature)}","publicKey":{"content":"${base64(Buffer.from(pem(leaf)))}"}}}}`,
  )

/** A checkpoint with the log's signature line. */
export function checkpoint(log: Log, treeSize: bigint, rootHash: Uint8Array, more = ""): string {
  const text = `${log.origin}\n${treeSize}\n${base64(rootHash)}\n${more}`
  return `${text}\n${signatureLine(log.name, log.id, sign("sha256", Buffer.from(text), log.key))}`
}

/** One signature line of a note. */
export const signatureLine = (name: string, keyId: Uint8Array, signature: Uint8Array): string =>
  `\u2014 ${name} ${base64(Buffer.concat([keyId.subarray(0, 4), signature]))}\n`

/** The signed entry timestamp: the log's signature over the entry in RFC 8785 JSON. */
export const promiseOf = (
  log: Log,
  { body, integratedTime, logIndex }: Pick<Entry, "body" | "integratedTime" | "logIndex">,
): Buffer =>
  sign(
    "sha256",
    Buffer.from(
      `{"body":"${base64(body)}","integratedTime":${integratedTime},"logID":"${log.id.toString("hex")}","logIndex":${logIndex}}`,
    ),
    log.key,
  )

/** Puts a body into a log of 13 entries, as number 5, and returns it with its proofs. */
export function logEntry(body: Buffer, { log = REKOR, time = new Date(NOW.getTime() + 5000) } = {}): Entry {
  const leaves = Array.from({ length: 13 }, (_, i) => leafHashOf(i === 5 ? body : Buffer.from(`entry ${i}`)))
  const rootHash = rootOf(leaves)
  const stated = {
    logIndex: log === REKOR2 ? 5n : 5n + SHARD_OFFSET,
    integratedTime: log === REKOR2 ? 0n : BigInt(time.getTime() / 1000),
    body,
  }
  return {
    ...stated,
    logId: log.id,
    kind: "hashedrekord",
    version: "0.0.1",
    promise: log === REKOR2 ? Buffer.alloc(0) : promiseOf(log, stated),
    proof: {
      logIndex: 5n,
      rootHash,
      treeSize: 13n,
      hashes: inclusionPath(5, leaves),
      checkpoint: checkpoint(log, 13n, rootHash),
    },
  }
}

const varint = (value: bigint): Buffer =>
  value < 128n ? Buffer.of(Number(value)) : Buffer.concat([Buffer.of(Number(value & 127n) + 128), varint(value >> 7n)])
const number = (field: number, value: bigint): Buffer =>
  value === 0n ? Buffer.alloc(0) : Buffer.concat([Buffer.of(field * 8), varint(value)])
const bytes = (field: number, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(field * 8 + 2), varint(BigInt(value.length)), value])

/** The protobuf encoding of a TransparencyLogEntry without its body. */
export const encodeEntry = ({ logIndex, logId, kind, version, integratedTime, promise, proof }: Entry): Buffer =>
  Buffer.concat([
    number(1, logIndex),
    bytes(2, bytes(1, logId)),
    bytes(3, Buffer.concat([bytes(1, Buffer.from(kind)), bytes(2, Buffer.from(version))])),
    number(4, integratedTime),
    promise === undefined ? Buffer.alloc(0) : bytes(5, promise.length === 0 ? promise : bytes(1, promise)),
    proof === undefined
      ? Buffer.alloc(0)
      : bytes(
          6,
          Buffer.concat([
            number(1, proof.logIndex),
            bytes(2, proof.rootHash),
            number(3, proof.treeSize),
            ...proof.hashes.map((hash) => bytes(4, hash)),
            bytes(5, bytes(1, Buffer.from(proof.checkpoint))),
          ]),
        ),
  ])

/** The entry as Rekor v1 answers it. */
export const rekorJson = (entry: Entry): string =>
  `${JSON.stringify({
    [`108e9186e8c5677a${leafHashOf(entry.body).toString("hex")}`]: {
      body: base64(entry.body),
      integratedTime: Number(entry.integratedTime),
      logID: entry.logId.toString("hex"),
      logIndex: Number(entry.logIndex),
      verification: {
        inclusionProof: entry.proof && {
          checkpoint: entry.proof.checkpoint,
          hashes: entry.proof.hashes.map((hash) => hash.toString("hex")),
          logIndex: Number(entry.proof.logIndex),
          rootHash: entry.proof.rootHash.toString("hex"),
          treeSize: Number(entry.proof.treeSize),
        },
        signedEntryTimestamp: entry.promise && base64(entry.promise),
      },
    },
  })}\n`
