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
  isExactIdentity,
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
    emailUnverified: false,
    expiresAt: new Date("2026-11-21T10:10:00Z"),
    notBefore: now,
    connectorId: undefined,
    jobWorkflowRef: undefined,
    workloadUri: undefined,
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
    [
      { iss: `${GITHUB_ACTIONS}/octo`, email: undefined, job_workflow_ref: "o/r/a.yml@main" },
      "https://github.com/o/r/a.yml@main (token.actions.githubusercontent.com/octo)",
    ],
    [
      { iss: `${GITHUB_ACTIONS}.evil.example`, email: undefined, job_workflow_ref: "o/r/a.yml@main" },
      "subject-1 (token.actions.githubusercontent.com.evil.example)",
    ],
    [
      { iss: "https://ghes.example.com/_services/token", email: undefined, job_workflow_ref: "o/r/a.yml@main" },
      "https://ghes.example.com/o/r/a.yml@main (ghes.example.com/_services/token)",
    ],
    [
      { iss: "https://token.actions.octo.ghe.com", email: undefined, job_workflow_ref: "o/r/a.yml@main" },
      "https://octo.ghe.com/o/r/a.yml@main (token.actions.octo.ghe.com)",
    ],
    [
      {
        iss: "https://gitlab.com",
        email: undefined,
        ci_config_ref_uri: "gitlab.com/group/project//.gitlab-ci.yml@refs/heads/main",
      },
      "https://gitlab.com/group/project//.gitlab-ci.yml@refs/heads/main (GitLab)",
    ],
    [
      { iss: "https://agent.buildkite.com", email: undefined, organization_slug: "acme", pipeline_slug: "app" },
      "https://buildkite.com/acme/app (Buildkite)",
    ],
    [{ iss: "https://agent.buildkite.com", email: undefined, pipeline_slug: "app" }, "subject-1 (Buildkite)"],
    [{ email: undefined, organization_slug: "acme", pipeline_slug: "app" }, "subject-1 (issuer.example.com)"],
    [
      {
        iss: "https://oidc.circleci.com/org/0001",
        email: undefined,
        "oidc.circleci.com/project-id": "p-1",
        "oidc.circleci.com/pipeline-definition-id": "d-1",
      },
      "https://circleci.com/api/v2/projects/p-1/pipeline-definitions/d-1 (CircleCI)",
    ],
    [
      {
        iss: "https://oidc.eks.eu-west-1.amazonaws.com/id/X",
        email: undefined,
        "kubernetes.io": { namespace: "build", pod: { name: "x" }, serviceaccount: { name: "signer" } },
      },
      "https://kubernetes.io/namespaces/build/serviceaccounts/signer (oidc.eks.eu-west-1.amazonaws.com/id/X)",
    ],
    [
      { iss: "https://spire.example.com", email: undefined, sub: "spiffe://example.com/builder" },
      "spiffe://example.com/builder (spire.example.com)",
    ],
  ])("claims %j: %s", (claims, text) => {
    expect(describeIdentity(of(claims))).toBe(text)
  })

  test.each<[Record<string, unknown>, boolean]>([
    [{}, true],
    [{ email_verified: false }, false],
    [{ iss: GITHUB_ACTIONS, email: undefined, job_workflow_ref: "o/r/a.yml@main" }, true],
    [{ iss: `${GITHUB_ACTIONS}/octo`, email: undefined, job_workflow_ref: "o/r/a.yml@main" }, true],
    [{ iss: `${GITHUB_ACTIONS}.evil.example`, job_workflow_ref: "o/r/a.yml@main" }, false],
    [{ iss: "https://ghes.example.com/_services/token", job_workflow_ref: "o/r/a.yml@main" }, false],
    [{ email: undefined, job_workflow_ref: "o/r/a.yml@main", sub: "https://issuer.example.com/job" }, false],
    [{ iss: "https://gitlab.com", email: undefined, ci_config_ref_uri: "gitlab.com/g/p//.gitlab-ci.yml@m" }, true],
    [{ iss: "https://git.example.com", ci_config_ref_uri: "git.example.com/g/p//.gitlab-ci.yml@m" }, true],
    [{ iss: "https://git.example.com", ci_config_ref_uri: "gitlab.com/g/p//.gitlab-ci.yml@m" }, false],
    [{ iss: "https://agent.buildkite.com", organization_slug: "acme", pipeline_slug: "app", email: undefined }, true],
    [{ organization_slug: "acme", pipeline_slug: "app", email: undefined }, false],
    [{ "kubernetes.io": { namespace: "build", serviceaccount: { name: "signer" } }, email: undefined }, true],
    [{ email: undefined, sub: "spiffe://example.com/builder" }, true],
    [{ email: undefined, sub: "account:1:pipeline:2" }, false],
    [{ email: undefined, sub: "dev" }, false],
  ])("claims %j: whether the certificate's identity is known: %j", (claims, isExact) => {
    expect(isExactIdentity(of(claims))).toBe(isExact)
  })

  test.each([
    [{ email_verified: false }, true],
    [{ email_verified: "false" }, true],
    [{ email_verified: undefined }, false],
    [{ email_verified: true }, false],
  ])("whether the issuer calls the address unverified: %j", (claims, emailUnverified) => {
    expect(of(claims)).toMatchObject({ emailUnverified })
  })

  test("names the issuer as the certificate will", () => {
    const federated = of({ federated_claims: { connector_id: "https://accounts.google.com", user_id: "x" } })
    expect([identityOf(federated), issuerOf(federated)]).toEqual(["dev@example.com", "https://accounts.google.com"])
    expect(issuerOf(of({ federated_claims: {} }))).toBe("https://issuer.example.com")
    expect(issuerName("https://gitlab.example.com")).toBe("gitlab.example.com")
  })
})
