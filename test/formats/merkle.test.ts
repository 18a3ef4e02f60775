/**
 * RFC 6962 proofs: the published vectors, and all proofs of all trees of up to 64 leaves.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { GitsignError } from "../../src/errors.ts"
import { leafHash, rootFromInclusionProof, verifyConsistencyProof } from "../../src/formats/merkle.ts"
import { FIXTURES } from "../support/fixtures.ts"
import { consistencyPath, inclusionPath, rootOf } from "../support/made/log.ts"

interface Vector {
  readonly path: string
  readonly proof: readonly string[] | null
  readonly wantErr: boolean
}
type InclusionVector = Vector & { leafIdx: number; treeSize: number; root: string; leafHash: string }
type ConsistencyVector = Vector & { size1: number; size2: number; root1: string; root2: string }

const vectors = <T>(name: string): T[] => JSON.parse(readFileSync(join(FIXTURES, "vectors", name), "utf8"))
const bytes = (text: string | null): Buffer => Buffer.from(text ?? "", "base64")

/** A number of these files may be above 2^53, where it has lost its low digits; those cases are refused for their size. */
const big = (value: number): bigint => BigInt(value)

/** Whether it returns; anything thrown must be ours. */
function holds(check: () => boolean): boolean {
  try {
    return check()
  } catch (error) {
    expect(error).toBeInstanceOf(GitsignError)
    expect((error as GitsignError).code).toBe("ERR_LOG_PROOF")
    return false
  }
}

const included = (index: bigint, size: bigint, leaf: Uint8Array, hashes: readonly Uint8Array[], root: Uint8Array) =>
  holds(() => Buffer.compare(rootFromInclusionProof(index, size, leaf, hashes), root) === 0)

const consistent = (
  size1: bigint,
  size2: bigint,
  root1: Uint8Array,
  root2: Uint8Array,
  hashes: readonly Uint8Array[],
) =>
  holds(() => {
    verifyConsistencyProof(size1, size2, root1, root2, hashes)
    return true
  })

describe("transparency-dev/merkle", () => {
  test.each(vectors<InclusionVector>("merkle-inclusion.json").map((v): [string, InclusionVector] => [v.path, v]))(
    "%s",
    (_, v) => {
      const hashes = (v.proof ?? []).map(bytes)
      expect(included(big(v.leafIdx), big(v.treeSize), bytes(v.leafHash), hashes, bytes(v.root))).toBe(!v.wantErr)
    },
  )
  test.each(vectors<ConsistencyVector>("merkle-consistency.json").map((v): [string, ConsistencyVector] => [v.path, v]))(
    "%s",
    (_, v) => {
      const hashes = (v.proof ?? []).map(bytes)
      expect(consistent(big(v.size1), big(v.size2), bytes(v.root1), bytes(v.root2), hashes)).toBe(!v.wantErr)
    },
  )
})

describe("all trees of up to 64 leaves", () => {
  const leaves = Array.from({ length: 64 }, (_, i) => Buffer.from(leafHash(Buffer.of(i))))
  const roots = Array.from({ length: 65 }, (_, size) => rootOf(leaves.slice(0, size)))
  const rootAt = (size: number): Buffer => roots[size] ?? expect.unreachable("no such tree")
  const leafAt = (index: number): Buffer => leaves[index] ?? expect.unreachable("no such leaf")

  test("every proof holds for its leaf, and for no other index", () => {
    let proofs = 0
    let refused = 0
    for (let size = 1; size <= 64; size++) {
      for (let index = 0; index < size; index++) {
        const path = inclusionPath(index, leaves.slice(0, size))
        if (!included(BigInt(index), BigInt(size), leafAt(index), path, rootAt(size)))
          expect.unreachable(`${index}/${size}`)
        proofs++
        for (let other = 0; other < size; other++) {
          if (other === index) continue
          if (included(BigInt(other), BigInt(size), leafAt(index), path, rootAt(size)))
            expect.unreachable(`${other} as ${index}/${size}`)
          refused++
        }
      }
    }
    expect([proofs, refused]).toEqual([2080, 87_360])
  })

  test("no proof holds when it is longer or shorter", () => {
    for (let size = 1; size <= 64; size++) {
      for (let index = 0; index < size; index++) {
        const path = inclusionPath(index, leaves.slice(0, size))
        const check = (hashes: readonly Uint8Array[]): boolean =>
          included(BigInt(index), BigInt(size), leafAt(index), hashes, rootAt(size))
        if (check([...path, Buffer.alloc(32)]) || check([Buffer.alloc(32), ...path])) expect.unreachable("longer")
        if (path.length > 0 && (check(path.slice(1)) || check(path.slice(0, -1)))) expect.unreachable("shorter")
      }
    }
  })

  test("every consistency proof holds, and for no other sizes", () => {
    for (let size2 = 1; size2 <= 64; size2++) {
      for (let size1 = 1; size1 <= size2; size1++) {
        const path = consistencyPath(size1, leaves.slice(0, size2))
        const check = (first: number, root1: Uint8Array, hashes = path): boolean =>
          consistent(BigInt(first), BigInt(size2), root1, rootAt(size2), hashes)
        if (!check(size1, rootAt(size1))) expect.unreachable(`${size1} to ${size2}`)
        if (size1 > 1 && check(size1, rootAt(size1 - 1))) expect.unreachable("another first root")
        if (check(size1, rootAt(size1), [...path, Buffer.alloc(32)])) expect.unreachable("longer")
        if (path.length > 0 && check(size1, rootAt(size1), path.slice(0, -1))) expect.unreachable("shorter")
      }
    }
  })
})
