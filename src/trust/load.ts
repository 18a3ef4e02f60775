/**
 * Puts together what a verification trusts: the shipped root of the public-good Sigstore instance, a file in its place,
 * and the overrides that the Go gitsign knows.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { GitsignError, messageOf } from "../errors.ts"
import { decodePemFile } from "../formats/pem.ts"
import { parseTrustedRoot, type TrustedAuthority, type TrustedLog, type TrustedRoot } from "../formats/trusted-root.ts"
import { parseCertificate } from "../formats/x509.ts"
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
    transparencyLogs: rekorPublicKey === undefined ? base.transparencyLogs : logsOf(rekorPublicKey),
    ctLogs: ctLogPublicKey === undefined ? base.ctLogs : logsOf(ctLogPublicKey),
    timestampAuthorities:
      timestampCertChain === undefined
        ? base.timestampAuthorities
        : authoritiesOf(timestampCertChain, names.timestampCertChain),
  }
}

/** Chains from PEM certificates in any order: one authority for each self-issued root, with all that leads to it. */
function authoritiesOf(pem: string, what: string): TrustedAuthority[] {
  const certificates = decodePemFile(pem, "CERTIFICATE", "ERR_TRUSTED_ROOT").map((der) => {
    try {
      return parseCertificate(der)
    } catch (cause) {
      throw new GitsignError("ERR_TRUSTED_ROOT", `the ${what} holds a malformed certificate: ${messageOf(cause)}`, {
        cause,
      })
    }
  })
  const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
  const isRoot = (index: number): boolean => {
    const certificate = certificates[index]
    return certificate !== undefined && same(certificate.issuer, certificate.subject)
  }
  const roots = certificates.filter((_, index) => isRoot(index))
  const [lonely] = certificates
  if (roots.length === 0 && lonely !== undefined) {
    throw new GitsignError("ERR_TRUSTED_ROOT", `the ${what} holds no self-issued root certificate`)
  }
  return roots.map((root) => {
    const chain = [root]
    const rest = certificates.filter((certificate) => !roots.includes(certificate))
    for (let grown = true; grown; ) {
      grown = false
      for (const certificate of rest) {
        if (!chain.includes(certificate) && chain.some(({ subject }) => same(subject, certificate.issuer))) {
          chain.unshift(certificate)
          grown = true
        }
      }
    }
    return { uri: "", certChain: chain.map(({ der }) => der), validFor: ALWAYS }
  })
}

/** Logs from PEM public keys; the id of a log is SHA-256 of its SubjectPublicKeyInfo (RFC 6962 §3.2). */
const logsOf = (pem: string): TrustedLog[] =>
  decodePemFile(pem, "PUBLIC KEY", "ERR_TRUSTED_ROOT").map((publicKey) => ({
    baseUrl: "",
    logId: createHash("sha256").update(publicKey).digest(),
    publicKey,
    keyDetails: "PKIX",
    validFor: ALWAYS,
  }))
