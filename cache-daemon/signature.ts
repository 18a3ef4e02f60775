/**
 * Makes one signature with a credential of the agent, by the same `sign()` as without an agent.
 *
 * @module
 */

import { GitsignError } from "../src/errors.ts"
import type { TrustedRoot } from "../src/formats/trusted-root.ts"
import type { HttpClient } from "../src/services/http.ts"
import { createRekorClient } from "../src/services/rekor.ts"
import { createTimestampAuthority } from "../src/services/timestamp-authority.ts"
import { type SignOutcome, sign } from "../src/sign/sign.ts"
import type { HeldCredential } from "./credentials.ts"
import type { Exchange } from "./exchange.ts"
import type { RequestOf } from "./protocol.ts"
import type { StoredCredential } from "./store.ts"

/** One signature to be made. */
export interface SignatureJob {
  readonly request: RequestOf<"sign">
  readonly stored: StoredCredential<HeldCredential>
  readonly trustedRoot: TrustedRoot
  readonly exchange: Exchange
  readonly http: HttpClient
  readonly now: () => Date
  /** Called when the log may hold an entry from now on. */
  readonly onLogging: () => void
}

/** The credential has ended while its turn, its person or a server was waited for; nothing has been logged. */
export class CredentialEnded extends Error {}

/**
 * Signs, with the servers of the credential's key. A client that is gone before the upload leaves nothing behind; one that goes
 * later does not stop it.
 *
 * @throws as `sign()`; ERR_CANCELLED when the client is gone; {@link CredentialEnded}; the reason for which the credential was taken away meanwhile
 */
export async function makeSignature(job: SignatureJob): Promise<SignOutcome> {
  const { request, stored, exchange, http } = job
  const { rekor, timestampServer } = stored.key
  const { certificate, signer } = stored.credential.credential
  const checkTime = (): void => {
    // Throws when it has been taken away, which no login may make good.
    void stored.credential
    if (!stored.isInTime(job.now(), request.limits)) throw new CredentialEnded()
  }
  const upload = createRekorClient({ url: rekor, http }).uploadLogEntry
  checkTime()
  return sign({
    payload: request.payload,
    detached: request.detached,
    mode: request.mode,
    // Asked for at each use: what has been locked away must not sign, however far a signature has come.
    credential: { certificate, signer, sign: (bytes) => stored.credential.credential.sign(bytes) },
    signingTime: job.now(),
    trustedRoot: job.trustedRoot,
    timestamp:
      timestampServer === ""
        ? undefined
        : createTimestampAuthority({ url: timestampServer, http, signal: exchange.gone }),
    logEntry: async (entry) => {
      checkTime()
      const listening = await exchange.say({ type: "logging" })
      if (!listening) throw new GitsignError("ERR_CANCELLED", "the client is gone")
      // It may have been taken away meanwhile.
      void stored.credential
      job.onLogging()
      return upload(entry)
    },
  })
}
