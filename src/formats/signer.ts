/**
 * Who a Fulcio certificate speaks for: its subject alternative names and the extensions under 1.3.6.1.4.1.57264.1
 * (Fulcio docs/oid-info.md).
 *
 * @module
 */

import { createHash } from "node:crypto"
import { decodeUtf8String } from "./strings.ts"
import type { Certificate, SubjectAltName } from "./x509.ts"

const FULCIO_ARC = "1.3.6.1.4.1.57264.1"

/**
 * The names of the extensions, by last arc. 1 to 6 hold raw bytes, 7 is a name type, from 8 on a DER UTF8String.
 *
 * 24 is the raw `sub` claim.
 */
export const CLAIM_NAMES = {
  1: "issuerV1",
  2: "githubWorkflowTrigger",
  3: "githubWorkflowSha",
  4: "githubWorkflowName",
  5: "githubWorkflowRepository",
  6: "githubWorkflowRef",
  8: "issuer",
  9: "buildSignerURI",
  10: "buildSignerDigest",
  11: "runnerEnvironment",
  12: "sourceRepositoryURI",
  13: "sourceRepositoryDigest",
  14: "sourceRepositoryRef",
  15: "sourceRepositoryIdentifier",
  16: "sourceRepositoryOwnerURI",
  17: "sourceRepositoryOwnerIdentifier",
  18: "buildConfigURI",
  19: "buildConfigDigest",
  20: "buildTrigger",
  21: "runInvocationURI",
  22: "sourceRepositoryVisibilityAtSigning",
  23: "deploymentEnvironment",
  24: "tokenSubject",
} as const

/** The name of one claim in a Fulcio certificate. */
export type ClaimName = (typeof CLAIM_NAMES)[keyof typeof CLAIM_NAMES]

/** A certificate's claims about its holder. They are proven only by a successful verification. */
export interface Signer {
  /** The first subject alternative name, or "" when there is none. */
  readonly identity: string
  /** All subject alternative names that are text: e-mail addresses, URIs and Fulcio user names. */
  readonly identities: readonly SubjectAltName[]
  /** The OpenID issuer (57264.1.8, else 57264.1.1), or "" when the certificate names none. */
  readonly issuer: string
  readonly claims: Readonly<Partial<Record<ClaimName, string>>>
  readonly certificate: Certificate
  /** SHA-1 of the DER certificate, 40 lower-case hex digits: git's `%GK` and `%GF`. An address, not a proof. */
  readonly fingerprint: string
}

/**
 * Reads the claims of a certificate.
 *
 * @throws ERR_CERTIFICATE when a claim is not encoded as Fulcio encodes it
 */
export function signerOf(certificate: Certificate): Signer {
  const claims: Partial<Record<ClaimName, string>> = {}
  for (const [arc, name] of Object.entries(CLAIM_NAMES)) {
    const extension = certificate.extensions.get(`${FULCIO_ARC}.${arc}`)
    if (extension === undefined) continue
    claims[name] = decodeUtf8String(extension.value, Number(arc) < 8 ? "raw" : "der", `extension ${FULCIO_ARC}.${arc}`)
  }
  const identities = certificate.subjectAltNames
  return {
    identity: identities[0]?.value ?? "",
    identities,
    issuer: claims.issuer ?? claims.issuerV1 ?? "",
    claims,
    certificate,
    fingerprint: createHash("sha1").update(certificate.der).digest("hex"),
  }
}
