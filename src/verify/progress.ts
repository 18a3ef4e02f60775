/**
 * How far a verification has come, so that a failure can say which step it was and whom the certificate names.
 *
 * @module
 */

import type { GitsignError } from "../errors.ts"
import type { Signer } from "../formats/signer.ts"
import { STEPS, type StepName } from "./steps.ts"
import type { LoggedAt, VerificationSummary } from "./summary.ts"

/** Collects what the steps find out. */
export class Progress {
  readonly #passed = new Set<StepName>()
  #current: StepName | undefined
  signer: Signer | undefined
  mode: "offline" | "online" = "online"
  logged: LoggedAt | undefined
  timestamps: readonly Date[] = []
  claimedSigningTime: Date | undefined

  /** Takes one step: it has passed when `check` returns. */
  step<T>(name: StepName, check: () => T): T {
    this.#current = name
    const value = check()
    this.#passed.add(name)
    return value
  }

  /** What has been found out; `error` is why it ended, undefined when every step passed. */
  summary(error: GitsignError | undefined): VerificationSummary {
    // A trusted root that cannot be read says nothing about the signature; a signer nobody asked for is refused.
    const refused = error !== undefined && (error.exitStatus === 1 || this.#current === "identity")
    const failed = refused ? this.#current : undefined
    return {
      verdict: error === undefined ? "verified" : refused ? "failed" : "unavailable",
      error,
      notAllowed: failed === "identity",
      steps: STEPS.map((step) => ({
        step,
        outcome: step === failed ? "failed" : this.#passed.has(step) ? "passed" : "not checked",
      })),
      signer: this.signer,
      mode: this.mode,
      logged: this.logged,
      timestamps: this.timestamps,
      claimedSigningTime: this.claimedSigningTime,
    }
  }
}
