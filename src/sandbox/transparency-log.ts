/**
 * An append-only log: durable records with a Merkle tree over their leaves (RFC 6962 §2.1).
 *
 * @module
 */

import { leafHash } from "../formats/merkle.ts"
import { DurableLog } from "./durable-log.ts"
import { MerkleTree } from "./merkle-tree.ts"

export interface TransparencyLogOptions {
  readonly path: string
  /** The bytes of a record that the tree commits to. */
  readonly leafOf: (record: Buffer) => Uint8Array
  /** Called for every entry when it is in the tree, also for those found at the start. */
  readonly onEntry?: (record: Buffer, index: number) => void
}

/** Whether an entry was added or was there already, and where. */
export interface Appended {
  readonly index: number
  readonly added: boolean
}

/** One open log. Indexes begin at 0 and are positions in the tree. */
export class TransparencyLog {
  /** The tree over what is on the disk: it never shows an entry that a crash could take back. */
  readonly tree: MerkleTree
  readonly #records: DurableLog
  readonly #byHash: Map<string, number>
  readonly #leafOf: (record: Buffer) => Uint8Array
  readonly #pending = new Map<string, Promise<number>>()

  private constructor(
    tree: MerkleTree,
    records: DurableLog,
    byHash: Map<string, number>,
    options: TransparencyLogOptions,
  ) {
    this.tree = tree
    this.#records = records
    this.#byHash = byHash
    this.#leafOf = options.leafOf
  }

  /** Opens or creates the log. @throws ERR_SANDBOX when the file is damaged */
  static async open(options: TransparencyLogOptions): Promise<TransparencyLog> {
    const tree = new MerkleTree()
    const byHash = new Map<string, number>()
    const records = await DurableLog.open(options.path, (record, index) => {
      const hash = leafHash(options.leafOf(record))
      tree.append(hash)
      byHash.set(hex(hash), index)
      options.onEntry?.(record, index)
    })
    return new TransparencyLog(tree, records, byHash, options)
  }

  /** The index of the entry with this leaf hash, or undefined. */
  find(hash: Uint8Array): number | undefined {
    return this.#byHash.get(hex(hash))
  }

  /**
   * Adds an entry unless one with the same leaf is there; resolves when the entry is on the disk and in the tree.
   *
   * @throws ERR_SANDBOX when it could not be written
   */
  async append(record: Buffer): Promise<Appended> {
    const key = hex(leafHash(this.#leafOf(record)))
    const known = this.#byHash.get(key)
    if (known !== undefined) return { index: known, added: false }
    // Two clients can bring the same entry at once; the second one waits for the first one's disk.
    const other = this.#pending.get(key)
    if (other !== undefined) return { index: await other, added: false }
    const appending = this.#records.append(record)
    this.#pending.set(key, appending)
    try {
      return { index: await appending, added: true }
    } finally {
      this.#pending.delete(key)
    }
  }

  /** Reads an entry back. */
  read(index: number): Promise<Buffer> {
    return this.#records.read(index)
  }

  /** Waits for the appends under way, then closes the file. */
  close(): Promise<void> {
    return this.#records.close()
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")
