/**
 * What a verification found out, step by step; the one result that every output is made from.
 *
 * @module
 */

import type { GitsignError } from "../errors.ts"
import type { Signer } from "../formats/signer.ts"
import type { StepName } from "./steps.ts"

/** How far one numbered step of the procedure in docs/verification.md came. */
export interface StepResult {
  readonly step: StepName
  readonly outcome: "passed" | "failed" | "not checked"
}

/** Where and when a transparency log took the signature in. Proven only when the verdict is `verified`. */
export interface LoggedAt {
  /** The first line of the log's checkpoint, such as `rekor.sigstore.dev - 1193050959916656506`. */
  readonly origin: string
  /** The index over all shards, as search pages show it. */
  readonly index: bigint
  /** When the log says it took the entry in; undefined for logs that give no time. */
  readonly time: Date | undefined
}

/** The outcome of verifying one signature over one payload. */
export interface VerificationSummary {
  /**
   * `verified`: every check passed, and only then. `failed`: a check failed. `unavailable`: nothing failed, but
   * something could not be checked now.
   */
  readonly verdict: "verified" | "failed" | "unavailable"
  /** Why it is not verified. */
  readonly error: GitsignError | undefined
  /** True when all checks but the last passed: the signature is good, its signer is not the one asked for. */
  readonly notAllowed: boolean
  readonly steps: readonly StepResult[]
  /** The claims of the certificate, as soon as it could be read. They are proven only when the verdict is `verified`. */
  readonly signer: Signer | undefined
  /** `offline`: the signature carries its log entry. `online`: the log has an entry for the object id. */
  readonly mode: "offline" | "online"
  readonly logged: LoggedAt | undefined
  /** The times of RFC 3161 timestamps in the signature. */
  readonly timestamps: readonly Date[]
  /** What the author's clock said; nothing proves it. */
  readonly claimedSigningTime: Date | undefined
}
