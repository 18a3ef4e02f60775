/**
 * The status lines that git reads from its signing program (GnuPG doc/DETAILS, git gpg-interface.c parse_gpg_output).
 *
 * git takes the letter of `%G?` from GOODSIG, BADSIG or ERRSIG, `%GK` and `%GS` from the words after it, `%GF` and `%GP`
 * from VALIDSIG and `%GT` from TRUST_*. It skips the line after one that ends in an empty user id, so none here does.
 *
 * @module
 */

const line = (text: string): string => `[GNUPG:] ${text}\n`

/** The key id of a signature whose certificate could not be read. */
const UNKNOWN_KEY = "0".repeat(40)

/** What the status lines of a verification are made from. */
export interface SignatureStatus {
  /**
   * `good`: verified, and by somebody who is allowed. `stranger`: verified, but by somebody else. `bad`: a check failed.
   * `unchecked`: something could not be checked now.
   */
  readonly outcome: "good" | "stranger" | "bad" | "unchecked"
  /** SHA-1 of the certificate in hex, when it could be read. */
  readonly fingerprint: string | undefined
  /** Who signed, for `%GS`; control characters are replaced. */
  readonly userId: string
  /** The signer's clock, or undefined. */
  readonly signingTime: Date | undefined
}

/** The lines for one signature: NEWSIG first, exactly one TRUST_* line last. */
export function formatVerificationStatus(status: SignatureStatus): string {
  const key = status.fingerprint ?? UNKNOWN_KEY
  const userId = status.userId.replace(/\p{C}+/gu, " ").trim() || "unknown signer"
  const seconds = unixSeconds(status.signingTime)
  const newSig = line("NEWSIG")
  switch (status.outcome) {
    case "good":
    case "stranger": {
      const date = (status.signingTime ?? new Date(0)).toISOString().slice(0, 10)
      return (
        newSig +
        line(`GOODSIG ${key} ${userId}`) +
        line(`VALIDSIG ${key} ${date} ${seconds} 0 - - 19 8 00 ${key}`) +
        line(status.outcome === "good" ? "TRUST_FULLY 0 shell" : "TRUST_UNDEFINED 0 shell")
      )
    }
    case "bad":
      return newSig + line(`BADSIG ${key} ${userId}`) + line("TRUST_NEVER 0 shell")
    case "unchecked":
      return newSig + line(`ERRSIG ${key} 19 8 00 ${seconds} 1 ${key}`) + line("TRUST_UNDEFINED 0 shell")
  }
}

/** The line before signing; git before 2.36 wants some line to stand before SIG_CREATED. */
export const beginSigning = (): string => line("BEGIN_SIGNING")

/** Hash numbers of OpenPGP (RFC 9580 §9.5) for the signature algorithms of certificates. */
const HASH_NUMBERS: Readonly<Record<string, number>> = {
  "1.2.840.10045.4.3.2": 8,
  "1.2.840.10045.4.3.3": 9,
  "1.2.840.10045.4.3.4": 10,
}

/** The line that tells git a signature was made: type D (detached) or S, public key algorithm 19 (ECDSA). */
export const sigCreated = (signature: {
  detached: boolean
  /** The object identifier of the algorithm that the certificate is signed with. */
  signatureAlgorithm: string
  fingerprint: string
  signingTime: Date
}): string =>
  line(
    `SIG_CREATED ${signature.detached ? "D" : "S"} 19 ${HASH_NUMBERS[signature.signatureAlgorithm] ?? 8} 00 ` +
      `${unixSeconds(signature.signingTime)} ${signature.fingerprint}`,
  )

const unixSeconds = (date: Date | undefined): number => Math.floor((date?.getTime() ?? 0) / 1000)
