/**
 * Puts together what a verification trusts: the shipped root of the public-good Sigstore instance, a file in its place,
 * and the overrides that the Go gitsign knows.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { GitsignError, messageOf } from "../errors.ts"
import { decodePemFile } from "../formats/pem.ts"
import { parseTrustedRoot, type TrustedAuthority, type TrustedLog, type TrustedRoot } from "../formats/trusted-root.ts"
import { parseCertificate } from "../formats/x509.ts"
import publicGood from "./public-good.json" with { type: "json" }

/** Files that say what to trust; each replaces its part of the trusted root. */
export interface TrustSettings {
  /** A trusted_root.json in place of the shipped one. */
  readonly trustedRoot?: string | undefined
  /** PEM certificates of a Fulcio: any order, roots and intermediates. */
  readonly fulcioRoot?: string | undefined
  /** PEM public keys of Rekor. */
  readonly rekorPublicKey?: string | undefined
  /** PEM public keys of CT logs. */
  readonly ctLogPublicKey?: string | undefined
  /** PEM chain of a timestamp authority; the signer's certificate may be missing from it. */
  readonly timestampCertChain?: string | undefined
}

const ALWAYS = { start: new Date(0), end: undefined }

/**
 * The trusted root that these settings make.
 *
 * An override replaces its part and is not added to it: a wrong key must not verify because another one is right.
 *
 * @throws ERR_TRUSTED_ROOT when a file cannot be read or is not what it should be
 */
export function loadTrustedRoot(settings: TrustSettings): TrustedRoot {
  const base = parseTrustedRoot(
    settings.trustedRoot ? read(settings.trustedRoot, "trusted root") : JSON.stringify(publicGood),
  )
  return {
    certificateAuthorities: settings.fulcioRoot
      ? authoritiesOf(settings.fulcioRoot, "Fulcio root")
      : base.certificateAuthorities,
    transparencyLogs: settings.rekorPublicKey
      ? logsOf(settings.rekorPublicKey, "Rekor public key")
      : base.transparencyLogs,
    ctLogs: settings.ctLogPublicKey ? logsOf(settings.ctLogPublicKey, "CT log public key") : base.ctLogs,
    timestampAuthorities: settings.timestampCertChain
      ? authoritiesOf(settings.timestampCertChain, "timestamp certificate chain")
      : base.timestampAuthorities,
  }
}

function read(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    throw new GitsignError("ERR_TRUSTED_ROOT", `the ${what} cannot be read: ${messageOf(cause)}`, { cause })
  }
}

/** Chains from PEM certificates in any order: one authority for each self-issued root, with all that leads to it. */
function authoritiesOf(path: string, what: string): TrustedAuthority[] {
  const certificates = decodePemFile(read(path, what), "CERTIFICATE", "ERR_TRUSTED_ROOT").map((der) => {
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
const logsOf = (path: string, what: string): TrustedLog[] =>
  decodePemFile(read(path, what), "PUBLIC KEY", "ERR_TRUSTED_ROOT").map((publicKey) => ({
    baseUrl: "",
    logId: createHash("sha256").update(publicKey).digest(),
    publicKey,
    keyDetails: "PKIX",
    validFor: ALWAYS,
  }))
