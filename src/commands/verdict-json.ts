/**
 * The result of a verification as JSON; docs/verify.schema.json describes it.
 *
 * @module
 */

import type { VerificationSummary } from "../verify/summary.ts"
import { jsonText } from "../formats/printable.ts"

/** What was verified. */
export interface VerifiedObject {
  readonly type: "commit" | "tag"
  /** The object id, hex. */
  readonly id: string
  /** What it was asked for by: a revision, or the name of a tag. */
  readonly name: string
}

/**
 * The JSON text of one result, with a final line feed. Members are only ever added.
 *
 * @param anyIdentity whether whoever signed was accepted
 */
export function verdictJson(object: VerifiedObject, summary: VerificationSummary, anyIdentity: boolean): string {
  const { verdict, error, signer, logged } = summary
  const document = {
    schemaVersion: 1,
    object,
    verdict,
    error: error === undefined ? null : { code: error.code, message: error.message, hint: error.hint ?? null },
    identityChecked:
      !anyIdentity && summary.steps.some(({ step, outcome }) => step === "identity" && outcome !== "not checked"),
    signer:
      signer === undefined
        ? null
        : {
            identity: signer.identity,
            identities: signer.identities,
            issuer: signer.issuer,
            claims: signer.claims,
            fingerprint: signer.fingerprint,
            notBefore: signer.certificate.notBefore,
            notAfter: signer.certificate.notAfter,
          },
    mode: summary.mode,
    log:
      logged === undefined ? null : { origin: logged.origin, index: String(logged.index), time: logged.time ?? null },
    timestamps: summary.timestamps,
    claimedSigningTime: summary.claimedSigningTime ?? null,
    steps: summary.steps.map(({ step, outcome }, index) => ({ number: index + 1, step, outcome })),
  }
  return jsonText(document)
}
