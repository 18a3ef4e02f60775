/**
 * What a signer's certificate must look like before its chain is worth checking (RFC 5280 §4.2, Fulcio's certificate
 * specification).
 *
 * @module
 */

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
