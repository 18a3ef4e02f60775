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
import {
  type Credential,
  checkCommitter,
  createCredential,
  createKeptCredential,
  type KeptCredential,
  sign,
} from "../sign/sign.ts"
import { contextOf } from "./agent-client.ts"
import type { AgentTools } from "./agent-conversation.ts"
import type { MadeSignature, Signing } from "./git-sign.ts"
import type { CommandIo } from "./io.ts"
import type { KeptLogin } from "./kept-login.ts"
import { httpClientOf } from "./network.ts"
import { trustOf } from "./trust.ts"

/** Signs one payload as {@link signHere} does. */
type SignPayload = (what: Signing) => Promise<MadeSignature>

/** A certificate that ends sooner than this serves no more signatures: each has to be logged while it is valid. In milliseconds. */
const MARGIN_MS = 30_000

/** A credential, and whom a question before a signature names. */
interface Held {
  readonly credential: Credential
  readonly identity: string
  readonly begun: number
  signatures: number
  /** What the keyring needs to keep it; undefined where nothing is kept. */
  readonly kept: KeptCredential | undefined
}

/**
 * Signs a payload.
 *
 * @throws whatever the login, the services and `sign()` throw; ERR_COMMITTER when gitsign.matchCommitter asks for somebody else
 */
export const signHere = (what: Signing, tools: AgentTools): Promise<MadeSignature> => signerHere(tools)(what)

/**
 * Signs payloads one after the other, with one login for as many as fit into its certificate, gitsign.agentLifetime and
 * gitsign.agentMaxSignatures.
 *
 * @throws what the returned function throws is what {@link signHere} throws; ERR_TRUSTED_ROOT, ERR_CONFIG
 */
export function signerHere({ config, io, person, identityToken, logging }: AgentTools): SignPayload {
  const trustedRoot = trustOf(config)
  const now = (): Date => new Date()
  const http = httpClientOf(io.env)
  const issue = createFulcioClient({ url: config.fulcio, http, now })
  const upload = createRekorClient({ url: config.rekor, http }).uploadLogEntry
  const { timestampServerURL, agentMaxSignatures, agentLifetime } = config
  const stamp =
    timestampServerURL === undefined ? undefined : createTimestampAuthority({ url: timestampServerURL, http })
  const waitFor = <A, R>(url: string, port: (argument: A) => Promise<R>) => {
    return (argument: A): Promise<R> => person.tellWhenSlow(`waiting for ${new URL(url).host}`, port(argument))
  }
  const isUsable = ({ credential, begun, signatures }: Held): boolean =>
    now().getTime() < credential.certificate.notAfter.getTime() - MARGIN_MS &&
    (agentLifetime === 0 || now().getTime() < begun + agentLifetime * 1000) &&
    (agentMaxSignatures === 0 || signatures < agentMaxSignatures)
  const certify = waitFor(config.fulcio, issue)
  let keyring: KeptLogin | undefined
  let isOpened = config.credentialCacheMode !== "system"
  let held: Held | undefined
  return async (what) => {
    if (!isOpened) {
      const { openKeptLogin } = await import("./kept-login.ts")
      keyring = await openKeptLogin(config, io, person)
      isOpened = true
      held = await keyring?.load()
    }
    if (held !== undefined && !isUsable(held)) held = undefined
    if (held === undefined) {
      const token = await identityToken()
      const identity = identityOf(parseIdentityToken(token))
      if (config.agentConfirm) await agree(what.payload, identity, io)
      const { credential, kept } =
        keyring === undefined
          ? { credential: await createCredential(token, certify), kept: undefined }
          : await createKeptCredential(token, certify)
      if (config.matchCommitter) checkCommitter(credential.signer, config.committer)
      held = { credential, identity, begun: now().getTime(), signatures: 0, kept }
    } else if (config.agentConfirm) await agree(what.payload, held.identity, io)
    held.signatures++
    // Before the signature is made: one that is counted too often is better than one too many.
    if (held.kept !== undefined && (held.signatures === 1 || agentMaxSignatures !== 0)) {
      await keyring?.save({ ...held, kept: held.kept })
    }
    const { der, signer, signingTime, logEntry } = await sign({
      ...what,
      credential: held.credential,
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
}

/** gitsign.agentConfirm holds also where no agent asks. @throws ERR_AGENT_REFUSED when the person says no, or nobody is there to ask */
async function agree(payload: Uint8Array, signer: string, io: CommandIo): Promise<void> {
  const { askAtTerminal } = await import("./consent.ts")
  const { describePayload } = await import("../../cache-daemon/describe-payload.ts")
  const text = describePayload({ payload, context: await contextOf(payload, io), signer, requester: "this machine" })
  if (!(await askAtTerminal(text))) throw new GitsignError("ERR_AGENT_REFUSED", "the signature was not allowed")
}
