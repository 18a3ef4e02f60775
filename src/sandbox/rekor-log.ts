/**
 * The log behind the sandbox's Rekor: entries with promises and proofs, checkpoints, and the search index.
 *
 * @module
 */

import { type KeyObject, sign } from "node:crypto"
import { join } from "node:path"
import { leafHash } from "../formats/merkle.ts"
import { formatCheckpoint, formatNoteSignature } from "../formats/note.ts"
import { encodePem } from "../formats/pem.ts"
import { spkiOf } from "./certificates.ts"
import type { MerkleTree } from "./merkle-tree.ts"
import type { HashedRekord } from "./rekor-entry.ts"
import { logIdOf } from "./state.ts"
import { type Appended, TransparencyLog } from "./transparency-log.ts"

export interface RekorOptions {
  readonly directory: string
  readonly key: KeyObject
  /** A positive number in decimal. */
  readonly treeId: string
  /** The host name of the log's address; with the tree id it is the checkpoint's origin. */
  readonly hostname: string
}

/** What the log keeps of an entry beside its body. */
interface LogRecord extends HashedRekord {
  /** Seconds since 1970. */
  readonly integratedTime: number
}

/** A record: the time (8 bytes), the length of the index keys (4 bytes), the keys as JSON, the body. */
function encodeRecord({ integratedTime, indexKeys, body }: LogRecord): Buffer {
  const keys = Buffer.from(JSON.stringify(indexKeys))
  const head = Buffer.alloc(12)
  head.writeBigUInt64BE(BigInt(integratedTime), 0)
  head.writeUInt32BE(keys.length, 8)
  return Buffer.concat([head, keys, body])
}

function decodeRecord(record: Buffer): LogRecord {
  const body = 12 + record.readUInt32BE(8)
  return {
    integratedTime: Number(record.readBigUInt64BE(0)),
    indexKeys: JSON.parse(record.toString("utf8", 12, body)) as string[],
    body: record.subarray(body),
  }
}

/** Positions of entries by what they can be found by. */
class SearchIndex {
  readonly #positions = new Map<string, number[]>()

  add(keys: readonly string[], position: number): void {
    for (const key of new Set(keys)) {
      const positions = this.#positions.get(key)
      if (positions === undefined) this.#positions.set(key, [position])
      else positions.push(position)
    }
  }

  find(key: string): readonly number[] {
    return this.#positions.get(key) ?? []
  }
}

/** One open log. */
export class RekorLog {
  /** In decimal. */
  readonly treeId: string
  readonly publicKeyPem: string
  readonly #options: RekorOptions
  readonly #log: TransparencyLog
  readonly #index: SearchIndex
  readonly #logId: Buffer
  readonly #treeIdHex: string
  #checkpoint: { readonly size: number; readonly note: string } | undefined

  private constructor(options: RekorOptions, log: TransparencyLog, index: SearchIndex) {
    const spki = spkiOf(options.key)
    this.treeId = options.treeId
    this.publicKeyPem = encodePem("PUBLIC KEY", spki)
    this.#options = options
    this.#log = log
    this.#index = index
    this.#logId = logIdOf(spki)
    this.#treeIdHex = BigInt(options.treeId).toString(16).padStart(16, "0")
  }

  /** Opens the log in the state directory. @throws ERR_SANDBOX when its file is damaged */
  static async open(options: RekorOptions): Promise<RekorLog> {
    const index = new SearchIndex()
    const log = await TransparencyLog.open({
      path: join(options.directory, "rekor.log"),
      leafOf: (record) => decodeRecord(record).body,
      onEntry: (record, position) => index.add(decodeRecord(record).indexKeys, position),
    })
    return new RekorLog(options, log, index)
  }

  get tree(): MerkleTree {
    return this.#log.tree
  }

  /** Logs an entry at the time now, unless it is there. @throws ERR_SANDBOX when it could not be written */
  append(entry: HashedRekord): Promise<Appended> {
    const integratedTime = Math.floor(Date.now() / 1000)
    return this.#log.append(encodeRecord({ ...entry, integratedTime }))
  }

  /** The entry's name: 16 hex digits of the tree id, 64 of the leaf hash. */
  uuid(index: number): string {
    return this.#treeIdHex + hex(this.tree.leaf(index))
  }

  /** Where the entry with this name is; the name may lack the tree id, but not have another one. */
  findUuid(uuid: string): number | undefined {
    if (uuid.length > 64 && uuid.slice(0, -64).toLowerCase() !== this.#treeIdHex) return undefined
    return this.#log.find(Buffer.from(uuid.slice(-64), "hex"))
  }

  /** Where the entry with this body is. */
  findBody(body: Uint8Array): number | undefined {
    return this.#log.find(leafHash(body))
  }

  /** Where the entries with this index key are, oldest first. */
  search(key: string): readonly number[] {
    return this.#index.find(key)
  }

  /** The entry as Rekor answers with it, with promise and proof for the tree as it is now. */
  async entry(index: number): Promise<Record<string, unknown>> {
    const { body, integratedTime } = decodeRecord(await this.#log.read(index))
    // From here on the answer speaks of one state of the tree: nothing is awaited.
    const { tree } = this
    const logEntry = {
      body: body.toString("base64"),
      integratedTime,
      logID: hex(this.#logId),
      logIndex: index,
    }
    // RFC 8785: the four members are in order already, and their text needs no escapes.
    const signedEntryTimestamp = sign("sha256", Buffer.from(JSON.stringify(logEntry)), this.#options.key)
    return {
      [this.uuid(index)]: {
        ...logEntry,
        verification: {
          inclusionProof: {
            checkpoint: this.checkpoint(),
            hashes: tree.inclusionProof(index).map(hex),
            logIndex: index,
            rootHash: hex(tree.root()),
            treeSize: tree.size,
          },
          signedEntryTimestamp: signedEntryTimestamp.toString("base64"),
        },
      },
    }
  }

  /** The signed checkpoint of the tree as it is now; one signature for each size. */
  checkpoint(): string {
    const { tree } = this
    if (this.#checkpoint?.size !== tree.size) {
      const { hostname, key } = this.#options
      const text = formatCheckpoint({
        origin: `${hostname} - ${this.treeId}`,
        treeSize: BigInt(tree.size),
        rootHash: tree.root(),
        extensionLines: [],
      })
      const signature = sign("sha256", Buffer.from(text), key)
      const note = `${text}\n${formatNoteSignature(hostname, this.#logId.subarray(0, 4), signature)}`
      this.#checkpoint = { size: tree.size, note }
    }
    return this.#checkpoint.note
  }

  /** Waits for the appends under way, then closes the file. */
  close(): Promise<void> {
    return this.#log.close()
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
