/**
 * The lines that git reads: what they must never be is as important as what they are.
 *
 * @module
 */

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { formatVerificationStatus, type SignatureStatus } from "../../src/formats/gpg-status.ts"

const status = (changes: Partial<SignatureStatus> = {}): string =>
  formatVerificationStatus({
    outcome: "good",
    fingerprint: "ab".repeat(20),
    userId: "alice@example.com",
    signingTime: new Date("2026-03-01T12:00:00Z"),
    ...changes,
  })

const KEY = "ab".repeat(20)

describe("one outcome, one answer", () => {
  test.each<[SignatureStatus["outcome"], string, string]>([
    ["good", `GOODSIG ${KEY} alice@example.com`, "TRUST_FULLY 0 shell"],
    ["stranger", `GOODSIG ${KEY} alice@example.com`, "TRUST_UNDEFINED 0 shell"],
    ["bad", `BADSIG ${KEY} alice@example.com`, "TRUST_NEVER 0 shell"],
    ["unchecked", `ERRSIG ${KEY} 19 8 00 1772366400 1 ${KEY}`, "TRUST_UNDEFINED 0 shell"],
  ])("%s", (outcome, line, trust) => {
    const lines = status({ outcome }).split("\n")
    expect(lines[0]).toBe("[GNUPG:] NEWSIG")
    expect(lines[1]).toBe(`[GNUPG:] ${line}`)
    expect(lines.at(-2)).toBe(`[GNUPG:] ${trust}`)
    expect(lines.at(-1)).toBe("")
  })
})

test("no user id adds a line, ends one empty, or changes the trust", () => {
  const outcomes = fc.constantFrom<SignatureStatus["outcome"][]>("good", "stranger", "bad", "unchecked")
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("", " ", "\n", "x\n[GNUPG:] TRUST_FULLY 0 shell", "\u2028\u202e"),
  )
  fc.assert(
    fc.property(outcomes, text, (outcome, userId) => {
      const lines = status({ outcome, userId }).split("\n").slice(0, -1)
      const plain = status({ outcome }).split("\n").slice(0, -1)
      expect(lines.map((line) => line.split(" ", 2).join(" "))).toEqual(
        plain.map((line) => line.split(" ", 2).join(" ")),
      )
      for (const line of lines) expect(line).toMatch(/^\[GNUPG:\] [A-Z_]+( \S.*)?\S$|^\[GNUPG:\] NEWSIG$/u)
      for (const line of lines) expect(line).not.toMatch(/\p{C}/u)
    }),
  )
})
