/**
 * The verdict, the steps and git's status lines of a verification that ends one way or another.
 *
 * @module
 */

import { expect, test } from "vitest"
import { type ErrorCode, GitsignError } from "../../src/errors.ts"
import { verificationStatus } from "../../src/verify/status.ts"
import { STEPS } from "../../src/verify/steps.ts"
import type { VerificationSummary } from "../../src/verify/summary.ts"
import { type Signed, verifySignature } from "../../src/verify/verify.ts"
import { caseNamed, trustedRootOf } from "../support/fixtures.ts"
import { signedOf } from "../support/verify-case.ts"

const one = caseNamed("commits", "made-plain")
const trustedRoot = trustedRootOf(one)
const { payload, signature } = signedOf(one)

const verify = (changes: Partial<Signed> = {}, refusal?: ErrorCode): VerificationSummary =>
  verifySignature(
    { payload, signature, ...changes },
    {
      trustedRoot,
      authorize: () => (refusal === undefined ? undefined : new GitsignError(refusal, "refused")),
    },
  )

const words = (summary: VerificationSummary): string =>
  verificationStatus(summary)
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((word) => word !== "" && word !== "VALIDSIG")
    .join(" ")

const failedStep = ({ steps }: VerificationSummary): string | undefined =>
  steps.find(({ outcome }) => outcome === "failed")?.step

test("verified", () => {
  const summary = verify()
  expect(summary).toMatchObject({ verdict: "verified", notAllowed: false, error: undefined, mode: "offline" })
  expect(summary.steps).toEqual(STEPS.map((step) => ({ step, outcome: "passed" })))
  expect(words(summary)).toBe("NEWSIG GOODSIG TRUST_FULLY")
})

const REFUSALS: readonly ErrorCode[] = ["ERR_IDENTITY", "ERR_ISSUER", "ERR_CLAIM", "ERR_IDENTITY_REQUIRED"]

test.each(REFUSALS)("good, but refused with %s", (code) => {
  const summary = verify({}, code)
  expect(summary).toMatchObject({ verdict: "failed", notAllowed: true, error: { code } })
  expect(failedStep(summary)).toBe("identity")
  expect(words(summary)).toBe("NEWSIG GOODSIG TRUST_UNDEFINED")
})

test("changed, and the signer is not asked about", () => {
  const summary = verify({ payload: Buffer.from("something else") }, "ERR_IDENTITY")
  expect(summary).toMatchObject({
    verdict: "failed",
    notAllowed: false,
    error: { code: "ERR_CONTENT" },
    mode: "offline",
  })
  expect(failedStep(summary)).toBe("payload digest")
  expect(summary.steps.filter(({ outcome }) => outcome === "passed").map(({ step }) => step)).toEqual(STEPS.slice(0, 2))
  expect(words(summary)).toBe("NEWSIG BADSIG TRUST_NEVER")
})

test("not to be checked now", () => {
  const summary = verify(signedOf(caseNamed("commits", "made-online-unavailable_fail")), "ERR_IDENTITY")
  expect(summary).toMatchObject({ verdict: "unavailable", notAllowed: false, mode: "online" })
  expect(failedStep(summary)).toBeUndefined()
  expect(words(summary)).toBe("NEWSIG ERRSIG TRUST_UNDEFINED")
})

test("nothing at all", () => {
  for (const nothing of [Buffer.alloc(0), Buffer.of(0x30), Buffer.of(0)]) {
    const summary = verify({ signature: nothing })
    expect(summary).toMatchObject({ verdict: "failed", signer: undefined })
    expect(failedStep(summary)).toBe("signature form")
    expect(words(summary)).toBe("NEWSIG BADSIG TRUST_NEVER")
  }
})
