/**
 * Reading identity tokens.
 *
 * @module
 */

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isGitsignError } from "../../../src/errors.ts"
import {
  checkTokenTime,
  describeIdentity,
  identityOf,
  issuerName,
  issuerOf,
  parseIdentityToken,
} from "../../../src/services/oidc/token.ts"
import { testToken } from "../tokens.ts"

const GITHUB_ACTIONS = "https://token.actions.githubusercontent.com"

test("the claims of a token", () => {
  const now = new Date("2026-11-21T10:00:00Z")
  expect(parseIdentityToken(testToken({ email_verified: undefined }, now))).toEqual({
    iss: "https://issuer.example.com",
    sub: "subject-1",
    aud: ["sigstore"],
    email: "dev@example.com",
    emailVerified: false,
    expiresAt: new Date("2026-11-21T10:10:00Z"),
    notBefore: now,
    connectorId: undefined,
    jobWorkflowRef: undefined,
  })
  expect(parseIdentityToken(testToken({ aud: ["a", "b"], nbf: 1.5 }))).toMatchObject({
    aud: ["a", "b"],
    notBefore: new Date(1500),
  })
})

describe("not a token", () => {
  const [header, payload, signature] = testToken().split(".")
  const part = (text: string): string => Buffer.from(text).toString("base64url")

  test.each([
    "",
    "..",
    "a.b",
    "a.b.c.d",
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${header}.${payload}.a b`,
    `${header}.${payload}=.${signature}`,
    `${header}.${part("[]")}.${signature}`,
    `${header}.${part("null")}.${signature}`,
    `${header}.${part("{")}.${signature}`,
    `${part("x")}.${payload}.${signature}`,
    `${header}.${Buffer.of(0x22, 0xff, 0x22).toString("base64url")}.${signature}`,
    `${header}.${"A".repeat(70_000)}.${signature}`,
    testToken({ iss: undefined }),
    testToken({ iss: 1 }),
    testToken({ sub: undefined }),
    testToken({ sub: "" }),
    testToken({ sub: "a\nb" }),
    testToken({ email: "a\u202eb@example.com" }),
    testToken({ aud: undefined }),
    testToken({ aud: [] }),
    testToken({ aud: ["a", 1] }),
    testToken({ exp: undefined }),
    testToken({ exp: "tomorrow" }),
    testToken({ exp: -1 }),
    testToken({ exp: 1e300 }),
    testToken({ nbf: {} }),
  ])("%#", (token) => {
    expect(() => parseIdentityToken(token)).toThrow(expect.objectContaining({ code: "ERR_TOKEN" }))
  })

  test("never appears in the message or its cause", () => {
    const secret = `${header}.${part('{"secret": c3VwZXJzZWNyZXQ}')}.${signature}`
    try {
      parseIdentityToken(secret)
      expect.unreachable()
    } catch (error) {
      expect(isGitsignError(error) && `${error.message} ${error.cause} ${error.hint}`).not.toMatch(/c3Vw|secret/)
    }
  })

  test("throws nothing but ERR_TOKEN, whatever it is", () => {
    const claims = fc.dictionary(
      fc.constantFrom("iss", "sub", "aud", "exp", "nbf", "email", "federated_claims", "__proto__"),
      fc.jsonValue(),
    )
    const anything = fc.oneof(
      fc.string(),
      claims.map((value) => testToken(value)),
      claims.map((value) => `${header}.${part(JSON.stringify(value))}.x`),
    )
    fc.assert(
      fc.property(anything, (token) => {
        try {
          parseIdentityToken(token)
        } catch (error) {
          expect(isGitsignError(error) && error.code).toBe("ERR_TOKEN")
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe("the time of a token", () => {
  const now = new Date("2026-11-21T10:00:00Z")
  const seconds = now.getTime() / 1000

  test.each([
    [{ exp: seconds - 59 }, undefined],
    [{ exp: seconds - 60 }, "ERR_TOKEN_EXPIRED"],
    [{ nbf: seconds + 60 }, undefined],
    [{ nbf: seconds + 61 }, "ERR_TOKEN"],
    [{ nbf: undefined }, undefined],
  ])("%j: %s", (claims, code) => {
    const check = () => checkTokenTime(parseIdentityToken(testToken(claims, now)), now)
    if (code === undefined) expect(check).not.toThrow()
    else expect(check).toThrow(expect.objectContaining({ code }))
  })
})

describe("who signs", () => {
  const of = (claims: Record<string, unknown>) => parseIdentityToken(testToken(claims))

  test.each([
    [{}, "dev@example.com (issuer.example.com)"],
    [{ email_verified: false }, "subject-1 (issuer.example.com)"],
    [{ iss: "https://accounts.google.com" }, "dev@example.com (Google)"],
    [
      { iss: "https://oauth2.sigstore.dev/auth", federated_claims: { connector_id: "https://github.com/login/oauth" } },
      "dev@example.com (GitHub)",
    ],
    [
      { iss: GITHUB_ACTIONS, email: undefined, job_workflow_ref: "o/r/.github/workflows/a.yml@refs/heads/main" },
      "https://github.com/o/r/.github/workflows/a.yml@refs/heads/main (GitHub Actions)",
    ],
    [{ email: undefined, job_workflow_ref: "o/r" }, "subject-1 (issuer.example.com)"],
  ])("claims %j: %s", (claims, text) => {
    expect(describeIdentity(of(claims))).toBe(text)
  })

  test("names the issuer as the certificate will", () => {
    const federated = of({ federated_claims: { connector_id: "https://accounts.google.com", user_id: "x" } })
    expect([identityOf(federated), issuerOf(federated)]).toEqual(["dev@example.com", "https://accounts.google.com"])
    expect(issuerOf(of({ federated_claims: {} }))).toBe("https://issuer.example.com")
    expect(issuerName("https://gitlab.example.com")).toBe("gitlab.example.com")
  })
})
