/**
 * ECDSA-Sig-Value (RFC 3279 §2.2.3), strictly.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { type DerReader, encodeSequence, encodeUnsignedInteger, readAll } from "./der.ts"

/** The DER form of a signature that is r and s one behind the other, as Web Cryptography has it (IEEE P1363). */
export function encodeEcdsaSigValue(rs: Uint8Array): Uint8Array {
  const half = rs.length / 2
  return encodeSequence(encodeUnsignedInteger(rs.subarray(0, half)), encodeUnsignedInteger(rs.subarray(half)))
}

/**
 * Checks that bytes are SEQUENCE { r INTEGER, s INTEGER } with positive numbers of at most `size` bytes, in DER.
 *
 * OpenSSL accepts some BER here, and a signature with two encodings is two signatures.
 *
 * @throws ERR_SIGNATURE when they are not
 */
export function checkEcdsaSigValue(signature: Uint8Array, size: number): void {
  try {
    readAll(signature, "ECDSA-Sig-Value", (outer) =>
      outer.sequence("ECDSA-Sig-Value", (r) => {
        checkNumber(r, "r", size)
        checkNumber(r, "s", size)
      }),
    )
  } catch (cause) {
    throw new GitsignError("ERR_SIGNATURE", "the signature is not a DER ECDSA-Sig-Value", { cause })
  }
}

function checkNumber(reader: DerReader, what: string, size: number): void {
  const bytes = reader.integerBytes(what)
  const magnitude = bytes[0] === 0 ? bytes.subarray(1) : bytes
  if ((bytes[0] ?? 0) >= 0x80 || magnitude.length === 0 || magnitude.length > size) {
    throw new GitsignError("ERR_SIGNATURE", `${what} is out of range`)
  }
}
