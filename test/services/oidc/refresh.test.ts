/**
 * Refresh tokens: used, used up, revoked, and what issuers answer otherwise.
 *
 * @module
 */

import { describe, expect, onTestFinished, test } from "vitest"
import { deviceToken } from "../../../src/services/oidc/device.ts"
import { type RefreshOptions, refreshedToken, revokeRefreshToken } from "../../../src/services/oidc/refresh.ts"
import { parseIdentityToken } from "../../../src/services/oidc/token.ts"
import { temporarySandbox } from "../../sandbox/client.ts"
import { closedPort, json, rawServer, testClient } from "../loopback.ts"
import { type DeviceIssuerChanges, startDeviceIssuer } from "./device-issuer.ts"

async function setUp(changes: DeviceIssuerChanges = {}, more: Partial<RefreshOptions> = {}) {
  const issuer = await startDeviceIssuer(changes)
  const options = { http: testClient(), issuer: issuer.url, clientID: "sigstore", refreshToken: "the-secret", ...more }
  return { issuer, options }
}

describe("a refresh token", () => {
  test("gives an identity token, and its successor where there is one", async () => {
    const { issuer, options } = await setUp({ tokens: { refresh_token: "the-next" } })
    const refreshed = await refreshedToken(options)
    expect(refreshed).toEqual({ token: expect.any(String), refreshToken: "the-next" })
    expect(parseIdentityToken(refreshed?.token ?? "")).toMatchObject({ iss: issuer.url, aud: ["sigstore"] })
    expect(Object.fromEntries(issuer.bodies("/token")[0] ?? [])).toEqual({
      client_id: "sigstore",
      grant_type: "refresh_token",
      refresh_token: "the-secret",
    })
    const same = await setUp()
    expect(await refreshedToken(same.options)).toEqual({ token: expect.any(String) })
  })

  test.each<[string, DeviceIssuerChanges]>([
    ["it is revoked", { before: ["invalid_grant"] }],
    ["it is used up, as Dex says it", { before: ["invalid_request"] }],
    ["no identity token comes with it", { tokens: { id_token: undefined } }],
  ])("is of no use any more when %s", async (_, changes) => {
    const { options } = await setUp(changes)
    expect(await refreshedToken(options)).toBeUndefined()
  })

  test.each<[string, DeviceIssuerChanges, string]>([
    ["the client is not known", { before: [json({ error: "invalid_client" }, 401)] }, "ERR_OIDC"],
    ["the service is down", { before: [{ status: 500 }] }, "ERR_OIDC"],
    ["the token is for somebody else", { claims: { aud: "other" } }, "ERR_OIDC"],
    ["the token is of somebody else", { claims: { iss: "https://evil.example" } }, "ERR_OIDC"],
    ["the token is expired", { claims: { exp: 1_000_000_000 } }, "ERR_OIDC"],
  ])("is not lost when %s", async (_, changes, code) => {
    const { options } = await setUp(changes)
    const outcome = refreshedToken(options)
    await expect(outcome).rejects.toMatchObject({ code })
    await expect(outcome).rejects.not.toThrow("the-secret")
  })

  test("is not waited for without an end", async () => {
    const { options } = await setUp({}, { issuer: `http://localhost:${await closedPort()}` })
    await expect(refreshedToken(options)).rejects.toMatchObject({ code: "ERR_NETWORK" })
    const hanging = await rawServer(() => undefined)
    const slow = await setUp({ discovery: { token_endpoint: `${hanging.url}/token` } })
    const http = testClient({ timeoutMs: 300 })
    await expect(refreshedToken({ ...slow.options, http })).rejects.toMatchObject({ code: "ERR_NETWORK" })
    const signal = AbortSignal.timeout(200)
    await expect(refreshedToken({ ...slow.options, signal })).rejects.toMatchObject({ code: "ERR_CANCELLED" })
  })
})

describe("revoking", () => {
  test("tells the issuer", async () => {
    const { issuer, options } = await setUp()
    await revokeRefreshToken(options)
    expect(Object.fromEntries(issuer.bodies("/revoke")[0] ?? [])).toEqual({
      client_id: "sigstore",
      token: "the-secret",
      token_type_hint: "refresh_token",
    })
  })

  test("asks nothing of an issuer that cannot", async () => {
    const { issuer, options } = await setUp({ discovery: { revocation_endpoint: undefined } })
    await revokeRefreshToken(options)
    expect(issuer.seen).toHaveLength(1)
  })

  test("says when it was refused, or nobody answered", async () => {
    const { issuer, options } = await setUp({ revocationAnswer: json({ error: "unsupported_token_type" }, 400) })
    const outcome = revokeRefreshToken(options)
    await expect(outcome).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: expect.stringMatching(
        `^localhost:${issuer.port} did not revoke the refresh token .*unsupported_token_type`,
      ),
      hint: expect.stringMatching(/at the issuer/),
    })
    await expect(outcome).rejects.not.toThrow("the-secret")
    const gone = await setUp({ discovery: { revocation_endpoint: `http://localhost:${await closedPort()}/revoke` } })
    await expect(revokeRefreshToken(gone.options)).rejects.toMatchObject({ code: "ERR_NETWORK" })
  })
})

test("at the sandbox: used, used twice, revoked", async () => {
  const { sandbox, remove } = await temporarySandbox()
  onTestFinished(remove)
  const options = { http: testClient(), issuer: sandbox.urls.issuer, clientID: "sigstore" }
  const logIn = async (): Promise<string> => {
    const show = ({ address, userCode }: { address: string; userCode: string }): void => {
      const body = new URLSearchParams({ user_code: userCode, email: "person@example.com", answer: "continue" })
      void fetch(address, { method: "POST", body })
    }
    return (await deviceToken({ ...options, wantsRefresh: true, show }))?.refreshToken ?? ""
  }
  const first = await logIn()
  const next = await refreshedToken({ ...options, refreshToken: first })
  expect(parseIdentityToken(next?.token ?? "").email).toBe("person@example.com")
  expect(next?.refreshToken).toMatch(/./)
  expect(await refreshedToken({ ...options, refreshToken: first })).toBeUndefined()
  expect(await refreshedToken({ ...options, refreshToken: next?.refreshToken ?? "" })).toBeUndefined()

  const second = await logIn()
  await revokeRefreshToken({ ...options, refreshToken: second })
  expect(await refreshedToken({ ...options, refreshToken: second })).toBeUndefined()
})
