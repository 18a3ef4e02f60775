/**
 * Logins at the sandbox's OpenID provider, with openid-client as the program and plain HTTP as the person's browser.
 *
 * @module
 */

import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as client from "openid-client"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { newKey, post, signingRequest, temporarySandbox } from "./client.ts"

let box: Awaited<ReturnType<typeof temporarySandbox>>
beforeAll(async () => {
  box = await temporarySandbox()
})
afterAll(() => box.remove())

/** A browser that keeps cookies and follows redirects, but not away from the provider. */
class Browser {
  readonly #cookies = new Map<string, { value: string; path: string }>()

  async open(
    url: string,
    form?: Record<string, string>,
  ): Promise<{ url: string; status: number; text: string; headers: Headers }> {
    let [target, body] = [url, form]
    for (let hops = 0; hops < 10; hops++) {
      const { pathname, origin } = new URL(target)
      const cookies = [...this.#cookies].filter(([, { path }]) => pathname.startsWith(path))
      const response = await fetch(target, {
        redirect: "manual",
        headers: { cookie: cookies.map(([name, { value }]) => `${name}=${value}`).join("; ") },
        ...(body === undefined ? {} : { method: "POST", body: new URLSearchParams(body) }),
      })
      for (const line of response.headers.getSetCookie()) {
        const [, name, value, path] = /^([^=]+)=([^;]*).*?path=([^;]+)/.exec(line) ?? []
        if (name !== undefined && value !== undefined && path !== undefined) this.#cookies.set(name, { value, path })
      }
      const location = response.headers.get("location")
      if (location === null)
        return { url: target, status: response.status, text: await response.text(), headers: response.headers }
      const next = new URL(location, target)
      if (next.origin !== origin)
        return { url: next.href, status: response.status, text: "", headers: response.headers }
      ;[target, body] = [next.href, undefined]
    }
    throw new Error("too many redirects")
  }

  /** Fills the login page's form in. */
  submit(page: { url: string; text: string }, fields: Record<string, string>): ReturnType<Browser["open"]> {
    const [, action = ""] = /<form method="post" action="([^"]+)"/.exec(page.text) ?? []
    return this.open(new URL(action, page.url).href, fields)
  }
}

const configuration = (): Promise<client.Configuration> =>
  client.discovery(new URL(box.sandbox.urls.issuer), "sigstore", undefined, client.None(), {
    execute: [client.allowInsecureRequests],
  })

interface Login {
  readonly config: client.Configuration
  readonly url: URL
  readonly checks: { pkceCodeVerifier: string; expectedState: string; expectedNonce: string; idTokenExpected: true }
}

async function beginLogin(redirectUri: string, more: Record<string, string> = {}): Promise<Login> {
  const config = await configuration()
  const verifier = client.randomPKCECodeVerifier()
  const [state, nonce] = [client.randomState(), client.randomNonce()]
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: "openid email",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    ...more,
  })
  const checks = {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  } as const
  return { config, url, checks }
}

describe("a login", () => {
  test.each(["http://localhost:43210/auth/callback", "http://127.0.0.1:1/auth/callback", "http://127.0.0.1:65535/"])(
    "through the page to %s gives an ID token that Fulcio takes",
    async (redirectUri) => {
      const { config, url, checks } = await beginLogin(redirectUri, { connector_id: "https://accounts.example.com" })
      const browser = new Browser()
      const page = await browser.open(url.href)
      const back = await browser.submit(page, { email: "person@example.com", answer: "continue" })
      expect(back.url.startsWith(redirectUri)).toBe(true)
      const tokens = await client.authorizationCodeGrant(config, new URL(back.url), checks)
      expect(tokens.claims()).toMatchObject({
        iss: box.sandbox.urls.issuer,
        aud: "sigstore",
        sub: expect.stringMatching(/^sandbox-/),
        email: "person@example.com",
        email_verified: true,
      })
      const request = signingRequest(tokens.id_token ?? "", newKey(), "person@example.com")
      expect((await post(`${box.sandbox.urls.fulcio}/api/v2/signingCert`, request)).status).toBe(200)
    },
  )

  test("over a real callback server, twice in one browser as two people", async () => {
    const seen: string[] = []
    const server = createServer((request, response) => {
      seen.push(request.url ?? "")
      response.end("done")
    })
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
    const redirectUri = `http://localhost:${(server.address() as AddressInfo).port}/auth/callback`
    const browser = new Browser()
    for (const email of ["one@example.com", "two@example.com"]) {
      const { config, url, checks } = await beginLogin(redirectUri)
      const page = await browser.open(url.href)
      expect(page.text).toContain("<form")
      const back = await browser.submit(page, { email, answer: "continue" })
      await fetch(back.url)
      const tokens = await client.authorizationCodeGrant(config, new URL(seen.at(-1) ?? "", redirectUri), checks)
      expect(tokens.claims()?.email).toBe(email)
    }
    await new Promise((done) => server.close(done))
  })

  test("that the person cancels comes back as access_denied", async () => {
    const { config, url, checks } = await beginLogin("http://localhost:43210/auth/callback")
    const browser = new Browser()
    const back = await browser.submit(await browser.open(url.href), { email: "", answer: "deny" })
    expect(new URL(back.url).searchParams.get("error")).toBe("access_denied")
    await expect(client.authorizationCodeGrant(config, new URL(back.url), checks)).rejects.toMatchObject({
      error: "access_denied",
    })
  })

  test("without a redirect shows the code to copy", async () => {
    const redirectUri = "urn:ietf:wg:oauth:2.0:oob"
    const { config, url, checks } = await beginLogin(redirectUri)
    const browser = new Browser()
    const page = await browser.submit(await browser.open(url.href), { email: "person@example.com", answer: "continue" })
    expect(page.status).toBe(200)
    const [, code = ""] = /<code>([^<]+)<\/code>/.exec(page.text) ?? []
    const response = await fetch(config.serverMetadata().token_endpoint ?? "", {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: "sigstore",
        code,
        redirect_uri: redirectUri,
        code_verifier: checks.pkceCodeVerifier,
      }),
    })
    expect(await response.json()).toMatchObject({ token_type: "Bearer", id_token: expect.stringMatching(/^eyJ/) })
  })

  test("asks again when the address is none, and keeps what was typed, harmlessly", async () => {
    const { url } = await beginLogin("http://localhost:43210/auth/callback")
    const browser = new Browser()
    const again = await browser.submit(await browser.open(url.href), { email: '"><script>', answer: "continue" })
    expect(again.status).toBe(422)
    expect(again.text).toContain('role="alert"')
    expect(again.text).toContain('value="&#34;&#62;&#60;script&#62;"')
    const back = await browser.submit(again, { email: "right@example.com", answer: "continue" })
    expect(new URL(back.url).searchParams.get("code")).toMatch(/./)
  })

  test("knows the address that the program hints at", async () => {
    const { url } = await beginLogin("http://localhost:43210/auth/callback", { login_hint: "hint@example.com" })
    expect((await new Browser().open(url.href)).text).toContain('value="hint@example.com"')
  })
})

describe("the login page", () => {
  test("is usable by keyboard and screen reader, and can be neither framed nor scripted", async () => {
    const { url } = await beginLogin("http://localhost:43210/auth/callback")
    const { text, headers } = await new Browser().open(url.href)
    expect(text).toMatch(/<html lang="en">/)
    expect(text).toMatch(/<label for="email">[^<]+<\/label>\s*<input id="email"/)
    expect(text.match(/<h1>/g)).toHaveLength(1)
    const policy = headers.get("content-security-policy") ?? ""
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(text).not.toContain("<script")
  })

  test("of a login that is over, or in another browser, says so", async () => {
    const { url } = await beginLogin("http://localhost:43210/auth/callback")
    const browser = new Browser()
    const page = await browser.open(url.href)
    const stranger = await new Browser().open(page.url)
    expect([stranger.status, stranger.text.includes("expired or was finished")]).toEqual([400, true])
    await browser.submit(page, { email: "a@example.com", answer: "continue" })
    expect((await browser.submit(page, { email: "b@example.com", answer: "continue" })).status).toBe(400)
  })
})

describe("refusals", () => {
  test.each([
    ["a redirect away from this machine", { redirect_uri: "http://attacker.example/auth/callback" }],
    ["a redirect to another path", { redirect_uri: "http://localhost:1/elsewhere" }],
    ["another client", { client_id: "other" }],
  ])("%s", async (_name, parameters) => {
    const { url } = await beginLogin("http://localhost:43210/auth/callback", parameters)
    const answer = await new Browser().open(url.href)
    expect(answer.status).toBe(400)
    expect(answer.url.startsWith(box.sandbox.urls.issuer)).toBe(true)
  })

  test("no PKCE, a wrong verifier, a code used twice", async () => {
    const { config, url, checks } = await beginLogin("http://localhost:43210/auth/callback")
    const bare = new URL(url)
    bare.searchParams.delete("code_challenge")
    bare.searchParams.delete("code_challenge_method")
    expect(new URL((await new Browser().open(bare.href)).url).searchParams.get("error")).toBe("invalid_request")

    const login = async (): Promise<URL> => {
      const browser = new Browser()
      return new URL(
        (await browser.submit(await browser.open(url.href), { email: "a@example.com", answer: "continue" })).url,
      )
    }
    const wrong = { ...checks, pkceCodeVerifier: client.randomPKCECodeVerifier() }
    await expect(client.authorizationCodeGrant(config, await login(), wrong)).rejects.toMatchObject({
      error: "invalid_grant",
    })
    const back = await login()
    await client.authorizationCodeGrant(config, back, checks)
    await expect(client.authorizationCodeGrant(config, back, checks)).rejects.toMatchObject({ error: "invalid_grant" })
  })
})

/** Begins a login on another device, as a program would. */
async function beginDeviceLogin(scope = "openid email") {
  const config = await configuration()
  const answer = await client.initiateDeviceAuthorization(config, { scope })
  const tokens = () =>
    client.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:device_code", {
      device_code: answer.device_code,
    })
  return { config, answer, tokens }
}

describe("a login on another device", () => {
  test("waits, and then gives an ID token that Fulcio takes, once", async () => {
    const { answer, tokens } = await beginDeviceLogin()
    expect(answer).toMatchObject({
      user_code: expect.stringMatching(/^[A-Z]{4}-[A-Z]{4}$/),
      verification_uri: `${box.sandbox.urls.issuer}/device`,
      verification_uri_complete: `${box.sandbox.urls.issuer}/device?user_code=${answer.user_code}`,
      expires_in: 600,
      interval: 1,
    })
    await expect(tokens()).rejects.toMatchObject({ error: "authorization_pending" })
    const browser = new Browser()
    const page = await browser.open(answer.verification_uri_complete ?? "")
    expect(page.text).toContain(`value="${answer.user_code}"`)
    const done = await browser.submit(page, {
      user_code: answer.user_code,
      email: "person@example.com",
      answer: "continue",
    })
    expect([done.status, done.text]).toEqual([200, expect.stringContaining("goes on as person@example.com")])
    const got = await tokens()
    expect(got.refresh_token).toBeUndefined()
    expect(got.claims()).toMatchObject({ aud: "sigstore", email: "person@example.com", email_verified: true })
    const request = signingRequest(got.id_token ?? "", newKey(), "person@example.com")
    expect((await post(`${box.sandbox.urls.fulcio}/api/v2/signingCert`, request)).status).toBe(200)
    await expect(tokens()).rejects.toMatchObject({ error: "invalid_grant" })
  })

  test("takes a code as people type it, and keeps what was wrong, harmlessly", async () => {
    const { answer, tokens } = await beginDeviceLogin()
    const browser = new Browser()
    const page = await browser.open(answer.verification_uri)
    const wrong = await browser.submit(page, { user_code: '"><script>', email: "a@example.com", answer: "continue" })
    expect([wrong.status, wrong.text]).toEqual([422, expect.stringContaining("No login waits for this code")])
    expect(wrong.text).toContain('role="alert"')
    expect(wrong.text).toContain('value="&#34;&#62;&#60;script&#62;"')
    const user_code = ` ${answer.user_code.toLowerCase().replace("-", " ")}`
    const noAddress = await browser.submit(wrong, { user_code, email: "nobody", answer: "continue" })
    expect([noAddress.status, noAddress.text]).toEqual([422, expect.stringContaining("Enter an e-mail address")])
    expect((await browser.submit(noAddress, { user_code, email: "a@example.com", answer: "continue" })).status).toBe(
      200,
    )
    expect((await tokens()).claims()?.email).toBe("a@example.com")
    const again = await browser.submit(page, { user_code, email: "b@example.com", answer: "continue" })
    expect([again.status, again.text]).toEqual([422, expect.stringContaining("used already")])
  })

  test("that the person cancels ends as access_denied", async () => {
    const { answer, tokens } = await beginDeviceLogin()
    const browser = new Browser()
    const fields = { user_code: answer.user_code, email: "", answer: "deny" }
    const page = await browser.submit(await browser.open(answer.verification_uri), fields)
    expect([page.status, page.text]).toEqual([200, expect.stringContaining("Nobody was signed in")])
    await expect(tokens()).rejects.toMatchObject({ error: "access_denied" })
    expect((await browser.submit(await browser.open(answer.verification_uri), fields)).status).toBe(422)
  })

  test("has a page that is usable by keyboard and screen reader, and nothing beside it", async () => {
    const { text, headers } = await new Browser().open(`${box.sandbox.urls.issuer}/device`)
    expect(text).toMatch(/<label for="code">[^<]+<\/label>\s*<input id="code"/)
    expect(text.match(/<h1>/g)).toHaveLength(1)
    expect(text).not.toContain("<script")
    expect(headers.get("content-security-policy")).toContain("default-src 'none'")
    expect((await new Browser().open(`${box.sandbox.urls.issuer}/device/x`)).status).toBe(404)
  })
})

describe("a refresh token", () => {
  const deviceTokens = async () => {
    const { config, answer, tokens } = await beginDeviceLogin("openid email offline_access")
    const browser = new Browser()
    const fields = { user_code: answer.user_code, email: "person@example.com", answer: "continue" }
    await browser.submit(await browser.open(answer.verification_uri), fields)
    return { config, tokens: await tokens() }
  }

  test("comes with a login in the browser, and only when it is asked for", async () => {
    for (const [more, comes] of [
      [{ scope: "openid email offline_access", prompt: "consent" }, true],
      [{ prompt: "consent" }, false],
    ] as const) {
      const { config, url, checks } = await beginLogin("http://localhost:43210/auth/callback", more)
      const browser = new Browser()
      const page = await browser.open(url.href)
      const back = await browser.submit(page, { email: "person@example.com", answer: "continue" })
      const tokens = await client.authorizationCodeGrant(config, new URL(back.url), checks)
      expect(tokens.refresh_token !== undefined).toBe(comes)
      if (tokens.refresh_token === undefined) continue
      const next = await client.refreshTokenGrant(config, tokens.refresh_token)
      expect(next.claims()).toMatchObject({ email: "person@example.com", email_verified: true })
    }
  })

  test("gives an ID token and its successor; used twice, it ends the login", async () => {
    const { config, tokens } = await deviceTokens()
    const first = tokens.refresh_token ?? ""
    const next = await client.refreshTokenGrant(config, first)
    expect(next.claims()).toMatchObject({ aud: "sigstore", email: "person@example.com", email_verified: true })
    expect(next.refresh_token).toMatch(/./)
    expect(next.refresh_token).not.toBe(first)
    await expect(client.refreshTokenGrant(config, first)).rejects.toMatchObject({ error: "invalid_grant" })
    await expect(client.refreshTokenGrant(config, next.refresh_token ?? "")).rejects.toMatchObject({
      error: "invalid_grant",
    })
  })

  test("is worth nothing when it was revoked, and the console stays empty", async () => {
    const notice = vi.spyOn(console, "info")
    const { config, tokens } = await deviceTokens()
    const token = tokens.refresh_token ?? ""
    await client.tokenRevocation(config, token)
    await expect(client.refreshTokenGrant(config, token)).rejects.toMatchObject({ error: "invalid_grant" })
    await client.tokenRevocation(config, token)
    expect(notice).not.toHaveBeenCalled()
    notice.mockRestore()
  })
})

test("the provider writes nothing to the console", async () => {
  const spies = (["info", "warn", "error", "log"] as const).map((name) => vi.spyOn(console, name))
  const other = await temporarySandbox()
  const { issuer } = other.sandbox.urls
  const response = await fetch(`${issuer}/.well-known/openid-configuration`)
  expect(await response.json()).toMatchObject({
    issuer,
    code_challenge_methods_supported: ["S256"],
    device_authorization_endpoint: `${issuer}/device/auth`,
    revocation_endpoint: expect.stringContaining(issuer),
  })
  for (const path of ["/device", "/device?user_code=X", "/device/x"]) await fetch(`${issuer}${path}`)
  await fetch(`${issuer}/device`, { method: "POST", body: new URLSearchParams({ user_code: "X" }) })
  await fetch(`${issuer}/device/auth`, { method: "POST", body: new URLSearchParams({ client_id: "sigstore" }) })
  await other.remove()
  for (const spy of spies) expect(spy).not.toHaveBeenCalled()
  vi.restoreAllMocks()
})
