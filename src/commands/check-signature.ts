/**
 * Verifies a signature that an agent elsewhere has made, before git gets it.
 *
 * @module
 */

import type { ReplyOf } from "../../cache-daemon/protocol.ts"
import type { Config } from "../config.ts"
import { GitsignError } from "../errors.ts"
import { parseSignedData } from "../formats/cms.ts"
import { checkCommitter } from "../sign/sign.ts"
import { verifySignature } from "../verify/verify.ts"
import type { MadeSignature, Signing } from "./git-sign.ts"
import { trustOf } from "./trust.ts"

/**
 * The signature, with what its certificate and not the agent says of it.
 *
 * @throws ERR_SELF_CHECK when it does not verify with what is trusted here; ERR_COMMITTER when gitsign.matchCommitter asks for somebody else
 */
export function checkSignature(reply: ReplyOf<"signed">, what: Signing, config: Config): MadeSignature {
  const { signature, logIndex } = reply
  // The payload also where the signature holds one: it has to hold this one.
  const { verdict, error, signer, mode, claimedSigningTime } = verifySignature(
    { payload: what.payload, signature },
    { trustedRoot: trustOf(config) },
  )
  // In online mode the proof is in the log only; everything else has been checked.
  const inLog = verdict === "unavailable" && mode === "online" && config.rekorMode === "online"
  if ((verdict !== "verified" && !inLog) || signer === undefined || claimedSigningTime === undefined) {
    const why = error === undefined ? "" : `: ${error.message} [${error.code}]`
    const message = `the signature that the agent has made does not verify here${why}`
    throw new GitsignError("ERR_SELF_CHECK", message, { cause: error })
  }
  if ((parseSignedData(signature).eContent === undefined) !== what.detached) {
    const asked = what.detached ? "without" : "with"
    throw new GitsignError("ERR_SELF_CHECK", `the agent has not made a signature ${asked} its payload in it`)
  }
  if (config.matchCommitter) checkCommitter(signer, config.committer)
  const { fingerprint, certificate } = signer
  return {
    signature,
    logIndex,
    signingTime: claimedSigningTime,
    fingerprint,
    signatureAlgorithm: certificate.signatureAlgorithm,
  }
}
