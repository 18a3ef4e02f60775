/**
 * What is checked of an identity token before it is used, and what is said to whoever has one that fails.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import type { TokenProvider } from "../../../src/services/oidc/provider.ts"
import { parseIdentityToken } from "../../../src/services/oidc/token.ts"
import { checkIdentityToken } from "../../../src/services/oidc/token-check.ts"
import { testToken } from "../tokens.ts"

const now = new Date("2026-11-21T10:00:00Z")
const seconds = now.getTime() / 1000

/** The error of a token with these claims; undefined when it may be used. */
function problem(
  claims: Record<string, unknown>,
  provider: TokenProvider = "envvar",
  env: Record<string, string> = {},
  clientID = "sigstore",
): unknown {
  try {
    checkIdentityToken(parseIdentityToken(testToken(claims, now)), { provider, env, clientID, now })
    return undefined
  } catch (error) {
    return error
  }
}

describe("the issuer", () => {
  test.each([
    "https://issuer.example.com",
    "https://issuer.example.com:8443/a/b",
    "https://issuer.example.com/",
    "http://localhost:5556/auth",
    "http://127.0.0.1:5556",
    "http://[::1]:5556",
  ])("is an address that can be asked: %s", (iss) => {
    expect(problem({ iss })).toBeUndefined()
  })

  test.each([
    "http://issuer.example.com",
    "accounts.google.com",
    "https://user:secret@issuer.example.com",
    "https://issuer.example.com/?a=b",
    "https://issuer.example.com/?",
    "https://issuer.example.com/#a",
    "https://issuer.example.com\\evil",
    "https:issuer.example.com",
    " https://issuer.example.com",
    "file:///etc/passwd",
    "urn:issuer",
    "http://localhost.example.com",
  ])("is not: %s", (iss) => {
    expect(problem({ iss })).toMatchObject({
      code: "ERR_TOKEN",
      message: expect.stringMatching(/which is not a plain https address$/),
    })
  })

  test.each<[TokenProvider, Record<string, string>, string]>([
    ["github-actions", {}, "https://token.actions.githubusercontent.com"],
    ["github-actions", { GITHUB_SERVER_URL: "https://github.com" }, "https://token.actions.githubusercontent.com/octo"],
    ["github-actions", { GITHUB_SERVER_URL: "https://ghes.example.com/" }, "https://ghes.example.com/_services/token"],
    ["github-actions", { GITHUB_SERVER_URL: "https://octo.ghe.com" }, "https://token.actions.octo.ghe.com"],
    ["gitlab", {}, "https://gitlab.com"],
    ["gitlab", { CI_SERVER_URL: "https://example.com/gitlab" }, "https://example.com/gitlab"],
    ["buildkite-agent", {}, "https://agent.buildkite.com"],
    ["circleci", {}, "https://oidc.circleci.com/org/4ada2c32"],
    ["google-workload-identity", {}, "https://accounts.google.com"],
    ["google-impersonation", {}, "https://accounts.google.com"],
    ["spiffe", {}, "https://spire.example.com"],
    ["filesystem", {}, "https://oidc.eks.eu-west-1.amazonaws.com/id/X"],
    ["exec", {}, "https://issuer.example.com"],
    ["interactive", {}, "https://oauth2.sigstore.dev/auth"],
  ])("of %s with %j may be %s", (provider, env, iss) => {
    expect(problem({ iss }, provider, env)).toBeUndefined()
  })

  test.each<[TokenProvider, Record<string, string>, string]>([
    ["github-actions", {}, "https://token.actions.githubusercontent.com.evil.example"],
    ["github-actions", {}, "https://ghes.example.com/_services/token"],
    [
      "github-actions",
      { GITHUB_SERVER_URL: "https://ghes.example.com" },
      "https://token.actions.githubusercontent.com",
    ],
    ["gitlab", { CI_SERVER_URL: "https://example.com/gitlab" }, "https://gitlab.com"],
    ["buildkite-agent", {}, "https://buildkite.com"],
    ["circleci", {}, "https://circleci.com"],
    ["google-workload-identity", {}, "https://accounts.google.example"],
    ["google-impersonation", {}, "https://issuer.example.com"],
  ])("of %s with %j may not be %s", (provider, env, iss) => {
    expect(problem({ iss }, provider, env)).toMatchObject({
      code: "ERR_TOKEN",
      message: expect.stringContaining(`the issuer ${iss}, and ${provider} has those of https://`),
      hint: expect.stringContaining("SIGSTORE_ID_TOKEN"),
    })
  })
})

describe("the audience", () => {
  test("is the client, perhaps among others", () => {
    expect(problem({ aud: ["other", "sigstore"] })).toBeUndefined()
    expect(problem({ aud: "private" }, "envvar", {}, "private")).toBeUndefined()
  })

  test.each<[TokenProvider, RegExp]>([
    ["envvar", /^ask for the audience sigstore where SIGSTORE_ID_TOKEN is made, or set gitsign\.clientID/],
    ["filesystem", /serviceAccountToken: \{ audience: sigstore \}/],
    ["exec", /gitsign\.tokenCommand ask for the audience sigstore/],
    ["spiffe", /which was asked for the audience sigstore/],
  ])("is another: the hint for %s", (provider, hint) => {
    expect(problem({ aud: ["a", "b"] }, provider)).toMatchObject({
      code: "ERR_TOKEN",
      message: 'the identity token is for the audience "a", "b" and not for "sigstore"',
      hint: expect.stringMatching(hint),
    })
  })

  test("is another: the hint for a GitLab job", () => {
    expect(problem({ iss: "https://gitlab.com", aud: "x" }, "gitlab")).toMatchObject({
      hint: expect.stringMatching(/id_tokens: \{ SIGSTORE_ID_TOKEN: \{ aud: sigstore \} \}/),
    })
  })
})

describe("the time", () => {
  test.each([
    [{ exp: seconds - 59 }, undefined],
    [{ exp: seconds - 60 }, "ERR_TOKEN_EXPIRED"],
    [{ nbf: seconds + 60 }, undefined],
    [{ nbf: seconds + 61 }, "ERR_TOKEN"],
  ])("with a minute of skew: %j: %s", (claims, code) => {
    const error = problem(claims)
    if (code === undefined) expect(error).toBeUndefined()
    else expect(error).toMatchObject({ code })
  })
})

describe("the address", () => {
  test.each([false, "false"])("that the issuer calls unverified (%j)", (email_verified) => {
    expect(problem({ email_verified })).toMatchObject({
      code: "ERR_TOKEN",
      message: "the issuer https://issuer.example.com says that the address dev@example.com is not verified",
      hint: expect.stringMatching(/^verify the address there/),
    })
  })

  test("may be missing, or not spoken of", () => {
    expect(problem({ email_verified: undefined })).toBeUndefined()
    expect(problem({ email: undefined, email_verified: false })).toBeUndefined()
  })
})
