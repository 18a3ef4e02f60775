/**
 * Identity flags: who is accepted, who is not, and what the refusal names.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import type { Signer } from "../../src/formats/signer.ts"
import { type IdentityFlags, identityCheck, namesSigner } from "../../src/policy/identity.ts"

const signer = (overrides: Partial<Signer> = {}): Signer =>
  ({
    identity: "dev@example.com",
    identities: [{ type: "email", value: "dev@example.com" }],
    issuer: "https://issuer.example",
    claims: {},
    fingerprint: "00",
    ...overrides,
  }) as Signer

const verdict = async (flags: IdentityFlags, who: Signer = signer()): Promise<string> => {
  const refusal = (await identityCheck(flags))(who)
  return refusal === undefined ? "accepted" : `${refusal.code} ${refusal.message}`
}

const ISSUER = { certificateOidcIssuer: "https://issuer.example" }

describe("namesSigner", () => {
  test.each([
    [{}, false],
    [{ certificateIdentity: "a" }, false],
    [{ certificateIdentityRegexp: "a" }, false],
    [{ certificateOidcIssuer: "b" }, false],
    [{ certificateIdentity: "a", certificateIdentityRegexp: "a" }, false],
    [{ certificateIdentity: "a", certificateOidcIssuer: "b" }, true],
    [{ certificateIdentityRegexp: "a", certificateOidcIssuerRegexp: "b" }, true],
    [{ certificateIdentity: "a", certificateOidcIssuerRegexp: "b" }, true],
  ] as const)("%j is %s", (flags, expected) => {
    expect(namesSigner(flags)).toBe(expected)
  })
})

describe("identity and issuer", () => {
  test.each([
    ["dev@example.com", "accepted"],
    ["Dev@example.com", "ERR_IDENTITY signed by dev@example.com, not by Dev@example.com"],
    ["dev@example.co", "ERR_IDENTITY signed by dev@example.com, not by dev@example.co"],
    ["dev@example.com ", "ERR_IDENTITY signed by dev@example.com, not by dev@example.com "],
    [".*", "ERR_IDENTITY signed by dev@example.com, not by .*"],
  ])("exactly %j: %s", async (certificateIdentity, expected) => {
    expect(await verdict({ certificateIdentity, ...ISSUER })).toBe(expected)
  })

  test.each([
    ["example", "accepted"],
    ["^dev@example\\.com$", "accepted"],
    ["", "accepted"],
    ["^example", "ERR_IDENTITY signed by dev@example.com, not by /^example/"],
    ["(?i)DEV@", "accepted"],
    ["DEV@", "ERR_IDENTITY signed by dev@example.com, not by /DEV@/"],
  ])("matching /%s/: %s", async (certificateIdentityRegexp, expected) => {
    expect(await verdict({ certificateIdentityRegexp, ...ISSUER })).toBe(expected)
  })

  test("the issuer", async () => {
    const identity = { certificateIdentity: "dev@example.com" }
    expect(await verdict({ ...identity, certificateOidcIssuerRegexp: "^https://issuer" })).toBe("accepted")
    expect(await verdict({ ...identity, certificateOidcIssuer: "https://issuer.example/" })).toBe(
      "ERR_ISSUER the identity comes from https://issuer.example, not from https://issuer.example/",
    )
    expect(await verdict({ ...identity, ...ISSUER }, signer({ issuer: "" }))).toBe(
      "ERR_ISSUER the identity comes from no issuer, not from https://issuer.example",
    )
  })

  const two = signer({
    identities: [
      { type: "email", value: "dev@example.com" },
      { type: "uri", value: "https://example.com/bot" },
    ],
  })

  test("any name of the certificate may be the one", async () => {
    expect(await verdict({ certificateIdentity: "https://example.com/bot", ...ISSUER }, two)).toBe("accepted")
  })

  test("text and pattern must hold for one and the same name", async () => {
    const flags = { certificateIdentity: "dev@example.com", ...ISSUER }
    expect(await verdict({ ...flags, certificateIdentityRegexp: "^dev@" }, two)).toBe("accepted")
    expect(await verdict({ ...flags, certificateIdentityRegexp: "^https:" }, two)).toBe(
      "ERR_IDENTITY signed by dev@example.com, https://example.com/bot, not by dev@example.com matching /^https:/",
    )
  })

  test("a certificate without names is nobody", async () => {
    const nobody = signer({ identity: "", identities: [] })
    expect(await verdict({ certificateIdentityRegexp: "", ...ISSUER }, nobody)).toBe(
      "ERR_IDENTITY signed by nobody, not by //",
    )
  })
})

describe("workflow claims", () => {
  const who = signer({
    claims: { githubWorkflowTrigger: "push", githubWorkflowRef: "refs/heads/main", githubWorkflowSha: "abc" },
  })
  test.each([
    [{ trigger: "push" }, "accepted"],
    [{ trigger: "push", ref: "refs/heads/main", sha: "abc" }, "accepted"],
    [
      { trigger: "schedule" },
      'ERR_CLAIM --certificate-github-workflow-trigger asks for "schedule", the certificate has "push"',
    ],
    [
      { repository: "a/b" },
      'ERR_CLAIM --certificate-github-workflow-repository asks for "a/b", the certificate has no such claim',
    ],
    [
      { ref: "refs/heads/mai" },
      'ERR_CLAIM --certificate-github-workflow-ref asks for "refs/heads/mai", the certificate has "refs/heads/main"',
    ],
  ])("%j: %s", async (workflow, expected) => {
    expect(await verdict({ workflow }, who)).toBe(expected)
  })
})

describe("patterns", () => {
  test.each(["(", "a{2,1}", "(a)\\1", "(?=a)", "[", "\\"])("%s is not RE2", async (pattern) => {
    await expect(identityCheck({ certificateIdentityRegexp: pattern })).rejects.toMatchObject({
      code: "ERR_PATTERN",
      message: expect.stringMatching(/^--certificate-identity-regexp is not a regular expression: /),
    })
  })

  test("a pattern that hangs other engines does not", async () => {
    const check = await identityCheck({ certificateIdentityRegexp: "^(a+)+$", ...ISSUER })
    const start = performance.now()
    expect(check(signer({ identities: [{ type: "uri", value: `${"a".repeat(5000)}!` }] }))?.code).toBe("ERR_IDENTITY")
    expect(performance.now() - start).toBeLessThan(2000)
  })
})
