/**
 * Verifies an ECDSA signature over a digest that somebody else computed (FIPS 186-5 §6.4.2).
 *
 * A log sees the digest of an artifact, never the artifact, and node:crypto verifies messages only. Its ECDH gives
 * what is missing, scalar multiplication on the curve, so only one point addition is done here. The sandbox verifies
 * public values with this; it MUST NOT be used where a secret is at stake.
 *
 * @module
 */

import { createECDH } from "node:crypto"
import { readAll } from "../formats/der.ts"

interface Curve {
  /** The name OpenSSL knows it by. */
  readonly name: string
  /** The field's prime. */
  readonly p: bigint
  /** The order of the base point. */
  readonly n: bigint
  /** Octets of a coordinate. */
  readonly size: number
}

/** The curves of SP 800-186 §3.2.1 by node's `namedCurve`. All of them have a = -3. */
const CURVES: Readonly<Record<string, Curve>> = {
  prime256v1: {
    name: "prime256v1",
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    size: 32,
  },
  secp384r1: {
    name: "secp384r1",
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    size: 48,
  },
  secp521r1: {
    name: "secp521r1",
    p: 2n ** 521n - 1n,
    n: 0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
    size: 66,
  },
}

type Point = readonly [x: bigint, y: bigint]

/**
 * Whether `signature` (DER ECDSA-Sig-Value) is the key's signature over a message with this `digest`.
 *
 * @param namedCurve `prime256v1`, `secp384r1` or `secp521r1`; any other curve gives false
 * @param publicKey the uncompressed point: 0x04 || x || y; it MUST be on the curve (a parsed KeyObject's is)
 */
export function verifyEcdsaDigest(
  namedCurve: string,
  publicKey: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  const curve = CURVES[namedCurve]
  const q = curve && decodePoint(curve, publicKey)
  const rs = parseSignature(signature)
  if (curve === undefined || q === undefined || rs === undefined) return false
  const { n } = curve
  const [r, s] = rs
  if (r < 1n || r >= n || s < 1n || s >= n) return false

  // R = (e/s)·G + (r/s)·Q = (r/s)·T with T = Q + (e/r)·G. ECDH tells the x of a product, and R's x is all that counts.
  const e = truncate(digest, n)
  const t = addPoints(curve, q, multiplyBase(curve, mod(e * inverse(r, n), n)))
  if (t === undefined) return false
  const x = multiplyX(curve, t, mod(r * inverse(s, n), n))
  return mod(x, n) === r
}

function parseSignature(signature: Uint8Array): readonly [bigint, bigint] | undefined {
  try {
    return readAll(signature, "signature", (reader) =>
      reader.sequence(
        "ECDSA-Sig-Value",
        (fields) => [readPositive(fields.integerBytes("r")), readPositive(fields.integerBytes("s"))] as const,
      ),
    )
  } catch {
    return undefined
  }
}

/** A DER INTEGER's value; a negative one becomes 0, which no signature holds. */
const readPositive = (bytes: Uint8Array): bigint => ((bytes[0] ?? 0) & 0x80 ? 0n : toBigInt(bytes))

/** The leftmost bits of the digest, as many as the order has. */
function truncate(digest: Uint8Array, n: bigint): bigint {
  const excess = digest.length * 8 - n.toString(2).length
  const value = toBigInt(digest)
  return excess > 0 ? value >> BigInt(excess) : value
}

function decodePoint(curve: Curve, bytes: Uint8Array): Point | undefined {
  if (bytes.length !== 1 + 2 * curve.size || bytes[0] !== 4) return undefined
  return [toBigInt(bytes.subarray(1, 1 + curve.size)), toBigInt(bytes.subarray(1 + curve.size))]
}

/** scalar·G, or undefined for the point at infinity. */
function multiplyBase(curve: Curve, scalar: bigint): Point | undefined {
  if (scalar === 0n) return undefined
  const ecdh = createECDH(curve.name)
  ecdh.setPrivateKey(toBytes(scalar, curve.size))
  return decodePoint(curve, ecdh.getPublicKey())
}

/** The x coordinate of scalar·point; the scalar MUST NOT be 0. */
function multiplyX(curve: Curve, [x, y]: Point, scalar: bigint): bigint {
  const ecdh = createECDH(curve.name)
  ecdh.setPrivateKey(toBytes(scalar, curve.size))
  const point = Buffer.concat([Buffer.of(4), toBytes(x, curve.size), toBytes(y, curve.size)])
  return toBigInt(ecdh.computeSecret(point))
}

/** a + b, where an undefined b is the point at infinity; undefined when the sum is. */
function addPoints({ p }: Curve, a: Point, b: Point | undefined): Point | undefined {
  if (b === undefined) return a
  const [ax, ay] = a
  const [bx, by] = b
  if (ax === bx && mod(ay + by, p) === 0n) return undefined
  const slope = ax === bx ? mod(3n * (ax * ax - 1n) * inverse(2n * ay, p), p) : mod((by - ay) * inverse(bx - ax, p), p)
  const x = mod(slope * slope - ax - bx, p)
  return [x, mod(slope * (ax - x) - ay, p)]
}

const mod = (value: bigint, modulus: bigint): bigint => {
  const rest = value % modulus
  return rest < 0n ? rest + modulus : rest
}

/** The inverse modulo a prime, by the extended Euclidean algorithm. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [low, high] = [mod(value, modulus), modulus]
  let [lowFactor, highFactor] = [1n, 0n]
  while (low > 1n) {
    const quotient = high / low
    ;[low, high] = [high - quotient * low, low]
    ;[lowFactor, highFactor] = [highFactor - quotient * lowFactor, lowFactor]
  }
  return mod(lowFactor, modulus)
}

const toBigInt = (bytes: Uint8Array): bigint =>
  bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString("hex")}`)

const toBytes = (value: bigint, size: number): Buffer => Buffer.from(value.toString(16).padStart(size * 2, "0"), "hex")
