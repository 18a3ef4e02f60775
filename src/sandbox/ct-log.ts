/**
 * The sandbox's certificate transparency log: signed certificate timestamps and reading them back (RFC 6962).
 *
 * @module
 */

import { createHash, type KeyObject, sign } from "node:crypto"
import { join } from "node:path"
import { encodeOctetString } from "../formats/der.ts"
import { spkiOf } from "./certificates.ts"
import { json, type Reply, type Route, refuse, type SandboxRequest } from "./http-server.ts"
import { logIdOf } from "./state.ts"
import { TransparencyLog } from "./transparency-log.ts"

/** The most entries one get-entries answer holds. */
const MAX_ENTRIES = 100

/** A log that is open for submissions. */
export interface CtLog {
  /** 32 bytes. */
  readonly logId: Buffer
  readonly size: () => number
  readonly routes: readonly Route[]
  /**
   * Logs a precertificate and returns the value of the certificate's SCT list extension (RFC 6962 §3.3).
   *
   * The entry is on the disk when this resolves: the timestamp is a promise.
   *
   * @param tbsCertificate without the list, as §3.2 has it
   * @param issuerSpki the SubjectPublicKeyInfo of the issuing certificate
   * @param chain the issuing certificates in DER, kept for whoever reads the log
   */
  readonly submit: (
    tbsCertificate: Uint8Array,
    issuerSpki: Uint8Array,
    chain: readonly Uint8Array[],
  ) => Promise<Uint8Array>
  readonly close: () => Promise<void>
}

/** Opens the log in the state directory. @throws ERR_SANDBOX when its file is damaged */
export async function openCtLog(directory: string, key: KeyObject): Promise<CtLog> {
  const log = await TransparencyLog.open({ path: join(directory, "ct.log"), leafOf })
  const logId = logIdOf(spkiOf(key))
  const digitallySign = (data: Uint8Array): Buffer => {
    const signature = sign("sha256", data, key)
    // SignatureAndHashAlgorithm: sha256(4), ecdsa(3) (RFC 5246 §7.4.1.4.1).
    return Buffer.concat([Buffer.of(4, 3), vector(2, signature)])
  }

  return {
    logId,
    size: () => log.tree.size,
    routes: readRoutes(log, digitallySign),
    close: () => log.close(),
    submit: async (tbsCertificate, issuerSpki, chain) => {
      const timestamp = uint(8, Date.now())
      const issuerKeyHash = createHash("sha256").update(issuerSpki).digest()
      // TimestampedEntry: timestamp, LogEntryType precert_entry(1), PreCert, no extensions.
      const entry = Buffer.concat([timestamp, uint(2, 1), issuerKeyHash, vector(3, tbsCertificate), vector(2)])
      // MerkleTreeLeaf: v1(0), timestamped_entry(0).
      const leaf = Buffer.concat([Buffer.of(0, 0), entry])
      const signature = digitallySign(Buffer.concat([Buffer.of(0, 0), entry]))
      const extraData = vector(3, ...chain.map((certificate) => vector(3, certificate)))
      await log.append(Buffer.concat([uint(4, leaf.length), leaf, extraData]))
      // SignedCertificateTimestamp: v1(0), log id, timestamp, no extensions, signature.
      const sct = Buffer.concat([Buffer.of(0), logId, timestamp, vector(2), signature])
      return encodeOctetString(vector(2, vector(2, sct)))
    },
  }
}

/** A record is the leaf, its length before it, and the chain behind it. */
function leafOf(record: Buffer): Buffer {
  return record.subarray(4, 4 + record.readUInt32BE(0))
}

function readRoutes(log: TransparencyLog, digitallySign: (data: Uint8Array) => Buffer): Route[] {
  const { tree } = log
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
  const getSth = (): Reply => {
    const [timestamp, treeSize, root] = [Date.now(), tree.size, tree.root()]
    // TreeHeadSignature: v1(0), tree_hash(1).
    const signature = digitallySign(Buffer.concat([Buffer.of(0, 1), uint(8, timestamp), uint(8, treeSize), root]))
    return json(200, {
      tree_size: treeSize,
      timestamp,
      sha256_root_hash: base64(root),
      tree_head_signature: base64(signature),
    })
  }
  const getEntries = async ({ query }: SandboxRequest): Promise<Reply> => {
    const [start, end] = [whole(query.get("start")), whole(query.get("end"))]
    if (start === undefined || end === undefined || start > end || start >= tree.size) return refuse(400, "bad range")
    const entries = []
    for (let index = start; index <= end && index < tree.size && entries.length < MAX_ENTRIES; index++) {
      const record = await log.read(index)
      const leaf = leafOf(record)
      entries.push({ leaf_input: base64(leaf), extra_data: base64(record.subarray(4 + leaf.length)) })
    }
    return json(200, { entries })
  }
  const getProofByHash = ({ query }: SandboxRequest): Reply => {
    const size = whole(query.get("tree_size"))
    const index = log.find(Buffer.from(query.get("hash") ?? "", "base64"))
    if (size === undefined || size > tree.size) return refuse(400, "bad tree_size")
    if (index === undefined || index >= size) return refuse(404, "no such leaf in this tree")
    return json(200, { leaf_index: index, audit_path: tree.inclusionProof(index, size).map(base64) })
  }
  const getConsistency = ({ query }: SandboxRequest): Reply => {
    const [first, second] = [whole(query.get("first")), whole(query.get("second"))]
    if (first === undefined || second === undefined || first > second || second > tree.size)
      return refuse(400, "bad range")
    return json(200, { consistency: tree.consistencyProof(first, second).map(base64) })
  }
  return [
    { method: "GET", path: "/ct/v1/get-sth", handle: getSth },
    { method: "GET", path: "/ct/v1/get-entries", handle: getEntries },
    { method: "GET", path: "/ct/v1/get-proof-by-hash", handle: getProofByHash },
    { method: "GET", path: "/ct/v1/get-sth-consistency", handle: getConsistency },
  ]
}

/** A whole number of up to 15 digits, or undefined. */
export const whole = (value: string | null): number | undefined =>
  value !== null && /^\d{1,15}$/.test(value) ? Number(value) : undefined

/** A big-endian number of `size` octets (RFC 5246 §4.4). */
function uint(size: number, value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes.subarray(8 - size)
}

/** An opaque vector: its length in `size` octets, then its content (RFC 5246 §4.3). */
function vector(size: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([uint(size, content.length), content])
}
