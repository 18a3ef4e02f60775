/**
 * Verifies the signatures of SSH keys: Ed25519 (RFC 8709), ECDSA (RFC 5656), RSA with SHA-2 (RFC 8332), and security keys (PROTOCOL.u2f).
 *
 * @module
 */

import { constants, createHash, createPublicKey, type KeyObject, verify } from "node:crypto"
import { GitsignError } from "../errors.ts"
import { malformed, type SshPublicKey, SshReader } from "../formats/ssh-key.ts"
import type { SshSignatureBlob } from "../formats/ssh-signature.ts"

/** Bits; the least that is accepted of an RSA key, and the most, so that a key cannot cost minutes. */
const MIN_RSA_BITS = 2048
const MAX_RSA_BITS = 16_384

const ECDSA_DIGESTS = { "P-256": "sha256", "P-384": "sha384", "P-521": "sha512" } as const
const RSA_DIGESTS: Readonly<Record<string, "sha256" | "sha512">> = {
  "rsa-sha2-256": "sha256",
  "rsa-sha2-512": "sha512",
}

const refuse = (message: string): GitsignError => new GitsignError("ERR_SIGNATURE", message)

/**
 * Returns when `signature` is one of `key` over `data`.
 *
 * @throws ERR_SIGNATURE when it is not, or when the key or algorithm is too weak (RSA below 2,048 bits, SHA-1);
 * ERR_SIGNATURE_FORMAT when it cannot be one
 */
export function verifySshSignature(key: SshPublicKey, signature: SshSignatureBlob, data: Uint8Array): void {
  const { material } = key
  if (material.kind === "rsa") {
    verifyRsa(key, signature, data)
    return
  }
  // For all others the signature's type is the key's own
  if (signature.type !== key.plainType) {
    throw refuse(`the SSH signature is of type ${signature.type}, its key of type ${key.plainType}`)
  }
  const message = key.application === undefined ? data : securityKeyMessage(key.application, signature, data)
  const isGood =
    material.kind === "ed25519"
      ? verify(undefined, message, publicKeyOf(key), exactly(signature.octets, 64))
      : verify(
          ECDSA_DIGESTS[material.crv],
          message,
          { key: publicKeyOf(key), dsaEncoding: "ieee-p1363" },
          plainEcdsa(signature.octets, material.octets),
        )
  if (!isGood) throw refuse("the SSH signature does not match what it signs")
}

function verifyRsa(key: SshPublicKey, { type, octets }: SshSignatureBlob, data: Uint8Array): void {
  if (key.material.kind !== "rsa") return
  const digest = RSA_DIGESTS[type]
  if (digest === undefined) {
    throw refuse(
      type === "ssh-rsa" ? "the SSH signature uses SHA-1, which is broken" : `the SSH signature is of type ${type}`,
    )
  }
  const { modulus } = key.material
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24
  if (bits < MIN_RSA_BITS) throw refuse(`the SSH key is too weak: RSA with ${bits} bits`)
  if (bits > MAX_RSA_BITS || key.material.exponent.length > 4) throw refuse("the RSA key is larger than any real one")
  // Some programs leave leading zeros out (RFC 4253 section 6.6 asks for no padding)
  if (octets.length > modulus.length) throw malformed("the RSA signature is longer than its key")
  const padded = Buffer.concat([Buffer.alloc(modulus.length - octets.length), octets])
  const isGood = verify(digest, data, { key: publicKeyOf(key), padding: constants.RSA_PKCS1_PADDING }, padded)
  if (!isGood) throw refuse("the SSH signature does not match what it signs")
}

/** What a security key signs in place of the message (PROTOCOL.u2f): flags and counter are covered. */
function securityKeyMessage(application: Buffer, { securityKey }: SshSignatureBlob, data: Uint8Array): Buffer {
  if (securityKey === undefined) throw malformed("the signature of a security key has no flags and no counter")
  const extra = Buffer.alloc(5)
  extra.writeUInt8(securityKey.flags, 0)
  extra.writeUInt32BE(securityKey.counter, 1)
  const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest()
  return Buffer.concat([sha256(application), extra, sha256(data)])
}

function exactly(octets: Buffer, length: number): Buffer {
  if (octets.length !== length) throw malformed(`the SSH signature has ${octets.length} bytes where ${length} belong`)
  return octets
}

/** r and s with leading zeros, one behind the other. */
function plainEcdsa(octets: Buffer, length: number): Buffer {
  const reader = new SshReader(octets, "the ECDSA signature")
  const numbers = [reader.positiveInteger(), reader.positiveInteger()]
  reader.end()
  return Buffer.concat(
    numbers.flatMap((number) => {
      if (number.length > length) throw malformed("the ECDSA signature's numbers are too large for its curve")
      return [Buffer.alloc(length - number.length), number]
    }),
  )
}

function publicKeyOf({ material }: SshPublicKey): KeyObject {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url")
  try {
    if (material.kind === "ed25519") {
      return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: base64(material.publicKey) }, format: "jwk" })
    }
    if (material.kind === "rsa") {
      const { modulus, exponent } = material
      return createPublicKey({ key: { kty: "RSA", n: base64(modulus), e: base64(exponent) }, format: "jwk" })
    }
    const { crv, octets, point } = material
    const [x, y] = [point.subarray(1, 1 + octets), point.subarray(1 + octets)]
    return createPublicKey({ key: { kty: "EC", crv, x: base64(x), y: base64(y) }, format: "jwk" })
  } catch (cause) {
    throw new GitsignError("ERR_SIGNATURE_FORMAT", "the SSH key is not a point on its curve", { cause })
  }
}
