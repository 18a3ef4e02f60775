/**
 * The keys of the made-up Sigstore instance that test/make-fixtures.ts signs with. They follow from their names, so that
 * later fixtures fit the trusted root of earlier ones and no key file lies about. They protect nothing.
 *
 * @module
 */

import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto"

const CURVES = {
  "P-256": { openssl: "prime256v1", hash: "sha256", size: 32 },
  "P-384": { openssl: "secp384r1", hash: "sha384", size: 48 },
} as const

/** The key of this name: the hash of the name is the private number. */
export function namedKey(name: string, crv: keyof typeof CURVES = "P-256"): KeyObject {
  const { openssl, hash, size } = CURVES[crv]
  const number = createHash(hash).update(`gitsign test fixtures: ${name}`).digest()
  const ecdh = createECDH(openssl)
  ecdh.setPrivateKey(number)
  const point = ecdh.getPublicKey().subarray(1)
  const d = number.toString("base64url")
  const x = point.subarray(0, size).toString("base64url")
  const y = point.subarray(size).toString("base64url")
  return createPrivateKey({ key: { kty: "EC", crv, d, x, y }, format: "jwk" })
}

/** A fresh P-256 key, for one signature. */
export const freshKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey

/** SubjectPublicKeyInfo in DER. */
export const spkiOf = (key: KeyObject): Buffer =>
  (key.type === "private" ? createPublicKey(key) : key).export({ type: "spki", format: "der" })

export const sha256 = (...parts: readonly Uint8Array[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest()
