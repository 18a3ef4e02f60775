/**
 * Puts together what a verification trusts: the shipped root of the public-good Sigstore instance, a file in its place,
 * and the overrides that the Go gitsign knows.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError, messageOf } from "../errors.ts"
import { latin1 } from "../formats/der.ts"
import { decodePemFile, PUBLIC_KEY_LABEL } from "../formats/pem.ts"
import { parseTrustedRoot, type TrustedAuthority, type TrustedLog, type TrustedRoot } from "../formats/trusted-root.ts"
import { type Certificate, parseCertificate } from "../formats/x509.ts"
import { readTrustFiles, TRUST_FILE_NAMES, type TrustFiles, type TrustSettings } from "./files.ts"
import publicGood from "./public-good.json" with { type: "json" }

const ALWAYS = { start: new Date(0), end: undefined }

/**
 * The trusted root that these settings make.
 *
 * @throws ERR_TRUSTED_ROOT when a file cannot be read or is not what it should be
 */
export const loadTrustedRoot = (settings: TrustSettings): TrustedRoot => trustedRootOf(readTrustFiles(settings))

/**
 * The trusted root that the content of these files makes.
 *
 * An override replaces its part and is not added to it: a wrong key must not verify because another one is right.
 *
 * @throws ERR_TRUSTED_ROOT when one is not what it should be
 */
export function trustedRootOf(files: TrustFiles): TrustedRoot {
  const { fulcioRoot, rekorPublicKey, ctLogPublicKey, timestampCertChain } = files
  const base = parseTrustedRoot(files.trustedRoot ?? JSON.stringify(publicGood))
  const names = TRUST_FILE_NAMES
  return {
    certificateAuthorities:
      fulcioRoot === undefined ? base.certificateAuthorities : authoritiesOf(fulcioRoot, names.fulcioRoot),
    transparencyLogs:
      rekorPublicKey === undefined ? base.transparencyLogs : logsOf(rekorPublicKey, names.rekorPublicKey),
    ctLogs: ctLogPublicKey === undefined ? base.ctLogs : logsOf(ctLogPublicKey, names.ctLogPublicKey),
    timestampAuthorities:
      timestampCertChain === undefined
        ? base.timestampAuthorities
        : authoritiesOf(timestampCertChain, names.timestampCertChain),
  }
}

/**
 * What one PEM file may hold; real ones hold up to five certificates, or a key or two. The engine tries every path through the
 * certificates of an authority, of which there may be twice as many for each one more.
 */
const MAX_CERTIFICATES = 16
const MAX_KEYS = 16

/** Chains from PEM certificates in any order: one authority for each self-issued root, with all that leads to it. */
function authoritiesOf(pem: string, what: string): TrustedAuthority[] {
  const certificates = decode(pem, "CERTIFICATE", what, MAX_CERTIFICATES).map((der) => {
    try {
      return parseCertificate(der)
    } catch (cause) {
      throw new GitsignError("ERR_TRUSTED_ROOT", `the ${what} holds a malformed certificate: ${messageOf(cause)}`, {
        cause,
      })
    }
  })
  const roots: Certificate[] = []
  const issuedBy = new Map<string, Certificate[]>()
  for (const certificate of certificates) {
    const issuer = latin1(certificate.issuer)
    if (issuer === latin1(certificate.subject)) roots.push(certificate)
    else issuedBy.set(issuer, [...(issuedBy.get(issuer) ?? []), certificate])
  }
  if (roots.length === 0) {
    throw new GitsignError("ERR_TRUSTED_ROOT", `the ${what} holds no self-issued root certificate`)
  }
  return roots.map((root) => {
    // It grows while it is gone through, by those whose issuer is in it.
    const found = new Set([root])
    for (const { subject } of found) {
      for (const certificate of issuedBy.get(latin1(subject)) ?? []) found.add(certificate)
    }
    return { uri: "", certChain: [...found].reverse().map(({ der }) => der), validFor: ALWAYS }
  })
}

/** Logs from PEM public keys; the id of a log is SHA-256 of its SubjectPublicKeyInfo (RFC 6962 §3.2). */
const logsOf = (pem: string, what: string): TrustedLog[] =>
  decode(pem, PUBLIC_KEY_LABEL, what, MAX_KEYS).map((publicKey) => ({
    baseUrl: "",
    logId: createHash("sha256").update(publicKey).digest(),
    publicKey,
    keyDetails: "PKIX",
    validFor: ALWAYS,
  }))

function decode(pem: string, label: string, what: string, most: number): Uint8Array[] {
  const blocks = decodePemFile(pem, label, "ERR_TRUSTED_ROOT")
  if (blocks.length <= most) return blocks
  throw new GitsignError(
    "ERR_TRUSTED_ROOT",
    `the ${what} holds ${blocks.length} ${label} blocks, and at most ${most} are read`,
  )
}
