/**
 * The strict part of checking a log entry: it belongs to this signature, its log is trusted, and every stored field
 * agrees with its twin. The signatures of the log are the engine's business.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError } from "../errors.ts"
import { decodeBase64 } from "../formats/base64.ts"
import { hashedRekordBody, type InclusionProof, type TransparencyLogEntry } from "../formats/log-entry.ts"
import { leafHash, rootFromInclusionProof } from "../formats/merkle.ts"
import { parseCheckpoint, parseSignedNote } from "../formats/note.ts"
import { isWithin, type TrustedLog, type TrustedRoot } from "../formats/trusted-root.ts"

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const fail = (message: string): never => {
  throw new GitsignError("ERR_LOG_ENTRY", message)
}

/**
 * Finds the trusted log that an entry names.
 *
 * @throws ERR_LOG_UNKNOWN when no trusted log has this id, or its key was not in use when the entry was made;
 * ERR_LOG_TIME when the stated time is none
 */
export function findLog(entry: TransparencyLogEntry, trustedRoot: TrustedRoot): TrustedLog {
  const logs = trustedRoot.transparencyLogs.filter((log) => same(log.logId, entry.logId))
  if (logs.length === 0) {
    const id = Buffer.from(entry.logId).toString("hex").slice(0, 16)
    throw new GitsignError("ERR_LOG_UNKNOWN", `the trusted root knows no transparency log with id ${id}…`)
  }
  // A log without times (Rekor v2) is bounded by the timestamps instead; see checkProvenTime.
  if (entry.integratedTime === 0n) return logs[0] as TrustedLog
  const time = timeOf(entry.integratedTime)
  const log = logs.find(({ validFor }) => isWithin(validFor, time))
  if (log === undefined)
    throw new GitsignError("ERR_LOG_UNKNOWN", "the log's key was not in use when the entry was made")
  return log
}

function timeOf(integratedTime: bigint): Date {
  const time = new Date(Number(integratedTime) * 1000)
  if (Number.isNaN(time.getTime())) {
    throw new GitsignError("ERR_LOG_TIME", "logged at a time that is in no calendar")
  }
  return time
}

/** What the inclusion proof of an entry states; the checkpoint's signature is still to be verified. */
export interface CheckedProof {
  readonly origin: string
  /** The name on the signature lines of this log. */
  readonly logName: string
  /** The entry with a checkpoint that holds only this log's signature lines. */
  readonly entry: TransparencyLogEntry
}

/**
 * Checks an inclusion proof against its checkpoint, in all fields.
 *
 * The caller MUST then verify the checkpoint's signature by `log`.
 *
 * @throws ERR_LOG_PROOF when the proof is missing, does not lead to the root, or disagrees with the checkpoint;
 * ERR_CHECKPOINT when the checkpoint is malformed or not signed in the log's name; ERR_LOG_PROMISE when the log is one that
 * promises its entries, and there is no promise
 */
export function checkInclusionProof(entry: TransparencyLogEntry, log: TrustedLog): CheckedProof {
  const proof = entry.inclusionProof
  if (proof === undefined) throw new GitsignError("ERR_LOG_PROOF", "the log entry carries no inclusion proof")
  const note = parseSignedNote(proof.checkpoint)
  const checkpoint = parseCheckpoint(note.text)
  // Rekor v1 origins are "HOST - TREE ID" and the signature lines bear the host; elsewhere both are the log's name.
  const sharded = /^(\S+) - (\d+)$/.exec(checkpoint.origin)
  const logName = sharded?.[1] ?? checkpoint.origin
  const hint = log.logId.subarray(0, 4)
  // The engine takes this name as a regular expression, and one can be made that it never finishes.
  if (!/^[\w.:/-]+$/.test(logName))
    throw new GitsignError("ERR_CHECKPOINT", "the checkpoint's origin is not a log's name")
  const own = note.signatures.filter((signature) => signature.name === logName && same(signature.keyHint, hint))
  const [signature] = own
  if (signature === undefined)
    throw new GitsignError("ERR_CHECKPOINT", `the checkpoint bears no signature of ${logName} with the trusted key`)
  // One valid signature would carry a second line along that anyone may write. Witnesses cosign only the newer logs.
  if (own.length > 1 || (sharded !== null && note.signatures.length > 1))
    throw new GitsignError("ERR_CHECKPOINT", "the checkpoint bears more signatures than its log makes")
  // The name is what tells two logs with one key apart; a v1 log may have moved, a v2 log's name is its address.
  if (sharded === null && logName !== hostOf(log.baseUrl)) {
    throw new GitsignError(
      "ERR_CHECKPOINT",
      `the checkpoint is of ${logName}, the trusted log is ${hostOf(log.baseUrl)}`,
    )
  }
  if (sharded !== null || proof.treeSize !== 0n || proof.rootHash.length > 0) {
    if (proof.treeSize !== checkpoint.treeSize)
      throw new GitsignError("ERR_LOG_PROOF", "the proof and its checkpoint differ in tree size")
    if (!same(proof.rootHash, checkpoint.rootHash))
      throw new GitsignError("ERR_LOG_PROOF", "the proof and its checkpoint differ in root hash")
  }
  checkIndex(entry, proof, sharded !== null)
  const root = rootFromInclusionProof(
    proof.logIndex,
    checkpoint.treeSize,
    leafHash(entry.canonicalizedBody),
    proof.hashes,
  )
  if (!same(root, checkpoint.rootHash))
    throw new GitsignError("ERR_LOG_PROOF", "the inclusion proof does not lead to the log's root")
  return {
    origin: checkpoint.origin,
    logName,
    entry: {
      ...entry,
      inclusionProof: { ...proof, checkpoint: `${note.text}\n${signature.line}` },
    },
  }
}

/** The index that is shown to people must be one that the log has signed or the proof proves. */
function checkIndex(entry: TransparencyLogEntry, proof: InclusionProof, sharded: boolean): void {
  const promised = (entry.inclusionPromise?.length ?? 0) > 0
  if (promised) return
  if (sharded) throw new GitsignError("ERR_LOG_PROMISE", "the log entry lacks its log's promise, which signs its index")
  if (entry.logIndex !== proof.logIndex)
    throw new GitsignError("ERR_LOG_PROOF", "the log entry and its proof differ in index")
}

function hostOf(baseUrl: string): string {
  try {
    const { hostname, pathname } = new URL(baseUrl)
    return `${hostname}${pathname.replace(/\/$/, "")}`
  } catch {
    return baseUrl
  }
}

/** What a signature's log entry must be an entry for. */
export interface ExpectedEntry {
  readonly certificateDer: Uint8Array
  /** SHA-256 digests that the entry may be for, 32 bytes each. */
  readonly digests: readonly Uint8Array[]
  /** The signature that must be in the entry; undefined when only its key is known (online mode). */
  readonly signature: Uint8Array | undefined
}

/** What an entry turned out to be for. */
export interface MatchedEntry {
  /** Which of the expected digests it is for. */
  readonly index: number
  /** ECDSA-Sig-Value over what has this digest. */
  readonly signature: Uint8Array
}

/**
 * Proves that an entry's body states exactly: the key of this certificate signed one of these digests.
 *
 * The body is built again from what is expected and compared as bytes; nothing in it is looked up and believed.
 *
 * @throws ERR_LOG_ENTRY when it is for something else, or of another kind
 */
export function matchEntry(entry: TransparencyLogEntry, expected: ExpectedEntry): MatchedEntry {
  const { kind, version } = entry.kindVersion
  if (kind !== "hashedrekord" || (version !== "0.0.1" && version !== "0.0.2")) {
    return fail(`the log entry is of kind ${printable(kind)}/${printable(version)}, not a hashedrekord`)
  }
  const signature = expected.signature ?? signatureInBody(entry.canonicalizedBody)
  const index = expected.digests.findIndex((digest) =>
    same(
      hashedRekordBody({ digest, signature, certificateDer: expected.certificateDer }, version),
      entry.canonicalizedBody,
    ),
  )
  if (index >= 0) return { index, signature }
  return fail("the log entry is for another object, key or signature")
}

const printable = (text: string): string => JSON.stringify(text.slice(0, 40))

/** Reads spec.signature.content of a v0.0.1 body; the caller compares the whole body afterwards. */
function signatureInBody(body: Uint8Array): Uint8Array {
  let content: unknown
  try {
    content = JSON.parse(Buffer.from(body).toString("utf8"))?.spec?.signature?.content
  } catch (cause) {
    throw new GitsignError("ERR_LOG_ENTRY", "the body of the log entry is not JSON", { cause })
  }
  const signature = typeof content === "string" ? decodeBase64(content) : undefined
  return signature ?? fail("the body of the log entry holds no signature")
}

/** SHA-256 of what online mode signs and logs: the object id's lower-case hex digits, without a line feed. */
export const onlineDigest = (objectId: string): Uint8Array => createHash("sha256").update(objectId, "ascii").digest()
