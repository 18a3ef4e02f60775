/**
 * The identity token of a GitLab job, among the variables that a runner gives it.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { detectGitlab, gitlabToken } from "../../../src/services/oidc/gitlab.ts"
import { getIdentityToken } from "../../../src/services/oidc/provider.ts"
import { testClient } from "../loopback.ts"
import { testToken } from "../tokens.ts"

const ISSUER = "https://gitlab.example.com"
const jobToken = (claims: Record<string, unknown> = {}) =>
  testToken({
    iss: ISSUER,
    sub: "project_path:group/project:ref_type:branch:ref:main",
    aud: "sigstore",
    email: undefined,
    email_verified: undefined,
    ci_config_ref_uri: "gitlab.example.com/group/project//.gitlab-ci.yml@refs/heads/main",
    ...claims,
  })

const job = (variables: Record<string, string> = {}) => ({
  env: { GITLAB_CI: "true", CI_SERVER_URL: `${ISSUER}/`, CI_JOB_TOKEN: "glcbt-64_x", ...variables },
  audience: "sigstore",
})

describe("a job", () => {
  test("has its token in the variable that its yaml names, whatever the name", () => {
    const token = jobToken()
    const surroundings = job({
      AWS_TOKEN: jobToken({ aud: "sts.amazonaws.com" }),
      OTHER_TOKEN: testToken({ iss: "https://gitlab.com" }),
      BROKEN_TOKEN: "eyJub3QgYSB0b2tlbg",
      MY_TOKEN: `${token}\n`,
    })
    expect(gitlabToken(surroundings)).toBe(token)
    expect(detectGitlab(surroundings)).toEqual({
      applies: true,
      because: "MY_TOKEN holds a token for the audience sigstore",
      token,
    })
  })

  test("with several takes the first by name, whatever the order of the environment", () => {
    const [a, b] = [jobToken({ sub: "a" }), jobToken({ sub: "b" })]
    expect(gitlabToken(job({ B_TOKEN: b, A_TOKEN: a }))).toBe(a)
    expect(gitlabToken(job({ A_TOKEN: a, B_TOKEN: b }))).toBe(a)
  })

  test("may have it in SIGSTORE_ID_TOKEN, which envvar takes unless gitlab is configured", () => {
    const token = jobToken()
    const surroundings = job({ SIGSTORE_ID_TOKEN: token, MY_TOKEN: jobToken({ sub: "x" }) })
    expect(detectGitlab(surroundings)).toMatchObject({ applies: false, because: expect.stringContaining("envvar") })
    expect(gitlabToken(surroundings)).toBe(token)
  })

  test.each<[string, Record<string, string>]>([
    ["has none", {}],
    ["has one for somebody else", { MY_TOKEN: jobToken({ aud: ["a", "b"] }) }],
    ["has one of another issuer", { MY_TOKEN: jobToken({ iss: "https://gitlab.com" }) }],
    ["has one of an issuer that only begins like its own", { MY_TOKEN: jobToken({ iss: `${ISSUER}.evil.example` }) }],
  ])("that %s is told what to add", (_, variables) => {
    const surroundings = job(variables)
    expect(detectGitlab(surroundings)).toMatchObject({
      applies: true,
      because: expect.stringContaining("none of its id_tokens"),
    })
    expect(() => gitlabToken(surroundings)).toThrow(
      expect.objectContaining({
        code: "ERR_NO_TOKEN",
        message: "this GitLab job has no identity token for the audience sigstore",
        hint: "add to the job in .gitlab-ci.yml: id_tokens: { SIGSTORE_ID_TOKEN: { aud: sigstore } }",
      }),
    )
  })

  test("of gitlab.com need not say so", () => {
    const token = jobToken({ iss: "https://gitlab.com" })
    expect(gitlabToken({ env: { GITLAB_CI: "true", T: token }, audience: "sigstore" })).toBe(token)
  })

  test("is none outside GitLab", () => {
    const surroundings = { env: { T: jobToken() }, audience: "sigstore" }
    expect(detectGitlab(surroundings)).toMatchObject({ applies: false })
    expect(() => gitlabToken(surroundings)).toThrow(expect.objectContaining({ code: "ERR_NO_TOKEN" }))
  })
})

describe("a signature in a job", () => {
  const get = (env: Record<string, string>, tokenProvider?: string) =>
    getIdentityToken({
      env: { SPIFFE_ENDPOINT_SOCKET: "/nonexistent", ...env },
      http: testClient(),
      now: () => new Date(),
      tokenFile: "/nonexistent",
      tokenProvider,
      clientID: "sigstore",
      logIn: () => Promise.reject(new Error("nobody is there")),
    })

  test("is that of its pipeline", async () => {
    expect(await get(job({ T: jobToken() }).env)).toMatchObject({
      provider: "gitlab",
      agreed: true,
      claims: { workloadUri: "https://gitlab.example.com/group/project//.gitlab-ci.yml@refs/heads/main" },
    })
  })

  test.each([
    [
      { iss: "https://gitlab.com" },
      /one of the issuer https:\/\/gitlab\.com, and gitlab has those of https:\/\/gitlab\.example\.com/,
    ],
    [{ aud: "other" }, /for the audience "other" and not for "sigstore"/],
  ])("is refused with a configured SIGSTORE_ID_TOKEN that is not its own: %j", async (claims, message) => {
    await expect(get(job({ SIGSTORE_ID_TOKEN: jobToken(claims) }).env, "gitlab")).rejects.toMatchObject({
      code: "ERR_TOKEN",
      message: expect.stringMatching(message),
    })
  })

  test("is refused with a token that has ended", async () => {
    await expect(get(job({ T: jobToken({ exp: 1_000_000_000 }) }).env)).rejects.toMatchObject({
      code: "ERR_TOKEN_EXPIRED",
    })
  })
})
