/**
 * What comes of verifying a signature made with an OpenPGP or SSH key.
 *
 * @module
 */

import { type ErrorCode, GitsignError, isGitsignError } from "../errors.ts"

/** Who made a signature, after every check of it has passed. Structurally the same as in src/policy/facts.ts. */
export type KeySigner =
  | {
      readonly scheme: "openpgp"
      /** Of the primary key and, where it is another, of the key that signed; upper-case hex. */
      readonly fingerprints: readonly string[]
      /** The user ids that the key itself vouches for and has not revoked. */
      readonly userIds: readonly string[]
    }
  | {
      readonly scheme: "ssh"
      /** `SHA256:` and base64; of the key and, for a certificate, of its authority. */
      readonly fingerprints: readonly string[]
      /** Principals for whom the allowed signers accept the key: their patterns, or names in a certificate. */
      readonly principals: readonly string[]
      readonly lines: readonly ProvenSshLine[]
    }

/** One line of allowed signers that accepts a key now. Structurally the same as in src/policy/facts.ts. */
export interface ProvenSshLine {
  /** SHA-256 of the text that the line is in, hex. */
  readonly file: string
  /** Counted from 1. */
  readonly line: number
  /** Those of the principals whom this line accepts. */
  readonly principals: readonly string[]
}

/** Exactly one of `signer` and `problem` is set. */
export interface KeyVerdict {
  readonly scheme: "openpgp" | "ssh"
  readonly signer: KeySigner | undefined
  /** What the signature says of its key; nothing proves it. Hex, the last 16 digits of a fingerprint, or `SHA256:…`. */
  readonly claimed: { readonly fingerprint: string | undefined } | undefined
  readonly problem:
    | { readonly code: ErrorCode; readonly message: string; readonly hint: string | undefined }
    | undefined
}

/** The signature is good. */
export const provenBy = (signer: KeySigner): KeyVerdict => ({
  scheme: signer.scheme,
  signer,
  claimed: { fingerprint: signer.fingerprints[0] },
  problem: undefined,
})

/**
 * The verdict for anything that was thrown because of the signature's bytes.
 *
 * @throws `error` itself when it is not about them: the keys could not be read (ERR_POLICY, ERR_POLICY_LIMIT)
 */
export function refusedBecause(
  scheme: KeyVerdict["scheme"],
  error: unknown,
  fingerprint: string | undefined,
): KeyVerdict {
  // Whatever else a parser throws on bytes of an attacker is about those bytes
  const why = isGitsignError(error)
    ? error
    : new GitsignError("ERR_SIGNATURE_FORMAT", "the signature cannot be read", { cause: error })
  if (why.exitStatus !== 1) throw why
  return {
    scheme,
    signer: undefined,
    claimed: fingerprint === undefined ? undefined : { fingerprint },
    // The hint that this code has elsewhere says that gitsign reads no such signatures
    problem: {
      code: why.code,
      message: why.message,
      hint: why.code === "ERR_SIGNATURE_FORMAT" ? "do not trust it; ask its author to sign it anew" : why.hint,
    },
  }
}
