/**
 * ECDSA signatures on P-256 with SHA-256 (RFC 5480 §2, RFC 5758 §3.2), the one kind that a git signature is made with.
 *
 * @module
 */

import { createPublicKey, type KeyObject, verify } from "node:crypto"
import { GitsignError } from "../errors.ts"
import { latin1 } from "../formats/der.ts"
import { checkEcdsaSigValue } from "../formats/ecdsa.ts"

/**
 * Proves that a key made a signature.
 *
 * @param subjectPublicKeyInfo the key, DER
 * @param signature ECDSA-Sig-Value, DER
 * @throws ERR_SIGNATURE when it did not, or the signature is not in DER; ERR_CERTIFICATE when it is no P-256 key
 */
export function verifyP256Signature(subjectPublicKeyInfo: Uint8Array, signed: Uint8Array, signature: Uint8Array): void {
  const key = p256Key(subjectPublicKeyInfo)
  checkEcdsaSigValue(signature, 32)
  if (!verify("sha256", signed, key, signature)) {
    throw new GitsignError("ERR_SIGNATURE", "the signature was not made by the key in the certificate")
  }
}

/** SubjectPublicKeyInfo of an uncompressed P-256 point up to the point (RFC 5480 §2): 27 bytes before 64. */
const P256_PREFIX = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex")

/** Keys by the octets that they are made of: reading one costs as much as a verification, and a rebase signs everything with one. */
const keys = new Map<string, KeyObject>()
const MAX_KEYS = 64

function p256Key(subjectPublicKeyInfo: Uint8Array): KeyObject {
  const spki = Buffer.from(subjectPublicKeyInfo)
  if (spki.length !== P256_PREFIX.length + 64 || !spki.subarray(0, P256_PREFIX.length).equals(P256_PREFIX)) {
    throw new GitsignError("ERR_CERTIFICATE", "the certificate's key is not an uncompressed P-256 key")
  }
  const name = latin1(spki)
  const known = keys.get(name)
  if (known !== undefined) return known
  try {
    const key = createPublicKey({ key: spki, format: "der", type: "spki" })
    if (keys.size >= MAX_KEYS) keys.clear()
    keys.set(name, key)
    return key
  } catch (cause) {
    throw new GitsignError("ERR_CERTIFICATE", "the certificate's key is not a point on P-256", { cause })
  }
}
