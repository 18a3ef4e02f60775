/**
 * The sandbox's tree against the verifier's proofs, which another hand wrote from RFC 9162, and against RFC 6962's definition.
 *
 * @module
 */

import { createHash } from "node:crypto"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { leafHash, nodeHash, rootFromInclusionProof, verifyConsistencyProof } from "../../src/formats/merkle.ts"
import { MerkleTree } from "../../src/sandbox/merkle-tree.ts"

const leaf = (index: number): Uint8Array => leafHash(Buffer.from(`leaf ${index}`))

/** MTH of RFC 6962 §2.1, as it is written there. */
function definition(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves
  if (first === undefined) return createHash("sha256").digest()
  if (leaves.length === 1) return first
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return nodeHash(definition(leaves.slice(0, k)), definition(leaves.slice(k)))
}

function treeOf(size: number): MerkleTree {
  const tree = new MerkleTree()
  for (let index = 0; index < size; index++) tree.append(leaf(index))
  return tree
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

describe("MerkleTree", () => {
  test("has RFC 6962's root at every size, and still knows the earlier ones", () => {
    const tree = new MerkleTree()
    const leaves: Uint8Array[] = []
    for (let size = 0; size <= 70; size++) {
      expect(hex(tree.root())).toBe(hex(definition(leaves)))
      tree.append(leaf(size))
      leaves.push(leaf(size))
    }
    for (let size = 0; size <= 70; size++) expect(hex(tree.root(size))).toBe(hex(definition(leaves.slice(0, size))))
  })

  test("proves every leaf in every earlier tree", () => {
    const tree = treeOf(40)
    for (let size = 1; size <= 40; size++) {
      for (let index = 0; index < size; index++) {
        const proof = tree.inclusionProof(index, size)
        expect(hex(rootFromInclusionProof(BigInt(index), BigInt(size), leaf(index), proof))).toBe(hex(tree.root(size)))
      }
    }
  })

  test("proves that every earlier tree is the beginning of every later one", () => {
    const tree = treeOf(40)
    for (let second = 1; second <= 40; second++) {
      for (let first = 1; first <= second; first++) {
        const proof = tree.consistencyProof(first, second)
        verifyConsistencyProof(BigInt(first), BigInt(second), tree.root(first), tree.root(second), proof)
      }
    }
  })

  test("does so for large trees", () => {
    const tree = treeOf(100_000)
    fc.assert(
      fc.property(fc.nat(99_999), fc.nat(99_999), (a, b) => {
        const [index, size] = [Math.min(a, b), Math.max(a, b) + 1]
        const proof = tree.inclusionProof(index, size)
        expect(proof.length).toBeLessThanOrEqual(17)
        expect(hex(rootFromInclusionProof(BigInt(index), BigInt(size), leaf(index), proof))).toBe(hex(tree.root(size)))
        const consistency = tree.consistencyProof(index + 1, size)
        verifyConsistencyProof(BigInt(index + 1), BigInt(size), tree.root(index + 1), tree.root(size), consistency)
      }),
      { numRuns: 200 },
    )
  })

  test("refuses what is not in the tree", () => {
    const tree = treeOf(3)
    for (const ask of [
      () => tree.root(4),
      () => tree.leaf(3),
      () => tree.inclusionProof(3),
      () => tree.inclusionProof(1, 1),
      () => tree.inclusionProof(-1),
      () => tree.consistencyProof(3, 2),
      () => tree.consistencyProof(1, 4),
    ])
      expect(ask).toThrow(RangeError)
  })

  test("answers with copies: what is done to a proof does not touch the tree", () => {
    const tree = treeOf(5)
    const root = hex(tree.root())
    for (const hash of [tree.root(4), tree.leaf(1), ...tree.inclusionProof(2), ...tree.consistencyProof(3)])
      hash.fill(0)
    expect(hex(tree.root())).toBe(root)
    expect(hex(tree.root(4))).toBe(hex(definition([0, 1, 2, 3].map(leaf))))
  })
})
