/**
 * Checks the signatures of other programs, OpenPGP and SSH, with the keys that a policy names and no others.
 *
 * @module
 */

import { keysOf } from "../policy/key-files.ts"
import type { Policy } from "../policy/model.ts"
import { createKeyVerifier, type KeyVerifier } from "../verify/other-schemes.ts"
import type { SignatureCheck } from "./check.ts"

/** Keys are read once for each policy. */
const verifiers = new WeakMap<Policy, KeyVerifier>()

/**
 * Checks one signature of another program.
 *
 * @param refused what the check of a Sigstore signature said of it
 */
export async function checkWithKeys(
  policy: Policy,
  payload: Uint8Array,
  signature: Uint8Array,
  refused: SignatureCheck,
): Promise<SignatureCheck> {
  let verifier = verifiers.get(policy)
  if (verifier === undefined) {
    verifier = createKeyVerifier(keysOf(policy))
    verifiers.set(policy, verifier)
  }
  const { scheme, signer, claimed, problem } = await verifier.verify(payload, signature)
  const fingerprint = signer?.fingerprints[0] ?? claimed?.fingerprint
  return {
    ...refused,
    verdict: problem === undefined && signer !== undefined ? "verified" : "failed",
    problem,
    scheme,
    signer: fingerprint === undefined ? undefined : { scheme, identity: nameOf(signer) ?? fingerprint, fingerprint },
    proven: problem === undefined ? signer : undefined,
  }
}

const nameOf = (
  signer: { userIds?: readonly string[]; principals?: readonly string[] } | undefined,
): string | undefined => signer?.userIds?.[0] ?? signer?.principals?.[0]
