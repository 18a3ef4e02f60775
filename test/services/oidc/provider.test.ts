/**
 * Where identity tokens come from, in which order, and what is said when there is none.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { beforeEach, describe, expect, onTestFinished, test } from "vitest"
import { GitsignError } from "../../../src/errors.ts"
import { getIdentityToken, type IdentityTokenOptions } from "../../../src/services/oidc/provider.ts"
import { httpServer, json, rawServer, testClient } from "../loopback.ts"
import { testToken } from "../tokens.ts"

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gitsign-token-"))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
})

const nobody = () => new GitsignError("ERR_NO_TOKEN", "nobody can log in", { hint: "the way out" })

const get = (options: Partial<IdentityTokenOptions>) =>
  getIdentityToken({
    http: testClient(),
    now: () => new Date(),
    clientID: "sigstore",
    tokenFile: join(directory, "none"),
    logIn: () => Promise.reject(nobody()),
    ...options,
    // The default socket of SPIRE may be there on the machine that runs the tests.
    env: { SPIFFE_ENDPOINT_SOCKET: join(directory, "no-socket"), ...options.env },
  })

function tokenFile(content: string): string {
  const path = join(directory, "token")
  writeFileSync(path, content)
  return path
}

const ISSUER = "https://token.actions.githubusercontent.com"
const jobToken = (claims: Record<string, unknown> = {}) => testToken({ iss: ISSUER, sub: "runner", ...claims })

/** As the runner of a job does: the token is for the audience that was asked for. */
const runner = () =>
  httpServer(({ path }) => {
    const aud = new URL(path, "http://localhost").searchParams.get("audience")
    return json({ count: 1, value: jobToken({ aud }) })
  })
const runnerEnv = (url: string) => ({
  ACTIONS_ID_TOKEN_REQUEST_URL: `${url}/token?api-version=2.0`,
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: "request-token",
})

describe("without a configured provider", () => {
  test("the environment comes first, then the file, then the GitHub Actions job", async () => {
    const server = await runner()
    const file = tokenFile(`${testToken({ sub: "file" })}\n`)
    const env = { ...runnerEnv(server.url), SIGSTORE_ID_TOKEN: ` ${testToken({ sub: "environment" })}\n` }
    expect(await get({ env, tokenFile: file })).toMatchObject({ provider: "envvar", claims: { sub: "environment" } })
    const withoutVariable = await get({ env: { ...env, SIGSTORE_ID_TOKEN: "" }, tokenFile: file })
    expect(withoutVariable).toMatchObject({ provider: "filesystem", claims: { sub: "file" } })
    expect(withoutVariable.token).not.toMatch(/\s/)
    expect(server.seen).toHaveLength(0)
    const onlyJob = await get({ env: runnerEnv(server.url) })
    expect(onlyJob).toMatchObject({ provider: "github-actions", claims: { sub: "runner" } })
  })

  test("a login comes last, in whatever way there is", async () => {
    const asked: string[] = []
    const logIn: IdentityTokenOptions["logIn"] = async (kind) => {
      asked.push(kind)
      return { token: testToken(), provider: "device", agreed: false, refreshToken: "r" }
    }
    expect(await get({ logIn })).toMatchObject({ provider: "device", agreed: false, refreshToken: "r" })
    expect(await get({ logIn, env: { SIGSTORE_ID_TOKEN: testToken() } })).toMatchObject({ agreed: true })
    expect(asked).toEqual(["auto"])
    await expect(get({})).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
      message: "nobody can log in",
      hint: "the way out",
    })
  })

  test("a job that may not ask is told so, and not that it has no terminal", async () => {
    await expect(get({ env: { GITHUB_ACTIONS: "true" } })).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
      message: "this is not a GitHub Actions job that may ask for identity tokens",
      hint: expect.stringContaining("id-token: write"),
      cause: expect.objectContaining({ message: "nobody can log in" }),
    })
    await expect(get({ env: { GITLAB_CI: "true" } })).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
      hint: expect.stringContaining("id_tokens"),
    })
  })

  test("a provider that turns out to have no token is passed over", async () => {
    const broken = { ACTIONS_ID_TOKEN_REQUEST_URL: "nonsense", ACTIONS_ID_TOKEN_REQUEST_TOKEN: "x" }
    const gitlab = { GITLAB_CI: "true", CI_SERVER_URL: "https://issuer.example.com", MY_TOKEN: testToken() }
    expect(await get({ env: { ...broken, ...gitlab } })).toMatchObject({ provider: "gitlab" })
    const logIn = async () => ({ token: testToken(), provider: "interactive" as const, agreed: true })
    expect(await get({ env: broken, logIn })).toMatchObject({ provider: "interactive" })
    await expect(get({ env: { ...broken, ...gitlab }, tokenProvider: "github-actions" })).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
    })
  })

  test("one that fails is not: nobody signs as somebody else because a service was down", async () => {
    const server = await httpServer(() => ({ status: 500 }))
    const gitlab = { GITLAB_CI: "true", CI_SERVER_URL: "https://issuer.example.com", MY_TOKEN: testToken() }
    await expect(get({ env: { ...runnerEnv(server.url), ...gitlab } })).rejects.toMatchObject({ code: "ERR_OIDC" })
    const tokenCommand = [process.execPath, "-e", "process.exit(1)"]
    const env = { SIGSTORE_ID_TOKEN: testToken(), PATH: process.env.PATH }
    await expect(get({ env, tokenCommand })).rejects.toMatchObject({ code: "ERR_OIDC" })
  })

  test("a command that prints a token comes before everything else", async () => {
    const tokenCommand = [process.execPath, "-e", `console.log("${testToken({ sub: "command" })}")`]
    const env = { SIGSTORE_ID_TOKEN: testToken(), PATH: process.env.PATH }
    expect(await get({ env, tokenCommand })).toMatchObject({
      provider: "exec",
      agreed: true,
      claims: { sub: "command" },
    })
  })

  test("a token that cannot be used is an error, and not a reason to look elsewhere", async () => {
    const file = tokenFile(testToken())
    await expect(get({ env: { SIGSTORE_ID_TOKEN: "junk" }, tokenFile: file })).rejects.toMatchObject({
      code: "ERR_TOKEN",
    })
    const expired = testToken({ exp: 1_000_000_000 })
    await expect(get({ env: { SIGSTORE_ID_TOKEN: expired }, tokenFile: file })).rejects.toMatchObject({
      code: "ERR_TOKEN_EXPIRED",
    })
  })
})

describe("with a configured provider", () => {
  test("only that one is asked", async () => {
    const server = await runner()
    const file = tokenFile(testToken({ sub: "file" }))
    const env = { ...runnerEnv(server.url), SIGSTORE_ID_TOKEN: testToken({ sub: "environment" }) }
    for (const [tokenProvider, sub] of [
      ["envvar", "environment"],
      ["github-actions", "runner"],
      ["filesystem", "file"],
    ] as const) {
      expect(await get({ env, tokenFile: file, tokenProvider })).toMatchObject({
        provider: tokenProvider,
        claims: { sub },
      })
    }
  })

  test.each(["interactive", "device"] as const)("that is a login: %s", async (tokenProvider) => {
    const asked: string[] = []
    const logIn: IdentityTokenOptions["logIn"] = async (kind) => {
      asked.push(kind)
      return { token: testToken(), provider: tokenProvider, agreed: true }
    }
    const env = { SIGSTORE_ID_TOKEN: testToken() }
    expect(await get({ env, tokenProvider, logIn })).toMatchObject({ provider: tokenProvider, agreed: true })
    expect(asked).toEqual([tokenProvider])
    await expect(get({ env, tokenProvider })).rejects.toMatchObject({ message: "nobody can log in" })
  })

  test.each([
    ["envvar", "set it to an identity token"],
    ["filesystem", "gitsign.tokenFile"],
    ["github-actions", "run it in a GitHub Actions job"],
    ["buildkite-agent", "run it in a Buildkite job"],
    ["gitlab", "run it in a GitLab job"],
    ["circleci", "run it in a CircleCI job"],
    ["google-impersonate", "GOOGLE_SERVICE_ACCOUNT_NAME="],
  ])("that has none says what it needs, and nothing that would not help: %s", async (tokenProvider, needs) => {
    const logIn = async () => ({ token: testToken(), provider: "interactive" as const, agreed: true })
    const env = tokenProvider === "envvar" ? {} : { SIGSTORE_ID_TOKEN: testToken() }
    const error = await get({ tokenProvider, logIn, env }).catch((error: unknown) => error)
    expect(error).toMatchObject({
      code: "ERR_NO_TOKEN",
      message: expect.stringMatching(/, and gitsign\.tokenProvider is /),
      hint: expect.stringContaining(needs),
    })
    const { hint } = error as GitsignError
    expect(hint).toContain("unset gitsign.tokenProvider")
    expect(hint).not.toMatch(/SIGSTORE_ID_TOKEN|terminal/)
  })

  test("exec needs a command", async () => {
    await expect(get({ tokenProvider: "exec" })).rejects.toMatchObject({ code: "ERR_CONFIG" })
  })

  test("that gitsign does not have", async () => {
    await expect(get({ tokenProvider: "nonsense" })).rejects.toMatchObject({
      code: "ERR_CONFIG",
      message: 'the token provider "nonsense" is not known',
      hint: expect.stringMatching(/exec, buildkite-agent, .* device, or to auto$/),
    })
  })
})

describe("a token that fails a check", () => {
  test("can be looked at, with what is wrong with it", async () => {
    const env = { SIGSTORE_ID_TOKEN: testToken({ aud: "other" }) }
    const { problem, claims } = await get({ env, unchecked: true })
    expect(problem).toMatchObject({ code: "ERR_TOKEN", message: expect.stringContaining('"other"') })
    expect(claims.aud).toEqual(["other"])
    expect(await get({ env: { SIGSTORE_ID_TOKEN: testToken() }, unchecked: true })).not.toHaveProperty("problem")
    await expect(get({ env: { SIGSTORE_ID_TOKEN: "junk" }, unchecked: true })).rejects.toMatchObject({
      code: "ERR_TOKEN",
    })
  })

  test("is refused also after a login", async () => {
    const logIn = async () => ({
      token: testToken({ email_verified: false }),
      provider: "interactive" as const,
      agreed: true,
    })
    await expect(get({ logIn })).rejects.toMatchObject({
      code: "ERR_TOKEN",
      message: expect.stringContaining("dev@example.com is not verified"),
    })
  })
})

describe("the token file", () => {
  test("that is empty counts as none", async () => {
    await expect(get({ tokenFile: tokenFile(" \n") })).rejects.toMatchObject({ code: "ERR_NO_TOKEN" })
  })

  test("that is a directory or too large is an error", async () => {
    await expect(get({ tokenFile: directory })).rejects.toMatchObject({ code: "ERR_IO" })
    await expect(get({ tokenFile: tokenFile("x".repeat(70_000)) })).rejects.toMatchObject({ code: "ERR_IO" })
  })
})

describe("a GitHub Actions job", () => {
  test("asks its runner for the right audience, with its own token", async () => {
    const server = await runner()
    await get({ env: runnerEnv(server.url), clientID: "private" })
    expect(server.seen[0]).toMatchObject({ method: "GET", path: "/token?api-version=2.0&audience=private" })
    expect(server.seen[0]?.headers.authorization).toBe("bearer request-token")
  })

  test("asks again when the runner is busy", async () => {
    const server = await httpServer(() => (server.seen.length === 1 ? { status: 503 } : json({ value: jobToken() })))
    expect(await get({ env: runnerEnv(server.url) })).toMatchObject({ provider: "github-actions" })
  })

  test("does not wait for ever", async () => {
    const server = await rawServer(() => undefined)
    const http = testClient({ timeoutMs: 200 })
    await expect(get({ env: runnerEnv(server.url), http })).rejects.toMatchObject({ code: "ERR_NETWORK" })
  })

  test.each([
    ["refuses", { status: 403, body: '{"message":"not allowed"}' }, /answered 403: not allowed/],
    ["answers garbage", { body: "garbage" }, /not an identity token: not JSON/],
    ["answers something else", { body: "{}" }, /value is not a string/],
  ])("whose runner %s", async (_, answer, message) => {
    const server = await httpServer(() => answer)
    await expect(get({ env: runnerEnv(server.url) })).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: expect.stringMatching(message),
    })
  })

  test.each([
    [401, "permissions: { contents: read, id-token: write }"],
    [403, "permissions: { contents: read, id-token: write }"],
    [404, "https://www.githubstatus.com"],
  ])(
    "whose runner answers %i: the hint is about the job, and not about settings that are not used",
    async (status, what) => {
      const server = await httpServer(() => ({ status }))
      const error = await get({ env: runnerEnv(server.url) }).catch((error: unknown) => error)
      expect(error).toMatchObject({ code: "ERR_OIDC", hint: expect.stringContaining(what) })
      expect((error as GitsignError).hint).not.toContain("gitsign.issuer")
    },
  )

  test.each([{ ACTIONS_ID_TOKEN_REQUEST_URL: "nonsense" }, { ACTIONS_ID_TOKEN_REQUEST_TOKEN: "a\r\nb: c" }])(
    "with a broken environment sends nothing: %j",
    async (change) => {
      const server = await runner()
      await expect(get({ env: { ...runnerEnv(server.url), ...change } })).rejects.toMatchObject({
        code: "ERR_NO_TOKEN",
      })
      expect(server.seen).toHaveLength(0)
    },
  )
})
