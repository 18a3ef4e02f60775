/**
 * The identity token of a Buildkite job, from a stand-in for Buildkite's agent API.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { buildkiteToken } from "../../../src/services/oidc/buildkite.ts"
import { getIdentityToken } from "../../../src/services/oidc/provider.ts"
import { type Answer, closedPort, httpServer, json, rawServer, type TestServer, testClient } from "../loopback.ts"
import { testToken } from "../tokens.ts"

const JOB = "0184990a-477b-4fa8-9968-496074483cee"
const AGENT_TOKEN = "bkaj_job-secret"

const jobToken = (claims: Record<string, unknown> = {}) =>
  testToken({
    iss: "https://agent.buildkite.com",
    sub: "organization:acme:pipeline:app:ref:refs/heads/main:commit:9f31:step:build",
    organization_slug: "acme",
    pipeline_slug: "app",
    email: undefined,
    email_verified: undefined,
    ...claims,
  })

/** As the agent API: the job's token is exchanged for one with the audience of the request's body. */
const agentApi = (answer?: (count: number) => Answer | undefined): Promise<TestServer> => {
  const server: Promise<TestServer> = httpServer(async ({ method, path, headers, body }) => {
    const special = answer?.((await server).seen.length)
    if (special !== undefined) return special
    if (headers.authorization !== `Token ${AGENT_TOKEN}`) return json({ message: "Invalid access token" }, 401)
    if (method !== "POST" || path !== `/v3/jobs/${JOB}/oidc/tokens`) return json({ message: "Not Found" }, 404)
    const { audience } = JSON.parse(body.toString("utf8")) as { audience: string }
    return json({ token: jobToken({ aud: audience }) })
  })
  return server
}

const jobEnv = (url: string, changes: Record<string, string | undefined> = {}) => ({
  BUILDKITE: "true",
  BUILDKITE_AGENT_ACCESS_TOKEN: AGENT_TOKEN,
  BUILDKITE_AGENT_ENDPOINT: `${url}/v3`,
  BUILDKITE_JOB_ID: JOB,
  ...changes,
})

const ask = (env: Record<string, string | undefined>, options = {}) =>
  buildkiteToken({ env, audience: "sigstore", http: testClient(), ...options })

describe("a Buildkite job", () => {
  test("signs as its pipeline", async () => {
    const server = await agentApi()
    const identityToken = await getIdentityToken({
      env: jobEnv(`${server.url}`),
      http: testClient(),
      now: () => new Date(),
      clientID: "private",
      logIn: () => Promise.reject(new Error("nobody is there")),
    })
    expect(identityToken).toMatchObject({
      provider: "buildkite-agent",
      claims: { aud: ["private"], workloadUri: "https://buildkite.com/acme/app" },
    })
    expect(server.seen[0]?.headers).toMatchObject({ "content-type": "application/json", accept: "application/json" })
    expect(JSON.parse(server.seen[0]?.body.toString() ?? "")).toEqual({ audience: "private" })
  })

  test("may have a slash behind its endpoint", async () => {
    const server = await agentApi()
    await ask(jobEnv(server.url, { BUILDKITE_AGENT_ENDPOINT: `${server.url}/v3/` }))
    expect(server.seen[0]?.path).toBe(`/v3/jobs/${JOB}/oidc/tokens`)
  })

  test("asks again when Buildkite is busy", async () => {
    const server = await agentApi((count) => (count === 1 ? { status: 503 } : undefined))
    await expect(ask(jobEnv(server.url))).resolves.toEqual(expect.any(String))
    expect(server.seen).toHaveLength(2)
  })

  test.each<[string, Answer, RegExp]>([
    ["refuses its token", json({ message: "Invalid access token" }, 401), /answered 401: Invalid access token$/],
    ["does not know the job", json({ message: "Not Found" }, 404), /answered 404: Not Found$/],
    ["refuses the audience", json({ message: "Audience is invalid" }, 422), /answered 422: Audience is invalid$/],
    ["is down", { status: 500 }, /answered 500$/],
    [
      "sends it elsewhere",
      { status: 302, headers: { location: "https://evil.example/" } },
      /has moved to https:\/\/evil/,
    ],
    ["answers garbage", { body: "garbage" }, /not an identity token: not JSON$/],
    ["answers something else", json({ token: 1 }), /token is not a string$/],
  ])("fails when Buildkite %s", async (_, answer, message) => {
    const server = await agentApi(() => answer)
    const error = await ask(jobEnv(server.url)).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: "ERR_OIDC", message: expect.stringMatching(message) })
    expect(String(error)).not.toContain(AGENT_TOKEN)
  })

  test("fails with a hint when the job is over", async () => {
    const server = await agentApi()
    const env = jobEnv(server.url, { BUILDKITE_AGENT_ACCESS_TOKEN: "old" })
    await expect(ask(env)).rejects.toMatchObject({
      code: "ERR_OIDC",
      hint: expect.stringMatching(/while the job runs/),
    })
  })

  test("does not wait for ever, and can be cancelled", async () => {
    const server = await rawServer(() => undefined)
    const env = jobEnv(server.url)
    await expect(ask(env, { http: testClient({ timeoutMs: 200 }) })).rejects.toMatchObject({ code: "ERR_NETWORK" })
    await expect(ask(env, { signal: AbortSignal.timeout(100) })).rejects.toMatchObject({ code: "ERR_CANCELLED" })
    const port = await closedPort()
    await expect(ask(jobEnv(`http://localhost:${port}`))).rejects.toMatchObject({ code: "ERR_NETWORK" })
  })

  test.each<Record<string, string | undefined>>([
    { BUILDKITE_AGENT_ACCESS_TOKEN: undefined },
    { BUILDKITE_AGENT_ACCESS_TOKEN: "a\r\nb: c" },
    { BUILDKITE_JOB_ID: undefined },
    { BUILDKITE_JOB_ID: "../../other" },
  ])("with a broken environment sends nothing: %j", async (change) => {
    const server = await agentApi()
    await expect(ask(jobEnv(server.url, change))).rejects.toMatchObject({ code: "ERR_NO_TOKEN" })
    expect(server.seen).toHaveLength(0)
  })

  test("does not send its token over the network in the clear", async () => {
    const env = jobEnv("", { BUILDKITE_AGENT_ENDPOINT: "http://agent.example.com/v3" })
    await expect(ask(env)).rejects.toMatchObject({ code: "ERR_CONFIG" })
  })

  test("does not take a token of another issuer", async () => {
    const server = await agentApi(() => json({ token: testToken() }))
    const token = getIdentityToken({
      env: jobEnv(server.url),
      http: testClient(),
      now: () => new Date(),
      clientID: "sigstore",
      logIn: () => Promise.reject(new Error("nobody is there")),
    })
    await expect(token).rejects.toMatchObject({
      code: "ERR_TOKEN",
      message: expect.stringMatching(
        /issuer https:\/\/issuer\.example\.com, and buildkite-agent has those of https:\/\/agent\.buildkite/,
      ),
    })
  })
})
