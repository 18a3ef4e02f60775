/**
 * Where identity tokens come from, in which order, and what is said when there is none.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { beforeEach, describe, expect, onTestFinished, test } from "vitest"
import { getIdentityToken, type IdentityTokenOptions } from "../../../src/services/oidc/provider.ts"
import { httpServer, json, rawServer, testClient } from "../loopback.ts"
import { testToken } from "../tokens.ts"
import { startIssuer } from "./issuer.ts"

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gitsign-token-"))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
})

const get = (options: Partial<IdentityTokenOptions>) =>
  getIdentityToken({
    env: {},
    http: testClient(),
    now: () => new Date(),
    interactive: false,
    issuer: "http://localhost:1",
    clientID: "sigstore",
    tokenFile: join(directory, "none"),
    notify: () => undefined,
    ...options,
  })

function tokenFile(content: string): string {
  const path = join(directory, "token")
  writeFileSync(path, content)
  return path
}

const runner = () => httpServer(() => json({ count: 1, value: testToken({ sub: "runner" }) }))
const runnerEnv = (url: string) => ({
  ACTIONS_ID_TOKEN_REQUEST_URL: `${url}/token?api-version=2.0`,
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: "request-token",
})

describe("without a configured provider", () => {
  test("the environment comes first, then the GitHub Actions job, then the file", async () => {
    const server = await runner()
    const file = tokenFile(`${testToken({ sub: "file" })}\n`)
    const env = { ...runnerEnv(server.url), SIGSTORE_ID_TOKEN: ` ${testToken({ sub: "environment" })}\n` }
    expect(await get({ env, tokenFile: file })).toMatchObject({ provider: "envvar", claims: { sub: "environment" } })
    expect(server.seen).toHaveLength(0)
    const withoutVariable = await get({ env: { ...env, SIGSTORE_ID_TOKEN: "" }, tokenFile: file })
    expect(withoutVariable).toMatchObject({ provider: "github-actions", claims: { sub: "runner" } })
    const onlyFile = await get({ env: { ACTIONS_ID_TOKEN_REQUEST_URL: server.url }, tokenFile: file })
    expect(onlyFile).toMatchObject({ provider: "filesystem", claims: { sub: "file" } })
    expect(onlyFile.token).not.toMatch(/\s/)
  })

  test("a login in the browser comes last, and only where somebody can log in", async () => {
    const issuer = await startIssuer()
    const options = { issuer: issuer.url, openBrowser: async (url: string) => void (await fetch(url)) }
    expect(await get({ ...options, interactive: true })).toMatchObject({
      provider: "interactive",
      claims: { iss: issuer.url },
    })
    await expect(get(options)).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
      message: "there is no identity token, and no terminal to ask for a login",
      hint: expect.stringMatching(/SIGSTORE_ID_TOKEN.*id-token: write.*terminal/),
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
    await expect(get({ env, tokenFile: file, tokenProvider: "interactive" })).rejects.toMatchObject({
      code: "ERR_NO_TOKEN",
    })
  })

  test.each(["envvar", "filesystem", "github-actions"])("that has none: %s", async (tokenProvider) => {
    await expect(get({ tokenProvider, interactive: true })).rejects.toMatchObject({ code: "ERR_NO_TOKEN" })
  })

  test.each([
    ["spiffe", /is not supported yet$/],
    ["google-workload-identity", /is not supported yet$/],
    ["google-impersonation", /is not supported yet$/],
    ["buildkite-agent", /is not supported yet$/],
    ["device", /is not supported yet$/],
    ["nonsense", /is not known$/],
  ])("that gitsign does not have: %s", async (tokenProvider, message) => {
    await expect(get({ tokenProvider })).rejects.toMatchObject({
      code: "ERR_CONFIG",
      message: expect.stringMatching(message),
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
    const server = await httpServer(() => (server.seen.length === 1 ? { status: 503 } : json({ value: testToken() })))
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
