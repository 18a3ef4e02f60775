/**
 * The made-up Sigstore instance as the ports that `sign()` takes: honest unless a test says otherwise.
 *
 * @module
 */

import { createPublicKey, verify } from "node:crypto"
import { join } from "node:path"
import type { HashedRekord, TransparencyLogEntry } from "../../../src/formats/log-entry.ts"
import {
  type Credential,
  createCredential,
  type IssueCertificate,
  type LogEntryUpload,
  type SignRequest,
  type Timestamp,
} from "../../../src/sign/sign.ts"
import { loadTrustedRoot } from "../../../src/trust/load.ts"
import { FIXTURES } from "../fixtures.ts"
import { IDENTITY, type LeafOptions, leafCertificate, seconds } from "./certificates.ts"
import { type Entry, logEntry, rekordBody } from "./log.ts"
import { trustedChains } from "./recipe.ts"
import { PAYLOAD } from "./signatures.ts"
import { timeStampToken } from "./timestamps.ts"

export const TRUSTED_ROOT = loadTrustedRoot({ trustedRoot: join(FIXTURES, "trust", "made.json") })

/** A certificate authority that checks the proof of possession and issues what it is told to. */
export const certificateAuthority =
  (options: Partial<LeafOptions> = {}): IssueCertificate =>
  async ({ publicKeyDer, signProofOfPossession }) => {
    const key = createPublicKey({ key: Buffer.from(publicKeyDer), format: "der", type: "spki" })
    if (!verify("sha256", Buffer.from(IDENTITY), key, await signProofOfPossession(IDENTITY)))
      throw new Error("no proof")
    return { certificates: [leafCertificate({ key, ...options }), ...trustedChains().fulcio] }
  }

/** What the log of the fixtures answers, as the verifier takes it. */
export const toTransparencyLogEntry = ({
  kind,
  version,
  promise,
  proof,
  body,
  ...entry
}: Entry): TransparencyLogEntry => ({
  ...entry,
  kindVersion: { kind, version },
  inclusionPromise: promise,
  inclusionProof: proof,
  canonicalizedBody: body,
})

/** A log that takes everything. */
export const transparencyLog: LogEntryUpload = async ({ digest, signature, certificateDer }: HashedRekord) =>
  toTransparencyLogEntry(logEntry(rekordBody(digest, signature, certificateDer)))

/** A timestamp authority. */
export const timestampAuthority: Timestamp = async (signature) =>
  timeStampToken(signature, { certificate: trustedChains().tsa[0] ?? Buffer.alloc(0) })

/** A fresh key with a certificate. */
export const credential = (options: Partial<LeafOptions> = {}): Promise<Credential> =>
  createCredential("token", certificateAuthority(options))

/** What `sign()` is asked for, all honest: offline mode, detached, without a timestamp. */
export const signRequest = async (changes: Partial<SignRequest> = {}): Promise<SignRequest> => ({
  payload: PAYLOAD,
  credential: await credential(),
  detached: true,
  mode: "offline",
  signingTime: seconds(1.5),
  trustedRoot: TRUSTED_ROOT,
  logEntry: transparencyLog,
  ...changes,
})
