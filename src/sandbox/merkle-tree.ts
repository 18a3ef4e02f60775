/**
 * An append-only Merkle tree of any size with its proofs (RFC 6962 §2.1).
 *
 * Every complete subtree's hash is kept (64 bytes a leaf in all), so an append and every proof take O(log n) hashes.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { nodeHash } from "../formats/merkle.ts"

const HASH = 32
const EMPTY_ROOT = createHash("sha256").digest()

/** The hashes of all complete subtrees of one height, in order, in one growing buffer. */
class Level {
  #bytes = Buffer.alloc(HASH * 64)
  length = 0

  push(hash: Uint8Array): void {
    const end = (this.length + 1) * HASH
    if (end > this.#bytes.length) {
      const larger = Buffer.alloc(this.#bytes.length * 2)
      this.#bytes.copy(larger)
      this.#bytes = larger
    }
    this.#bytes.set(hash, this.length * HASH)
    this.length++
  }

  at(index: number): Uint8Array {
    return this.#bytes.subarray(index * HASH, (index + 1) * HASH)
  }
}

/** The largest power of two below `count`, which MUST be at least 2 (and below 2^31: such a tree takes 128 GB). */
const split = (count: number): number => 2 ** (31 - Math.clz32(count - 1))

const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0

/** The tree. Sizes and indexes are whole numbers; asking for what is not in the tree throws a RangeError. */
export class MerkleTree {
  readonly #levels: Level[] = []

  /** The number of leaves. */
  get size(): number {
    return this.#levels[0]?.length ?? 0
  }

  /** Adds one leaf by its hash (32 bytes, see `leafHash`). */
  append(hash: Uint8Array): void {
    let node = hash
    for (let height = 0; ; height++) {
      let level = this.#levels[height]
      if (level === undefined) {
        level = new Level()
        this.#levels.push(level)
      }
      level.push(node)
      if (level.length % 2 === 1) return
      node = nodeHash(level.at(level.length - 2), node)
    }
  }

  /** The hash of one leaf. */
  leaf(index: number): Uint8Array {
    this.#check(index, this.size - 1)
    return Uint8Array.from(this.#complete(0, index))
  }

  /** The root of the first `size` leaves. */
  root(size = this.size): Uint8Array {
    this.#check(size, this.size)
    return size === 0 ? EMPTY_ROOT : Uint8Array.from(this.#range(0, size))
  }

  /** The proof that leaf `index` is in the tree of `size` leaves (RFC 6962 §2.1.1), leaf end first. */
  inclusionProof(index: number, size = this.size): Uint8Array[] {
    this.#check(size, this.size)
    this.#check(index, size - 1)
    const path: Uint8Array[] = []
    let start = 0
    let count = size
    while (count > 1) {
      const left = split(count)
      if (index < start + left) {
        path.push(this.#range(start + left, count - left))
        count = left
      } else {
        path.push(this.#range(start, left))
        start += left
        count -= left
      }
    }
    return path.reverse().map((hash) => Uint8Array.from(hash))
  }

  /** The proof that the tree of `size2` leaves begins with that of `size1` (RFC 6962 §2.1.2); empty when they are equal. */
  consistencyProof(size1: number, size2 = this.size): Uint8Array[] {
    this.#check(size2, this.size)
    this.#check(size1, size2)
    if (size1 === 0 || size1 === size2) return []
    const path: Uint8Array[] = []
    let start = 0
    let count = size2
    while (start + count !== size1) {
      const left = split(count)
      if (size1 <= start + left) {
        path.push(this.#range(start + left, count - left))
        count = left
      } else {
        path.push(this.#range(start, left))
        start += left
        count -= left
      }
    }
    // A first tree that is a complete subtree from the start is known to the verifier (RFC 6962 §2.1.2, b = true).
    if (start > 0) path.push(this.#range(start, count))
    return path.reverse().map((hash) => Uint8Array.from(hash))
  }

  /** The hash over `count` leaves from `start` on; in RFC 6962's splits every left part is a complete subtree. */
  #range(start: number, count: number): Uint8Array {
    if (isPowerOfTwo(count)) return this.#complete(31 - Math.clz32(count), start / count)
    const left = split(count)
    return nodeHash(this.#range(start, left), this.#range(start + left, count - left))
  }

  #complete(height: number, index: number): Uint8Array {
    const level = this.#levels[height]
    if (level === undefined || index >= level.length) throw new RangeError("no such subtree")
    return level.at(index)
  }

  #check(value: number, limit: number): void {
    if (!Number.isInteger(value) || value < 0 || value > limit) throw new RangeError(`${value} is outside the tree`)
  }
}
