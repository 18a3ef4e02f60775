/**
 * Signs one commit after the other with as few logins as possible: through the agent where one is switched on, else in this process.
 *
 * @module
 */

import type { Config } from "../config.ts"
import { GitsignError } from "../errors.ts"
import { encodePem, SIGNATURE_LABEL } from "../formats/pem.ts"
import type { Signer } from "../formats/signer.ts"
import { checkCommitter } from "../sign/sign.ts"
import { verifySignature } from "../verify/verify.ts"
import type { AgentTools } from "./agent-conversation.ts"
import type { MadeSignature } from "./git-sign.ts"
import type { CommandIo } from "./io.ts"
import type { Person } from "./person.ts"
import { trustOf } from "./trust.ts"

/** A verified signature over a commit. */
export interface CommitSignature {
  /** PEM, as git puts it into the commit. */
  readonly armored: Uint8Array
  readonly signer: Signer
}

/** What the signing works with. */
export interface SigningTools {
  readonly config: Config
  readonly io: CommandIo
  readonly person: Person
  /** Called when the log may hold one entry more from now on. */
  readonly logging: () => void
}

/** The committer that a commit names. */
export interface Committer {
  readonly name: string
  readonly email: string
}

/**
 * A function that signs payloads. Each signature has been verified as everybody else will.
 *
 * @throws ERR_TRUSTED_ROOT. What the returned function throws: whatever the login, the agent and the services throw; ERR_SELF_CHECK
 * when a signature does not verify; ERR_COMMITTER when gitsign.matchCommitter is set and the commit's committer is somebody else
 */
export function createCommitSigner(
  tools: SigningTools,
): (payload: Uint8Array, committer: Committer) => Promise<CommitSignature> {
  const { config } = tools
  const trustedRoot = trustOf(config)
  const sign = createSigner(tools)
  return async (payload, committer) => {
    const { signature } = await sign(payload)
    const { verdict, error, signer, mode } = verifySignature({ payload, signature }, { trustedRoot })
    // In online mode the proof is in the log only; whoever made the signature has seen it there.
    const inLog = verdict === "unavailable" && mode === "online" && config.rekorMode === "online"
    if ((verdict !== "verified" && !inLog) || signer === undefined) {
      const message = `a finished signature does not verify: ${error?.message} [${error?.code}]`
      throw new GitsignError("ERR_SELF_CHECK", message, { cause: error })
    }
    if (config.matchCommitter) checkCommitter(signer, committer)
    return { armored: Buffer.from(encodePem(SIGNATURE_LABEL, signature), "latin1"), signer }
  }
}

function createSigner({ config, io, person, logging }: SigningTools): (payload: Uint8Array) => Promise<MadeSignature> {
  let token: Promise<string> | undefined
  const tools: AgentTools = {
    config,
    io,
    person,
    logging,
    // One login for one commit, also when the agent ends after it; a later one may need another.
    identityToken: () => {
      token ??= import("./login.ts").then(({ logIn }) => logIn({ config, io, person }))
      return token
    },
  }
  let here: ((what: { payload: Uint8Array; detached: true }) => Promise<MadeSignature>) | undefined
  return async (payload) => {
    token = undefined
    const what = { payload, detached: true } as const
    if (here === undefined && config.credentialCache !== undefined) {
      const { signWithAgent } = await import("./agent-client.ts")
      const signed = await signWithAgent(what, tools)
      if (signed !== undefined) return signed
    }
    // Once without the agent, always: it has been told why, and every change of ways would be another login.
    here ??= (await import("./sign-here.ts")).signerHere(tools)
    return here(what)
  }
}
