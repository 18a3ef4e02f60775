/**
 * The ordinary way to sign: key, certificate, timestamp and log entry in this process, without an agent.
 *
 * @module
 */

import { createFulcioClient } from "../services/fulcio.ts"
import { createRekorClient } from "../services/rekor.ts"
import { createTimestampAuthority } from "../services/timestamp-authority.ts"
import { checkCommitter, createCredential, sign } from "../sign/sign.ts"
import type { AgentTools } from "./agent-client.ts"
import type { MadeSignature } from "./git-sign.ts"
import { httpClientOf } from "./network.ts"
import { trustOf } from "./trust.ts"

/**
 * Signs a payload.
 *
 * @throws whatever the login, the services and `sign()` throw; ERR_COMMITTER when gitsign.matchCommitter asks for somebody else
 */
export async function signHere(
  what: { readonly payload: Uint8Array; readonly detached: boolean },
  { config, io, person, identityToken, logging }: AgentTools,
): Promise<MadeSignature> {
  const trustedRoot = trustOf(config)
  const now = (): Date => new Date()
  const http = httpClientOf(io.env)
  const token = await identityToken()
  const issue = createFulcioClient({ url: config.fulcio, http, now })
  const upload = createRekorClient({ url: config.rekor, http }).uploadLogEntry
  const { timestampServerURL } = config
  const stamp =
    timestampServerURL === undefined ? undefined : createTimestampAuthority({ url: timestampServerURL, http })
  const waitFor = <A, R>(url: string, port: (argument: A) => Promise<R>) => {
    return (argument: A): Promise<R> => person.tellWhenSlow(`waiting for ${new URL(url).host}`, port(argument))
  }
  const credential = await createCredential(token, waitFor(config.fulcio, issue))
  if (config.matchCommitter) checkCommitter(credential.signer, config.committer)
  const { der, signer, signingTime, logEntry } = await sign({
    ...what,
    credential,
    mode: config.rekorMode,
    // Asked again: before the certificate was issued it would have been too early.
    signingTime: now(),
    trustedRoot,
    logEntry: waitFor(config.rekor, (entry) => {
      logging()
      return upload(entry)
    }),
    timestamp: stamp && timestampServerURL ? waitFor(timestampServerURL, stamp) : undefined,
  })
  const { certificate, fingerprint } = signer
  const { signatureAlgorithm } = certificate
  return { signature: der, signatureAlgorithm, fingerprint, signingTime, logIndex: Number(logEntry.logIndex) }
}
