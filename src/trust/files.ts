/**
 * Reads the files that say what to trust. Their content and not their path is what the signing agent gets.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { GitsignError, reasonOf } from "../errors.ts"

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

/** The content of those files. */
export type TrustFiles = { readonly [K in keyof TrustSettings]-?: TrustSettings[K] }

/**
 * Reads every file that is named.
 *
 * @throws ERR_TRUSTED_ROOT when one cannot be read
 */
export function readTrustFiles(settings: TrustSettings): TrustFiles {
  const read = (path: string | undefined, what: string): string | undefined => {
    if (!path) return undefined
    try {
      return readFileSync(path, "utf8")
    } catch (cause) {
      throw new GitsignError("ERR_TRUSTED_ROOT", `the ${what} ${path} cannot be read: ${reasonOf(cause)}`, {
        cause,
        hint: "correct the setting or flag that names this file",
      })
    }
  }
  return {
    trustedRoot: read(settings.trustedRoot, TRUST_FILE_NAMES.trustedRoot),
    fulcioRoot: read(settings.fulcioRoot, TRUST_FILE_NAMES.fulcioRoot),
    rekorPublicKey: read(settings.rekorPublicKey, TRUST_FILE_NAMES.rekorPublicKey),
    ctLogPublicKey: read(settings.ctLogPublicKey, TRUST_FILE_NAMES.ctLogPublicKey),
    timestampCertChain: read(settings.timestampCertChain, TRUST_FILE_NAMES.timestampCertChain),
  }
}

/** What people call them. */
export const TRUST_FILE_NAMES = {
  trustedRoot: "trusted root",
  fulcioRoot: "Fulcio root",
  rekorPublicKey: "Rekor public key",
  ctLogPublicKey: "CT log public key",
  timestampCertChain: "timestamp certificate chain",
} as const satisfies Record<keyof TrustSettings, string>
