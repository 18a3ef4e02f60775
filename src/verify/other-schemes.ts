/**
 * Verifies what was signed with OpenPGP and SSH keys in place of Sigstore, by the keys that a policy names.
 *
 * @module
 */

import type { KeyVerdict } from "./key-verdict.ts"
import { GITHUB_WEB_FLOW_KEYS } from "./keys/github.ts"
import { createOpenPgpVerifier } from "./openpgp.ts"
import type { OpenPgpKeysSource } from "./openpgp-keys.ts"
import { type AllowedSignersSource, createSshVerifier } from "./ssh.ts"

/** Verifies signatures of both schemes. Keeps what it has read, so that one should be used for many objects. */
export interface KeyVerifier {
  /**
   * Verifies one signature over one payload, both as git hands them over. A signer is proven when the verdict has one; whether it is one
   * that may sign is for the policy to say.
   *
   * Never throws on any payload or signature: the verdict has ERR_SIGNATURE (it does not hold, or must not count), ERR_SIGNATURE_FORMAT
   * (it is none), ERR_KEY_UNKNOWN (by a key that nobody named) or ERR_KEY_EXPIRED (the key was not valid then, or was revoked).
   *
   * @throws ERR_POLICY, ERR_POLICY_LIMIT when the keys that the verifier was made with cannot be read
   */
  verify(payload: Uint8Array, signature: Uint8Array): Promise<KeyVerdict>
}

/** What stands in a policy for GitHub's keys. */
const GITHUB = "github"

/**
 * Makes a verifier. Nothing is parsed, and the `openpgp` package is not loaded, before a signature needs it.
 *
 * @param keys.openpgp armored public keys; the word `github` stands for {@link GITHUB_WEB_FLOW_KEYS}
 * @param keys.ssh files of allowed signers (ssh-keygen(1), ALLOWED SIGNERS)
 */
export function createKeyVerifier(keys: {
  readonly openpgp: readonly OpenPgpKeysSource[]
  readonly ssh: readonly AllowedSignersSource[]
}): KeyVerifier {
  const openpgp = createOpenPgpVerifier(
    keys.openpgp.map((one) => (one.keys === GITHUB ? { keys: GITHUB_WEB_FLOW_KEYS, source: one.source } : one)),
  )
  const ssh = createSshVerifier(keys.ssh)
  return {
    async verify(payload, signature) {
      // git tells them apart by their first line (gpg-interface.c)
      const isSsh = Buffer.from(signature.subarray(0, SSH_MARKER.length)).equals(SSH_MARKER)
      return isSsh ? ssh.verify(payload, signature) : openpgp.verify(payload, signature)
    },
  }
}

const SSH_MARKER = Buffer.from("-----BEGIN SSH SIGNATURE-----", "latin1")
