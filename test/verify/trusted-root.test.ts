/**
 * What verifies with the right trusted root does not verify with less of it.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import type { TrustedRoot, ValidFor } from "../../src/formats/trusted-root.ts"
import { verifySignature } from "../../src/verify/verify.ts"
import { caseNamed, trustedRootOf } from "../support/fixtures.ts"
import { KEYS, NOW, seconds } from "../support/made/certificates.ts"
import { spkiOf } from "../support/made/keys.ts"
import { signedOf } from "../support/verify-case.ts"

const one = caseNamed("commits", "made-timestamp")
const root = trustedRootOf(one)
const result = (changes: Partial<TrustedRoot>): string => {
  const summary = verifySignature(signedOf(one), { trustedRoot: { ...root, ...changes } })
  return `${summary.verdict} ${summary.error?.code ?? ""}`.trim()
}

/** Each member of a list with another time. */
const during = <T extends { readonly validFor: ValidFor }>(
  list: readonly T[],
  start: Date,
  end: Date | undefined,
): T[] => list.map((member) => ({ ...member, validFor: { start, end } }))

const YEAR = new Date("2026-01-01T00:00:00Z")
const stranger = (): Uint8Array => spkiOf(KEYS.rekor)

describe("the trusted root", () => {
  test("as it is", () => expect(result({})).toBe("verified"))
  test("ends in the very second of logging", () => {
    expect(result({ transparencyLogs: during(root.transparencyLogs, YEAR, seconds(5)) })).toBe("verified")
    expect(result({ transparencyLogs: during(root.transparencyLogs, seconds(5), undefined) })).toBe("verified")
  })

  test.each<[string, Partial<TrustedRoot>, string]>([
    ["no certificate authority", { certificateAuthorities: [] }, "failed ERR_CERT_CHAIN"],
    [
      "an authority that ended before",
      { certificateAuthorities: during(root.certificateAuthorities, YEAR, seconds(-1)) },
      "failed ERR_CERT_CHAIN",
    ],
    [
      "an authority that ended between timestamp and logging",
      { certificateAuthorities: during(root.certificateAuthorities, YEAR, seconds(4)) },
      "failed ERR_CERT_CHAIN",
    ],
    [
      "the intermediate alone, without the root",
      {
        certificateAuthorities: root.certificateAuthorities.map((a) => ({ ...a, certChain: a.certChain.slice(0, 1) })),
      },
      "failed ERR_CERT_CHAIN",
    ],
    [
      "the root alone, without the intermediate",
      { certificateAuthorities: root.certificateAuthorities.map((a) => ({ ...a, certChain: a.certChain.slice(1) })) },
      "failed ERR_CERT_CHAIN",
    ],
    [
      "the timestamp authority as certificate authority",
      { certificateAuthorities: root.timestampAuthorities },
      "failed ERR_CERT_CHAIN",
    ],
    ["no CT log", { ctLogs: [] }, "failed ERR_SCT"],
    ["a CT log that began later", { ctLogs: during(root.ctLogs, seconds(1), undefined) }, "failed ERR_SCT"],
    [
      "a CT log with another key",
      { ctLogs: root.ctLogs.map((log) => ({ ...log, publicKey: stranger() })) },
      "failed ERR_SCT",
    ],
    ["no transparency log", { transparencyLogs: [] }, "failed ERR_LOG_UNKNOWN"],
    [
      "a log that ended before",
      { transparencyLogs: during(root.transparencyLogs, YEAR, seconds(4)) },
      "failed ERR_LOG_UNKNOWN",
    ],
    [
      "a log with another key",
      { transparencyLogs: root.transparencyLogs.map((log) => ({ ...log, publicKey: spkiOf(KEYS.ctLog) })) },
      "failed ERR_LOG_PROMISE",
    ],
    ["no timestamp authority", { timestampAuthorities: [] }, "failed ERR_TIMESTAMP"],
    [
      "a timestamp authority that ended before",
      { timestampAuthorities: during(root.timestampAuthorities, YEAR, NOW) },
      "failed ERR_TIMESTAMP",
    ],
    [
      "a timestamp authority without its root",
      { timestampAuthorities: root.timestampAuthorities.map((a) => ({ ...a, certChain: a.certChain.slice(0, 1) })) },
      "failed ERR_TIMESTAMP",
    ],
    // Nothing is wrong with the signature then, so it is not called bad.
    [
      "a certificate that cannot be read",
      {
        certificateAuthorities: [
          { uri: "", certChain: [Buffer.from("garbage")], validFor: { start: YEAR, end: undefined } },
        ],
      },
      "unavailable ERR_TRUSTED_ROOT",
    ],
    [
      "a log key that cannot be read",
      { transparencyLogs: root.transparencyLogs.map((log) => ({ ...log, publicKey: Buffer.from("garbage") })) },
      "unavailable ERR_TRUSTED_ROOT",
    ],
  ])("with %s", (_, changes, expected) => {
    expect(result(changes)).toBe(expected)
  })
})
