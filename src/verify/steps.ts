/**
 * The numbered steps of verification, in the order in which they are taken. docs/verification.md tells each one's
 * standard, error codes and fixture.
 *
 * @module
 */

/** The steps by name; the number of a step is its place, counted from 1. */
export const STEPS = [
  "signature form", // 1
  "signer certificate", // 2
  "payload digest", // 3
  "signature", // 4
  "certificate usage", // 5
  "log entry", // 6
  "inclusion proof", // 7
  "timestamp", // 8
  "proven time", // 9
  "certificate chain, SCT, log signatures", // 10
  "identity", // 11
] as const

/** The name of one step. */
export type StepName = (typeof STEPS)[number]
