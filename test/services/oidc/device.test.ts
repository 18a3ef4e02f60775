/**
 * The login on another device, with a provider that behaves, with everything that can happen instead, and with the sandbox.
 *
 * @module
 */

import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { describe, expect, onTestFinished, test } from "vitest"
import { type DeviceOptions, type DevicePrompt, deviceToken } from "../../../src/services/oidc/device.ts"
import { parseIdentityToken } from "../../../src/services/oidc/token.ts"
import { temporarySandbox } from "../../sandbox/client.ts"
import { type Answer, closedPort, httpServer, json, rawServer, testClient } from "../loopback.ts"
import { type DeviceIssuerChanges, startDeviceIssuer } from "./device-issuer.ts"

/** Begins a login with a person who has done all there is to do. */
async function login(changes: DeviceIssuerChanges = {}, options: Partial<DeviceOptions> = {}) {
  const issuer = await startDeviceIssuer(changes)
  const prompts: DevicePrompt[] = []
  const outcome = deviceToken({
    http: testClient(),
    issuer: issuer.url,
    clientID: "sigstore",
    show: (prompt) => prompts.push(prompt),
    ...options,
  })
  outcome.catch(() => undefined)
  return { issuer, prompts, outcome }
}

const gaps = (moments: readonly number[]): number[] =>
  moments.slice(1).map((moment, i) => moment - (moments[i] ?? Number.NaN))

describe("a login", () => {
  test("shows what to do, waits, and returns the token", async () => {
    const start = Date.now()
    const { issuer, prompts, outcome } = await login({ before: ["authorization_pending", "authorization_pending"] })
    const loggedIn = await outcome
    expect(loggedIn).toEqual({
      token: expect.any(String),
      provider: "device",
      agreed: false,
      refreshToken: undefined,
    })
    expect(parseIdentityToken(loggedIn?.token ?? "")).toMatchObject({ iss: issuer.url, aud: ["sigstore"] })
    expect(prompts).toEqual([
      {
        address: `${issuer.url}/device`,
        addressWithCode: `${issuer.url}/device?user_code=WDJB-MJHT`,
        userCode: "WDJB-MJHT",
        expiresAt: expect.any(Date),
      },
    ])
    const lifeMs = (prompts[0]?.expiresAt.getTime() ?? 0) - start
    expect(lifeMs).toBeGreaterThanOrEqual(300_000)
    expect(lifeMs).toBeLessThan(310_000)
    expect(Object.fromEntries(issuer.bodies("/device/code")[0] ?? [])).toEqual({
      client_id: "sigstore",
      scope: "openid email",
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: "S256",
    })
    expect(issuer.bodies("/token").map((body) => body.get("device_code"))).toEqual(Array(3).fill("the-device-code"))
    expect(Math.min(...gaps(issuer.asked))).toBeGreaterThan(180)
  })

  test("hands on a refresh token where it was asked for, and only there", async () => {
    const tokens = { refresh_token: "the-refresh-token" }
    const asking = await login({ tokens }, { wantsRefresh: true, connectorID: "https://github.com/login/oauth" })
    expect(await asking.outcome).toMatchObject({ refreshToken: "the-refresh-token" })
    const parameters = asking.issuer.bodies("/device/code")[0]
    expect(parameters?.get("scope")).toBe("openid email offline_access")
    expect(parameters?.get("connector_id")).toBe("https://github.com/login/oauth")
    const other = await login({ tokens })
    expect((await other.outcome)?.refreshToken).toBeUndefined()
  })

  test("takes the code from an issuer that calls its JSON text, and does without the second address", async () => {
    const body = JSON.stringify({
      device_code: "d",
      user_code: "ABCD",
      verification_uri: "https://issuer.example.com/device",
      expires_in: 60,
      interval: 0.2,
    })
    const { prompts, outcome } = await login({ deviceAnswer: { headers: { "content-type": "text/plain" }, body } })
    await outcome
    expect(prompts).toEqual([
      { address: "https://issuer.example.com/device", userCode: "ABCD", expiresAt: expect.any(Date) },
    ])
  })

  test("asks less often when it is told to slow down", async () => {
    const { issuer, outcome } = await login({ before: ["slow_down"] })
    await outcome
    expect(gaps(issuer.asked)[0]).toBeGreaterThanOrEqual(5100)
  })

  test("goes on after answers that are none", async () => {
    const { issuer, outcome } = await login({ before: [{ status: 503 }, { status: 500 }, "authorization_pending"] })
    expect(await outcome).toBeDefined()
    const [first = 0, second = 0, third = 0] = gaps(issuer.asked)
    expect(first).toBeGreaterThan(380)
    expect(second).toBeGreaterThan(780)
    expect(third).toBeLessThan(second)
  })

  test("goes on when the network was away for a moment", async () => {
    let drops = 2
    const gateway = await startDeviceIssuer()
    const http = testClient()
    const broken = await rawServer((socket) => socket.destroy())
    const request: typeof http.request = (one) =>
      one.url.endsWith("/token") && drops-- > 0
        ? http.request({ ...one, url: `${broken.url}/token` })
        : http.request(one)
    const options = { http: { ...http, request }, issuer: gateway.url, clientID: "sigstore", show: () => undefined }
    expect(await deviceToken(options)).toMatchObject({ provider: "device" })
    expect(broken.connections()).toBeGreaterThan(0)
  })

  test("is not there where the issuer has none", async () => {
    const { issuer, prompts, outcome } = await login({ discovery: { device_authorization_endpoint: undefined } })
    expect(await outcome).toBeUndefined()
    expect(prompts).toEqual([])
    expect(issuer.seen).toHaveLength(1)
  })
})

describe("a login fails", () => {
  test.each<[string, DeviceIssuerChanges, RegExp, RegExp?]>([
    [
      "the person declines",
      { before: [json({ error: "access_denied", error_description: "you said no" }, 400)] },
      /refused the login: access_denied, you said no$/,
      /nothing was signed/,
    ],
    [
      "the code expires",
      { before: ["expired_token"] },
      /the code of \S+ expired: nobody logged in within 300 s$/,
      /new code/,
    ],
    ["the code is unknown", { before: ["invalid_grant"] }, /refused the login: invalid_grant$/],
    [
      "the client may not",
      { deviceAnswer: json({ error: "unauthorized_client" }, 400) },
      /unauthorized_client$/,
      /clientID/,
    ],
    ["the service stays down", { before: Array<Answer>(9).fill({ status: 500 }) }, /went wrong.*500/],
    ["the audience is another", { claims: { aud: "other" } }, /went wrong/],
    ["the issuer is another", { claims: { iss: "https://evil.example" } }, /went wrong/],
    ["the token is expired", { claims: { exp: 1_000_000_000 } }, /went wrong/],
    ["there is no token", { tokens: { id_token: undefined } }, /answered without an identity token$/],
    ["the code is garbage", { deviceAnswer: json({ device_code: "d" }) }, /went wrong/],
    [
      "the code is a page",
      { deviceAnswer: { headers: { "content-type": "text/html" }, body: "<html>" } },
      /went wrong/,
    ],
    [
      "the code would forge lines",
      { device: { user_code: "A\u001b[2J\nlogged in" } },
      /a code that nobody could enter$/,
    ],
    ["the code is endless", { device: { user_code: "A".repeat(100) } }, /a code that nobody could enter$/],
    [
      "the address runs something",
      { device: { verification_uri: "javascript:alert(1)" } },
      /an address that gitsign does not/,
    ],
    [
      "the address is not safe",
      { device: { verification_uri: "http://evil.example/" } },
      /an address that gitsign does not/,
    ],
  ])("when %s", async (_, changes, message, hint = /./) => {
    const { issuer, prompts, outcome } = await login(changes)
    await expect(outcome).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    })
    await expect(outcome).rejects.toThrow(`localhost:${issuer.port}`)
    await expect(outcome).rejects.not.toThrow("the-device-code")
    expect(prompts.length).toBeLessThanOrEqual(1)
  })

  test("without showing an address with a code that is not safe to open", async () => {
    const { prompts, outcome } = await login({ device: { verification_uri_complete: "http://evil.example/" } })
    await outcome
    expect(prompts[0]).not.toHaveProperty("addressWithCode")
  })

  test("when nobody logs in: the code's own life, or the shorter time that was given", async () => {
    const pending = Array<string>(99).fill("authorization_pending")
    const short = await login({ before: pending, device: { expires_in: 0.5 } })
    await expect(short.outcome).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: `the code of localhost:${short.issuer.port} expired: nobody logged in within 0.5 s`,
    })
    const given = await login({ before: pending }, { loginTimeoutMs: 400 })
    await expect(given.outcome).rejects.toThrow(/within 0.4 s$/)
    const endless = await login({ device: { expires_in: 1e12 } })
    await endless.outcome
    expect((endless.prompts[0]?.expiresAt.getTime() ?? Infinity) - Date.now()).toBeLessThanOrEqual(15 * 60_000)
  })

  test("when it is cancelled, at once", async () => {
    const controller = new AbortController()
    const start = performance.now()
    const show = (): void => void setTimeout(() => controller.abort(), 100)
    const { issuer, outcome } = await login({ device: { interval: 30 } }, { signal: controller.signal, show })
    await expect(outcome).rejects.toMatchObject({ code: "ERR_CANCELLED" })
    expect(performance.now() - start).toBeLessThan(3000)
    expect(issuer.asked).toEqual([])
    const before = await login({}, { signal: AbortSignal.abort() })
    await expect(before.outcome).rejects.toMatchObject({ code: "ERR_CANCELLED" })
    expect(before.issuer.seen).toEqual([])
  })

  test("when the issuer is not there, or is no issuer", async () => {
    const gone = await login({}, { issuer: `http://localhost:${await closedPort()}` })
    await expect(gone.outcome).rejects.toMatchObject({ code: "ERR_NETWORK" })
    const other = await httpServer(() => ({ status: 404 }))
    await expect((await login({}, { issuer: other.url })).outcome).rejects.toMatchObject({ code: "ERR_OIDC" })
    const plain = await login({}, { issuer: "http://issuer.example.com" })
    await expect(plain.outcome).rejects.toMatchObject({ code: "ERR_CONFIG" })
  })
})

describe("at the sandbox", () => {
  /** A sandbox, and a person who does this with the code that is shown. */
  async function sandboxLogin(answer: string, withCode: boolean) {
    const { sandbox, remove } = await temporarySandbox()
    onTestFinished(remove)
    let person: Promise<unknown> = Promise.resolve()
    const show = (prompt: DevicePrompt): void => {
      const where = withCode ? [prompt.addressWithCode ?? ""] : [prompt.address, prompt.userCode]
      person = promisify(execFile)(process.execPath, [browser, answer, "person@example.com", ...where])
    }
    const { issuer } = sandbox.urls
    const loggedIn = await deviceToken({ http: testClient(), issuer, clientID: "sigstore", show, wantsRefresh: true })
    await person
    return loggedIn
  }
  const browser = new URL("../../e2e/device-browser.mjs", import.meta.url).pathname

  test.each([true, false])("a person approves; the code is in the address: %s", async (withCode) => {
    const loggedIn = await sandboxLogin("continue", withCode)
    expect(parseIdentityToken(loggedIn?.token ?? "")).toMatchObject({
      email: "person@example.com",
      emailVerified: true,
    })
    expect(loggedIn?.refreshToken).toMatch(/./)
  })

  test("a person cancels", async () => {
    await expect(sandboxLogin("deny", true)).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: expect.stringMatching(/access_denied, the person cancelled the login$/),
    })
  })
})
