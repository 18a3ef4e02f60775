/**
 * The ordinary way to sign: key, certificate, timestamp and log entry in this process, without an agent.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { createFulcioClient } from "../services/fulcio.ts"
import { identityOf, parseIdentityToken } from "../services/oidc/token.ts"
import { createRekorClient } from "../services/rekor.ts"
import { createTimestampAuthority } from "../services/timestamp-authority.ts"
import { checkCommitter, createCredential, sign } from "../sign/sign.ts"
import { contextOf } from "./agent-client.ts"
import type { AgentTools } from "./agent-conversation.ts"
import type { MadeSignature, Signing } from "./git-sign.ts"
import type { CommandIo } from "./io.ts"
import { httpClientOf } from "./network.ts"
import { trustOf } from "./trust.ts"

/**
 * Signs a payload.
 *
 * @throws whatever the login, the services and `sign()` throw; ERR_COMMITTER when gitsign.matchCommitter asks for somebody else
 */
export async function signHere(
  what: Signing,
  { config, io, person, identityToken, logging }: AgentTools,
): Promise<MadeSignature> {
  const trustedRoot = trustOf(config)
  const now = (): Date => new Date()
  const http = httpClientOf(io.env)
  const token = await identityToken()
  if (config.agentConfirm) await agree(what.payload, token, io)
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

/** gitsign.agentConfirm holds also where no agent asks. @throws ERR_AGENT_REFUSED when the person says no, or nobody is there to ask */
async function agree(payload: Uint8Array, token: string, io: CommandIo): Promise<void> {
  const { askAtTerminal } = await import("./consent.ts")
  const { describePayload } = await import("../../cache-daemon/describe-payload.ts")
  const signer = identityOf(parseIdentityToken(token))
  const text = describePayload({ payload, context: await contextOf(payload, io), signer, requester: "this machine" })
  if (!(await askAtTerminal(text))) throw new GitsignError("ERR_AGENT_REFUSED", "the signature was not allowed")
}
