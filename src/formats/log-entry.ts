/**
 * Transparency log entries: Rekor's hashedrekord bodies and the entry that a signature embeds as attribute 57264.3.1
 * (sigstore/protobuf-specs sigstore_rekor.proto TransparencyLogEntry, protobuf encoding).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { encodePem } from "./pem.ts"

/** One log entry with its proofs. Nothing in it is proven. */
export interface TransparencyLogEntry {
  /** The index over all shards of the log. */
  readonly logIndex: bigint
  /** 32 bytes: SHA-256 of the log's SPKI, or for Rekor v2 the checkpoint key id. */
  readonly logId: Uint8Array
  readonly kindVersion: { readonly kind: string; readonly version: string }
  /** Unix seconds; 0 when the log gives no time. */
  readonly integratedTime: bigint
  /** The signed entry timestamp: ECDSA-Sig-Value, DER. */
  readonly inclusionPromise?: Uint8Array | undefined
  readonly inclusionProof?: InclusionProof | undefined
  /** The exact bytes that are the leaf of the log. */
  readonly canonicalizedBody: Uint8Array
}

/** A proof that a leaf is in the tree that a checkpoint signs. */
export interface InclusionProof {
  /** The index in the shard's tree. */
  readonly logIndex: bigint
  readonly rootHash: Uint8Array
  readonly treeSize: bigint
  /** 32 bytes each. */
  readonly hashes: readonly Uint8Array[]
  /** A signed note. */
  readonly checkpoint: string
}

const fail = (message: string): never => {
  throw new GitsignError("ERR_LOG_ENTRY", `log entry: ${message}`)
}

/** What a hashedrekord states: this certificate's key signed what has this digest. */
export interface HashedRekord {
  /** SHA-256, 32 bytes. */
  readonly digest: Uint8Array
  /** ECDSA-Sig-Value, DER. */
  readonly signature: Uint8Array
  readonly certificateDer: Uint8Array
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** The proposed entry that `POST /api/v1/log/entries` takes. */
export const proposedHashedRekord = (entry: HashedRekord): string => hashedRekordBody(entry, "0.0.1").toString("utf8")

/**
 * The canonical body (RFC 8785) of a hashedrekord: the leaf of the log.
 *
 * The keys stand in the order RFC 8785 sorts them, and no value needs escaping.
 */
export function hashedRekordBody(entry: HashedRekord, version: "0.0.1" | "0.0.2"): Buffer {
  const body =
    version === "0.0.1"
      ? {
          apiVersion: "0.0.1",
          kind: "hashedrekord",
          spec: {
            data: { hash: { algorithm: "sha256", value: Buffer.from(entry.digest).toString("hex") } },
            signature: {
              content: base64(entry.signature),
              publicKey: { content: base64(Buffer.from(encodePem("CERTIFICATE", entry.certificateDer), "latin1")) },
            },
          },
        }
      : {
          apiVersion: "0.0.2",
          kind: "hashedrekord",
          spec: {
            hashedRekordV002: {
              data: { algorithm: "SHA2_256", digest: base64(entry.digest) },
              signature: {
                content: base64(entry.signature),
                verifier: {
                  keyDetails: "PKIX_ECDSA_P256_SHA_256",
                  x509Certificate: { rawBytes: base64(entry.certificateDer) },
                },
              },
            },
          },
        }
  return Buffer.from(JSON.stringify(body), "utf8")
}

/** Field numbers of the message, so that reader and writer share them. */
const FIELD = {
  logIndex: 1,
  logId: 2,
  kindVersion: 3,
  integratedTime: 4,
  inclusionPromise: 5,
  inclusionProof: 6,
} as const
const PROOF = { logIndex: 1, rootHash: 2, treeSize: 3, hashes: 4, checkpoint: 5 } as const

/** Encodes an entry without its body, as the attribute stores it: fields in number order, zero values left out. */
export function encodeTransparencyLogEntry(entry: Omit<TransparencyLogEntry, "canonicalizedBody">): Uint8Array {
  const { inclusionPromise, inclusionProof } = entry
  return Buffer.concat([
    varintField(FIELD.logIndex, entry.logIndex),
    bytesField(FIELD.logId, bytesField(1, entry.logId)),
    bytesField(
      FIELD.kindVersion,
      Buffer.concat([
        bytesField(1, Buffer.from(entry.kindVersion.kind)),
        bytesField(2, Buffer.from(entry.kindVersion.version)),
      ]),
    ),
    varintField(FIELD.integratedTime, entry.integratedTime),
    inclusionPromise === undefined
      ? Buffer.alloc(0)
      : bytesField(
          FIELD.inclusionPromise,
          inclusionPromise.length === 0 ? inclusionPromise : bytesField(1, inclusionPromise),
        ),
    inclusionProof === undefined
      ? Buffer.alloc(0)
      : bytesField(
          FIELD.inclusionProof,
          Buffer.concat([
            varintField(PROOF.logIndex, inclusionProof.logIndex),
            bytesField(PROOF.rootHash, inclusionProof.rootHash),
            varintField(PROOF.treeSize, inclusionProof.treeSize),
            ...inclusionProof.hashes.map((hash) => bytesField(PROOF.hashes, hash)),
            bytesField(PROOF.checkpoint, bytesField(1, Buffer.from(inclusionProof.checkpoint, "utf8"))),
          ]),
        ),
  ])
}

/**
 * Decodes what {@link encodeTransparencyLogEntry} wrote, and nothing else: what decodes encodes to the same bytes.
 *
 * Protobuf allows any field order, repeated fields and long varints; each is a way to change a signature unnoticed.
 *
 * @throws ERR_LOG_ENTRY when it is not that
 */
export function decodeTransparencyLogEntry(bytes: Uint8Array): Omit<TransparencyLogEntry, "canonicalizedBody"> {
  const fields = readFields(bytes)
  const kindVersion = readFields(bytesOf(fields, FIELD.kindVersion, "kindVersion"))
  const promise = fields.get(FIELD.inclusionPromise)
  const entry = {
    logIndex: varintOf(fields, FIELD.logIndex),
    logId: bytesOf(readFields(bytesOf(fields, FIELD.logId, "logId")), 1, "keyId"),
    kindVersion: {
      kind: Buffer.from(bytesOf(kindVersion, 1, "kind")).toString("utf8"),
      version: Buffer.from(bytesOf(kindVersion, 2, "version")).toString("utf8"),
    },
    integratedTime: varintOf(fields, FIELD.integratedTime),
    inclusionPromise:
      promise === undefined ? undefined : decodePromise(bytesOf(fields, FIELD.inclusionPromise, "inclusionPromise")),
    inclusionProof: fields.has(FIELD.inclusionProof)
      ? decodeProof(bytesOf(fields, FIELD.inclusionProof, "inclusionProof"))
      : undefined,
  }
  if (entry.logId.length !== 32) fail("the log id is not 32 bytes")
  if (Buffer.compare(encodeTransparencyLogEntry(entry), bytes) !== 0) fail("not the canonical encoding")
  return entry
}

const decodePromise = (bytes: Uint8Array): Uint8Array =>
  bytes.length === 0 ? bytes : bytesOf(readFields(bytes), 1, "signedEntryTimestamp")

function decodeProof(bytes: Uint8Array): InclusionProof {
  const fields = readFields(bytes)
  const hashes = fields.get(PROOF.hashes) ?? []
  return {
    logIndex: varintOf(fields, PROOF.logIndex),
    rootHash: bytesOf(fields, PROOF.rootHash, "rootHash"),
    treeSize: varintOf(fields, PROOF.treeSize),
    hashes: hashes.map((hash) => (typeof hash === "bigint" ? fail("a hash is a number") : hash)),
    checkpoint: Buffer.from(
      bytesOf(readFields(bytesOf(fields, PROOF.checkpoint, "checkpoint")), 1, "envelope"),
    ).toString("utf8"),
  }
}

type Fields = Map<number, (bigint | Uint8Array)[]>

/** Reads the fields of one protobuf message: varints and length-delimited values only. */
function readFields(bytes: Uint8Array): Fields {
  const fields: Fields = new Map()
  let offset = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 64n; shift += 7n) {
      const octet = bytes[offset++]
      if (octet === undefined) return fail("cut short")
      value |= BigInt(octet & 0x7f) << shift
      if (octet < 0x80) return value
    }
    return fail("a varint is too long")
  }
  while (offset < bytes.length) {
    const key = varint()
    const wireType = Number(key & 7n)
    const number = Number(key >> 3n)
    let value: bigint | Uint8Array
    if (wireType === 0) value = varint()
    else if (wireType === 2) {
      const length = varint()
      if (length > BigInt(bytes.length - offset)) return fail("cut short")
      value = bytes.subarray(offset, offset + Number(length))
      offset += Number(length)
    } else return fail(`wire type ${wireType} is not expected`)
    const values = fields.get(number)
    if (values === undefined) fields.set(number, [value])
    else values.push(value)
  }
  return fields
}

function bytesOf(fields: Fields, number: number, what: string): Uint8Array {
  const [value] = fields.get(number) ?? []
  return value === undefined || typeof value === "bigint" ? fail(`${what} is missing`) : value
}

function varintOf(fields: Fields, number: number): bigint {
  const [value = 0n] = fields.get(number) ?? []
  // int64: a negative index or time would be 2^63 or more.
  return typeof value !== "bigint" || value >= 1n << 63n ? fail(`field ${number} is not a non-negative number`) : value
}

function varint(value: bigint): Uint8Array {
  const octets: number[] = []
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 0x80n) {
      octets.push(Number(rest))
      return Buffer.from(octets)
    }
    octets.push(Number(rest & 0x7fn) | 0x80)
  }
}

const varintField = (number: number, value: bigint): Uint8Array =>
  value === 0n ? Buffer.alloc(0) : Buffer.concat([varint(BigInt(number << 3)), varint(value)])

const bytesField = (number: number, value: Uint8Array): Uint8Array =>
  Buffer.concat([varint(BigInt((number << 3) | 2)), varint(BigInt(value.length)), value])
