/**
 * The strict part of checking an RFC 3161 token (RFC 3161 §2.3, §2.4.2): it is over this signature, and a trusted
 * timestamp authority is named as its signer. The token's own signature is the engine's business.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError } from "../errors.ts"
import { DerReader, readAll, TAG } from "../formats/der.ts"
import { isWithin, type TrustedAuthority, type TrustedRoot } from "../formats/trusted-root.ts"
import { parseTimeStampToken } from "../formats/tsp.ts"
import { type Certificate, OID, parseCertificate } from "../formats/x509.ts"

const HASHES: Readonly<Record<string, string>> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
}

/** A token that is over the right signature. */
export interface CheckedTimestamp {
  readonly token: Uint8Array
  readonly genTime: Date
  /** The trusted authority, its chain beginning with the token's signer. */
  readonly authority: TrustedAuthority
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const fail = (message: string): never => {
  throw new GitsignError("ERR_TIMESTAMP", `timestamp: ${message}`)
}

/**
 * Checks everything about a token but its signature and its chain.
 *
 * @param signature what the token must be over: the signature's octets
 * @throws ERR_TIMESTAMP when it is not over the signature or no trusted authority signed it; ERR_DER or ERR_CMS when it is malformed
 */
export function checkTimestamp(token: Uint8Array, signature: Uint8Array, trustedRoot: TrustedRoot): CheckedTimestamp {
  const parsed = parseTimeStampToken(token)
  const { messageImprint, genTime } = parsed.tstInfo
  const hash =
    HASHES[messageImprint.hashAlgorithm] ??
    fail(`hash ${messageImprint.hashAlgorithm} is not SHA-256, SHA-384 or SHA-512`)
  if (!same(createHash(hash).update(signature).digest(), messageImprint.hashedMessage))
    fail("it is over something else")
  const isSigner = (certificate: Certificate): boolean =>
    same(certificate.issuer, parsed.issuer) && same(certificate.serialNumber, parsed.serialNumber)
  const authority = findAuthority(trustedRoot, parsed.certificates, isSigner, genTime)
  const [signer] = authority.certChain
  checkSigner(parseCertificate(signer ?? fail("no signer")), parsed.keyType)
  for (const embedded of parsed.certificates) {
    // A certificate that is neither the signer nor trusted is not covered by any signature: anyone could have changed it.
    if (!authority.certChain.some((trusted) => same(trusted, embedded))) {
      fail("it carries a certificate that is not in the trusted chain")
    }
  }
  return { token, genTime, authority }
}

function findAuthority(
  trustedRoot: TrustedRoot,
  embedded: readonly Uint8Array[],
  isSigner: (certificate: Certificate) => boolean,
  genTime: Date,
): TrustedAuthority {
  const inUse = trustedRoot.timestampAuthorities.filter(({ validFor }) => isWithin(validFor, genTime))
  if (inUse.length === 0) return fail("no timestamp authority is trusted for that time")
  for (const authority of inUse) {
    const [first] = authority.certChain
    if (first !== undefined && isSigner(parseCertificate(first))) return authority
  }
  // Some chains are configured without the signer's certificate; then the token has to bring it.
  const signer = embedded.find((der) => isSigner(parseCertificate(der)))
  if (signer !== undefined) {
    const { issuer } = parseCertificate(signer)
    for (const authority of inUse) {
      const from = authority.certChain.findIndex((der) => same(parseCertificate(der).subject, issuer))
      if (from >= 0) return { ...authority, certChain: [signer, ...authority.certChain.slice(from)] }
    }
  }
  return fail("it is not signed by a trusted timestamp authority")
}

const KEY_ALGORITHMS = { ecdsa: "1.2.840.10045.2.1", rsa: "1.2.840.113549.1.1.1" } as const

/** RFC 3161 §2.3: the one purpose of a TSA's certificate is timeStamping, and that is critical. */
function checkSigner(certificate: Certificate, keyType: keyof typeof KEY_ALGORITHMS): void {
  // OpenSSL goes by the key, and would not mind a signature algorithm that is not the key's.
  const keyAlgorithm = readAll(certificate.subjectPublicKeyInfo, "subjectPublicKeyInfo", (outer) =>
    outer.sequence("subjectPublicKeyInfo", (r) => {
      const algorithm = new DerReader(r.expect(TAG.sequence, "algorithm").content).oid("algorithm")
      r.bitStringOctets("subjectPublicKey")
      return algorithm
    }),
  )
  if (keyAlgorithm !== KEY_ALGORITHMS[keyType]) fail("its signature algorithm is not for its signer's key")
  const usage = certificate.extensions.get(OID.extKeyUsage)
  if (
    usage?.critical !== true ||
    certificate.extKeyUsage.length !== 1 ||
    certificate.extKeyUsage[0] !== OID.timeStamping
  ) {
    fail("its signer's certificate is not for timestamps alone")
  }
}
