/**
 * Makes the credential for a key: a fresh key pair, certified by the Fulcio that the key names, for the token of a client.
 *
 * @module
 */

import type { Signer } from "../src/formats/signer.ts"
import { createFulcioClient } from "../src/services/fulcio.ts"
import type { HttpClient } from "../src/services/http.ts"
import { type Credential, checkCommitter, createCredential } from "../src/sign/sign.ts"
import type { CredentialKey } from "./protocol.ts"

/** What a certificate is asked for with. */
export interface IssueTools {
  readonly http: HttpClient
  readonly now: () => Date
  /** Ends the wait for Fulcio. */
  readonly signal: AbortSignal
}

/**
 * A credential for this key. The token goes to the key's Fulcio and nowhere else.
 *
 * @throws ERR_TOKEN, ERR_TOKEN_EXPIRED, ERR_FULCIO, ERR_NETWORK as Fulcio's client does; ERR_COMMITTER when the certificate names
 * nobody whom gitsign.matchCommitter allows; ERR_CANCELLED when the signal says so
 */
export async function issueCredential(
  key: CredentialKey,
  identityToken: string,
  { http, now, signal }: IssueTools,
): Promise<Credential> {
  const credential = await createCredential(identityToken, createFulcioClient({ url: key.fulcio, http, now, signal }))
  checkKeyCommitter(credential.signer, key)
  return credential
}

/** gitsign.matchCommitter: whether the certificate names the committer of the key, where the key asks for that. */
export function namesCommitter(signer: Signer, key: CredentialKey): boolean {
  try {
    checkKeyCommitter(signer, key)
    return true
  } catch {
    return false
  }
}

function checkKeyCommitter(signer: Signer, key: CredentialKey): void {
  if (!key.matchCommitter) return
  checkCommitter(signer, { name: key.committerName || undefined, email: key.committerEmail || undefined })
}
