/**
 * Merkle tree hashing and proofs of transparency logs (RFC 6962 §2.1, verification as in RFC 9162 §2.1.3.2 and §2.1.4.2).
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError } from "../errors.ts"

const LEAF_PREFIX = Buffer.of(0)
const NODE_PREFIX = Buffer.of(1)

/** The hash of a log entry: SHA-256(0x00 || entry), 32 bytes. */
export const leafHash = (entry: Uint8Array): Uint8Array =>
  createHash("sha256").update(LEAF_PREFIX).update(entry).digest()

/** The hash of an inner node: SHA-256(0x01 || left || right), 32 bytes. */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  createHash("sha256").update(NODE_PREFIX).update(left).update(right).digest()

/** Bytes of SHA-256. With others, two hashes could be divided elsewhere and make the same node. */
const HASH_SIZE = 32

const proofError = (message: string): never => {
  throw new GitsignError("ERR_LOG_PROOF", message)
}

/**
 * Recomputes the root that an inclusion proof leads to (RFC 9162 §2.1.3.2).
 *
 * The caller MUST compare it with the root of a checkpoint whose signature it has verified.
 *
 * @throws ERR_LOG_PROOF if the proof has the wrong length for this leaf and tree size, or something in it is no hash
 */
export function rootFromInclusionProof(
  leafIndex: bigint,
  treeSize: bigint,
  leaf: Uint8Array,
  hashes: readonly Uint8Array[],
): Uint8Array {
  if (leafIndex < 0n || leafIndex >= treeSize) return proofError("the leaf index is outside the tree")
  checkSizes([leaf, ...hashes])
  let fn = leafIndex
  let sn = treeSize - 1n
  let hash = leaf
  for (const sibling of hashes) {
    if (sn === 0n) return proofError("the inclusion proof is too long")
    if (fn & 1n || fn === sn) {
      hash = nodeHash(sibling, hash)
      while (!(fn & 1n) && fn !== 0n) {
        fn >>= 1n
        sn >>= 1n
      }
    } else hash = nodeHash(hash, sibling)
    fn >>= 1n
    sn >>= 1n
  }
  if (sn !== 0n) return proofError("the inclusion proof is too short")
  return hash
}

/**
 * Proves that the tree of `size2` begins with the tree of `size1` (RFC 9162 §2.1.4.2).
 *
 * The first tree MUST NOT be empty: every tree begins with that one, and there is nothing to prove.
 *
 * @throws ERR_LOG_PROOF if it does not
 */
export function verifyConsistencyProof(
  size1: bigint,
  size2: bigint,
  root1: Uint8Array,
  root2: Uint8Array,
  hashes: readonly Uint8Array[],
): void {
  const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
  if (size1 < 1n) proofError("the first tree is empty")
  if (size1 > size2) proofError("the first tree is larger than the second")
  checkSizes(hashes)
  if (size1 === size2) {
    if (hashes.length > 0) proofError("the consistency proof is too long")
    if (!same(root1, root2)) proofError("two roots for one tree size")
    return
  }
  if (hashes.length === 0) proofError("the consistency proof is empty")
  // A first tree of a power of two is a node of the second tree, so the proof leaves it out.
  const path = (size1 & (size1 - 1n)) === 0n ? [root1, ...hashes] : [...hashes]
  let fn = size1 - 1n
  let sn = size2 - 1n
  while (fn & 1n) {
    fn >>= 1n
    sn >>= 1n
  }
  const [first, ...rest] = path
  let fr = first as Uint8Array
  let sr = fr
  for (const hash of rest) {
    if (sn === 0n) proofError("the consistency proof is too long")
    if (fn & 1n || fn === sn) {
      fr = nodeHash(hash, fr)
      sr = nodeHash(hash, sr)
      while (!(fn & 1n) && fn !== 0n) {
        fn >>= 1n
        sn >>= 1n
      }
    } else sr = nodeHash(sr, hash)
    fn >>= 1n
    sn >>= 1n
  }
  if (sn !== 0n) proofError("the consistency proof is too short")
  if (!same(fr, root1) || !same(sr, root2)) proofError("the consistency proof does not lead to the roots")
}

function checkSizes(hashes: readonly Uint8Array[]): void {
  if (hashes.some((hash) => hash.length !== HASH_SIZE)) proofError("a hash of the proof is not 32 bytes")
}
