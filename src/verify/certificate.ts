/**
 * What a signer's certificate must look like before its chain is worth checking (RFC 5280 §4.2, Fulcio's certificate
 * specification).
 *
 * @module
 */

import { createPublicKey, type KeyObject } from "node:crypto"
import { GitsignError } from "../errors.ts"
import { type Certificate, OID } from "../formats/x509.ts"

/** The critical extensions that this program understands; RFC 5280 §4.2 demands refusal of all others. */
const UNDERSTOOD = new Set<string>([OID.keyUsage, OID.extKeyUsage, OID.subjectAltName, OID.basicConstraints])

/**
 * Proves that a certificate is meant for signing code, and nothing above that.
 *
 * @throws ERR_KEY_USAGE when it is for something else; ERR_CERTIFICATE when it asks for checks that are not known here
 */
export function checkCertificateUsage(certificate: Certificate): void {
  for (const [oid, { critical }] of certificate.extensions) {
    if (critical && !UNDERSTOOD.has(oid)) throw new GitsignError("ERR_CERTIFICATE", `unknown critical extension ${oid}`)
  }
  if (!certificate.extKeyUsage.includes(OID.codeSigning)) {
    throw new GitsignError("ERR_KEY_USAGE", "the certificate is not for code signing")
  }
  if (certificate.digitalSignature === false || certificate.isCa) {
    throw new GitsignError("ERR_KEY_USAGE", "the certificate's key is not for signing objects")
  }
  if (certificate.subjectAltNames.length === 0) {
    throw new GitsignError("ERR_CERTIFICATE", "the certificate names nobody")
  }
}

/** SubjectPublicKeyInfo of an uncompressed P-256 point up to the point (RFC 5480 §2): 27 bytes before 64. */
const P256_PREFIX = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex")

/**
 * The P-256 key of a certificate.
 *
 * @throws ERR_CERTIFICATE when it holds any other kind of key, or a point that is not on the curve
 */
export function p256KeyOf(certificate: Certificate): KeyObject {
  const spki = Buffer.from(certificate.subjectPublicKeyInfo)
  if (spki.length !== P256_PREFIX.length + 64 || !spki.subarray(0, P256_PREFIX.length).equals(P256_PREFIX)) {
    throw new GitsignError("ERR_CERTIFICATE", "the certificate's key is not an uncompressed P-256 key")
  }
  try {
    return createPublicKey({ key: spki, format: "der", type: "spki" })
  } catch (cause) {
    throw new GitsignError("ERR_CERTIFICATE", "the certificate's key is not a point on P-256", { cause })
  }
}
