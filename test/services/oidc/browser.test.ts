/**
 * The login in a browser, with a provider that behaves and with everything that can happen instead.
 *
 * @module
 */

import { connect, createServer } from "node:net"
import { setTimeout as delay } from "node:timers/promises"
import { describe, expect, test, vi } from "vitest"
import { GitsignError, isGitsignError, messageOf } from "../../../src/errors.ts"
import { type BrowserOptions, browserToken } from "../../../src/services/oidc/browser.ts"
import { parseIdentityToken } from "../../../src/services/oidc/token.ts"
import { type Answer, closedPort, httpServer, json, rawServer, testClient } from "../loopback.ts"
import { testToken } from "../tokens.ts"
import { type IssuerChanges, startIssuer, type TestIssuer } from "./issuer.ts"

/** A browser that goes where it is sent, and what it showed. */
function browser() {
  const pages: { status: number; headers: Headers; text: string }[] = []
  let lastUrl = ""
  let shown: () => void
  const done = new Promise<void>((resolve) => {
    shown = resolve
  })
  const open = async (url: string): Promise<void> => {
    lastUrl = url
    const response = await fetch(url)
    pages.push({ status: response.status, headers: response.headers, text: await response.text() })
    shown()
  }
  return { open, pages, done, url: () => new URL(lastUrl) }
}

/** Logs in with the scripted browser. */
async function login(changes: IssuerChanges = {}, options: Partial<BrowserOptions> = {}) {
  const issuer = await startIssuer(changes)
  const window = browser()
  const addresses: string[] = []
  const token = browserToken({
    http: testClient(),
    issuer: issuer.url,
    clientID: "sigstore",
    notify: (url) => addresses.push(url),
    openBrowser: window.open,
    loginTimeoutMs: 5000,
    publication: ({ email }) => ({ who: `${email} (Test)`, log: "log.example.com", remarks: [], needsConsent: false }),
    ...options,
  })
  return { issuer, window, addresses, token }
}

/** Whether anything listens on the redirect address of the last login, a moment after its end. */
const isListening = async (issuer: TestIssuer): Promise<boolean> => {
  await delay(1200)
  const { port } = new URL(issuer.authorization().get("redirect_uri") ?? "")
  return new Promise((resolve) => {
    const socket = connect(Number(port), "127.0.0.1", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", () => resolve(false))
  })
}

describe("a login", () => {
  test("returns the token, shows its address first, and leaves nothing listening", async () => {
    const { issuer, window, addresses, token } = await login()
    const loggedIn = await token
    expect(loggedIn).toMatchObject({ provider: "interactive", agreed: false, refreshToken: undefined })
    expect(parseIdentityToken(loggedIn.token)).toMatchObject({
      iss: issuer.url,
      aud: ["sigstore"],
      email: "dev@example.com",
    })
    expect(addresses).toEqual([window.url().href])
    const parameters = Object.fromEntries(issuer.authorization())
    expect(parameters).toMatchObject({
      client_id: "sigstore",
      response_type: "code",
      scope: "openid email",
      code_challenge_method: "S256",
      redirect_uri: expect.stringMatching(/^http:\/\/localhost:\d+\/auth\/callback$/),
    })
    expect(parameters).not.toHaveProperty("connector_id")
    expect(parameters.state?.length).toBeGreaterThanOrEqual(32)
    expect(parameters.nonce?.length).toBeGreaterThanOrEqual(32)
    expect(await isListening(issuer)).toBe(false)
  })

  test("shows a page that says who signed in and what becomes public, runs nothing and tells nobody the code", async () => {
    const { window, token } = await login()
    await token
    await window.done
    const [page] = window.pages
    expect(page?.status).toBe(200)
    expect(page?.text).toMatch(/<html lang="en">[\s\S]*<h1>You are logged in<\/h1>/)
    for (const fact of ["dev@example.com (Test)", "log.example.com", "For ever"]) expect(page?.text).toContain(fact)
    expect(page?.text).not.toMatch(/<script|<form/)
    expect(page?.headers.get("content-security-policy")).toMatch(/^default-src 'none'/)
    expect(page?.headers.get("referrer-policy")).toBe("no-referrer")
    expect(page?.headers.get("cache-control")).toBe("no-store")
  })

  test("can close its page, go to one connector, and use a fixed address", async () => {
    const port = await closedPort()
    const redirectURL = `http://localhost:${port}/cb`
    const { issuer, window, token } = await login(
      {},
      { autocloseSeconds: 6, connectorID: "https://github.com/login/oauth", redirectURL },
    )
    await token
    await window.done
    expect(window.pages[0]?.text).toContain("setTimeout(close,6000)")
    expect(issuer.authorization().get("connector_id")).toBe("https://github.com/login/oauth")
    expect(issuer.authorization().get("redirect_uri")).toBe(redirectURL)
  })

  test("leaves a fixed address free for the next login at once", async () => {
    const redirectURL = `http://127.0.0.1:${await closedPort()}/cb`
    await (await login({}, { redirectURL })).token
    await (await login({}, { redirectURL })).token
  })

  test.each([
    [undefined, "basic"],
    [["client_secret_basic"], "basic"],
    [["client_secret_basic", "client_secret_post"], "post"],
  ])("gives the client secret as the provider wants it: %j, %s", async (methods, way) => {
    const discovery = { token_endpoint_auth_methods_supported: methods }
    const { issuer, token } = await login({ discovery }, { clientSecret: "s3cret" })
    await token
    const { parameters, authorization } = issuer.tokenRequest()
    expect(parameters.get("client_secret")).toBe(way === "post" ? "s3cret" : null)
    const basic = `Basic ${Buffer.from("sigstore:s3cret").toString("base64")}`
    expect(authorization).toBe(way === "basic" ? basic : undefined)
  })

  test("works without a browser that opens by itself", async () => {
    const failing = async () => {
      throw new Error("no display")
    }
    let shown: (url: string) => void = () => undefined
    const address = new Promise<string>((resolve) => {
      shown = resolve
    })
    const { token } = await login({}, { openBrowser: failing, notify: (url) => shown(url) })
    await fetch(await address)
    await expect(token).resolves.toMatchObject({ token: expect.any(String), agreed: false })
  })

  test("is used once and shown as often as one likes, however often the browser comes back", async () => {
    let shown: (statuses: number[]) => void = () => undefined
    const statuses = new Promise<number[]>((resolve) => {
      shown = resolve
    })
    const openBrowser = async (url: string): Promise<void> => {
      const location = (await fetch(url, { redirect: "manual" })).headers.get("location") ?? ""
      const responses = await Promise.all([fetch(location), fetch(location)])
      shown(responses.map(({ status }) => status).sort())
    }
    const { issuer, token } = await login({ tokenDelayMs: 200 }, { openBrowser })
    await token
    expect(await statuses).toEqual([200, 200])
    expect(issuer.seen.filter(({ path }) => path === "/token")).toHaveLength(1)
  })

  test("is not disturbed by other pages that send the browser here", async () => {
    const statuses: number[] = []
    const openBrowser = async (url: string): Promise<void> => {
      const { searchParams } = new URL(url)
      const callback = searchParams.get("redirect_uri") ?? ""
      const status = async (address: string, init?: RequestInit) => statuses.push((await fetch(address, init)).status)
      await status(callback)
      await status(`${callback}?code=x&state=wrong`)
      await status(`${callback}?error=access_denied`)
      await status(new URL("/favicon.ico", callback).href)
      await status(`${callback}?state=${searchParams.get("state")}`, { method: "POST" })
      await status(url)
    }
    const { token } = await login({}, { openBrowser })
    await expect(token).resolves.toMatchObject({ token: expect.any(String), agreed: false })
    expect(statuses.slice(0, 5)).toEqual([400, 400, 400, 404, 405])
  })
})

describe("the port", () => {
  test("is held at every address that localhost stands for, so that nobody else gets the code", async () => {
    const taken: unknown[] = []
    const openBrowser = async (url: string): Promise<void> => {
      const { port } = new URL(new URL(url).searchParams.get("redirect_uri") ?? "")
      for (const host of ["127.0.0.1", "::1"]) {
        const other = createServer()
        const outcome = await new Promise((resolve) => {
          other.once("error", (error) => resolve("code" in error ? error.code : error))
          other.listen(Number(port), host, () => resolve("listens"))
        })
        other.close()
        taken.push(outcome)
      }
      await fetch(url)
    }
    const { token } = await login({}, { openBrowser })
    await token
    // EADDRNOTAVAIL: this machine has no IPv6.
    expect(taken).toEqual(["EADDRINUSE", expect.stringMatching(/^(EADDRINUSE|EADDRNOTAVAIL|EAFNOSUPPORT)$/)])
  })
})

describe("an opener", () => {
  test("that fails is told of with its reason, and may end the login", async () => {
    const openBrowser = async () => {
      throw new Error("no display")
    }
    const shown: [url: string, opening: boolean][] = []
    const causes: string[] = []
    const { token } = await login(
      {},
      {
        openBrowser,
        notify: (url, opening) => void shown.push([url, opening]),
        openFailed: (cause) => {
          causes.push(messageOf(cause))
          void fetch(shown[0]?.[0] ?? "")
        },
      },
    )
    await token
    expect(shown).toEqual([[expect.any(String), true]])
    expect(causes).toEqual(["no display"])
    const nobody = new GitsignError("ERR_NO_TOKEN", "nobody sees the address")
    const openFailed = (): never => {
      throw nobody
    }
    await expect((await login({}, { openBrowser, openFailed })).token).rejects.toBe(nobody)
  })

  test("that fails after it has worked is not heard of", async () => {
    const shown: boolean[] = []
    const openBrowser = async (url: string) => {
      await fetch(url)
      await delay(50)
      throw new Error("ended with 1")
    }
    const notify = (_: string, opening: boolean) => shown.push(opening)
    const openFailed = () => {
      throw new Error("heard of")
    }
    const { token } = await login({}, { openBrowser, openFailed, notify })
    await expect(token).resolves.toMatchObject({ token: expect.any(String) })
    await delay(100)
    expect(shown).toEqual([true])
  })

  test("may be the person: the address is shown once", async () => {
    const notify = vi.fn((url: string) => void fetch(url))
    await (await login({}, { openBrowser: undefined, notify })).token
    expect(notify.mock.calls).toEqual([[expect.any(String), false]])
  })
})

describe("a refresh token", () => {
  const tokenAnswer = (issuer: TestIssuer): Answer =>
    json({
      access_token: "a",
      token_type: "Bearer",
      refresh_token: "refresh-1",
      id_token: testToken({ iss: issuer.url, nonce: issuer.authorization().get("nonce") }),
    })

  test.each([
    [true, "openid email offline_access", "consent", "refresh-1"],
    [false, "openid email", null, undefined],
  ])("is asked for and given when wanted: %s", async (wantsRefresh, scope, prompt, refreshToken) => {
    const changes: { tokenAnswer?: Answer } = {}
    const { issuer, token } = await login(changes, {
      wantsRefresh,
      openBrowser: async (url) => {
        const location = (await fetch(url, { redirect: "manual" })).headers.get("location") ?? ""
        changes.tokenAnswer = tokenAnswer(issuer)
        await fetch(location)
      },
    })
    expect(await token).toMatchObject({ refreshToken })
    expect(issuer.authorization().get("scope")).toBe(scope)
    expect(issuer.authorization().get("prompt")).toBe(prompt)
  })
})

describe("a login fails", () => {
  test("when the caller does not want this identity, and the page says why", async () => {
    const { window, token } = await login(
      {},
      {
        publication: () => {
          throw new GitsignError("ERR_COMMITTER", "the login is that of another", { hint: "log in as yourself" })
        },
      },
    )
    await expect(token).rejects.toMatchObject({ code: "ERR_COMMITTER" })
    await window.done
    expect(window.pages[0]?.text).toMatch(
      /The login failed[\s\S]*the login is that of another[\s\S]*log in as yourself/,
    )
  })

  test.each<[string, IssuerChanges, RegExp]>([
    [
      "the person declines",
      { callback: { error: "access_denied", error_description: "you said no" } },
      /refused the login: access_denied, you said no$/,
    ],
    ["the code is refused", { callback: { code: "wrong" } }, /refused the login: invalid_grant$/],
    ["the discovery is for another issuer", { discovery: { issuer: "https://evil.example" } }, /issuer/],
    [
      "there is no S256",
      { discovery: { code_challenge_methods_supported: ["plain"] } },
      /does not support PKCE with S256$/,
    ],
    ["the nonce is another", { claims: { nonce: "x" } }, /went wrong/],
    ["the nonce is missing", { claims: { nonce: undefined } }, /went wrong/],
    ["the audience is another", { claims: { aud: "other" } }, /went wrong/],
    ["the issuer is another", { claims: { iss: "https://evil.example" } }, /went wrong/],
    ["the token is expired", { claims: { exp: 1_000_000_000 } }, /went wrong/],
    [
      "there is no token",
      {
        tokenAnswer: {
          headers: { "content-type": "application/json" },
          body: '{"access_token":"x","token_type":"Bearer"}',
        },
      },
      /went wrong/,
    ],
    [
      "the answer is garbage",
      { tokenAnswer: { headers: { "content-type": "application/json" }, body: "garbage" } },
      /went wrong/,
    ],
    [
      "the answer is a page",
      { tokenAnswer: { headers: { "content-type": "text/html" }, body: "<html>" } },
      /went wrong/,
    ],
    ["the service is down", { tokenAnswer: { status: 500 } }, /went wrong.*500/],
    [
      "the endpoint is redirected",
      { tokenAnswer: { status: 307, headers: { location: "https://evil.example/" } } },
      /went wrong.*307/,
    ],
  ])("when %s", async (_, changes, message) => {
    const { issuer, window, token } = await login(changes)
    const error = await token.catch((error: unknown) => error)
    expect(isGitsignError(error) && error.code).toBe("ERR_OIDC")
    expect(messageOf(error)).toMatch(message)
    expect(messageOf(error)).toContain(`localhost:${issuer.port}`)
    if (issuer.authorization().size > 0) {
      await window.done
      expect(window.pages[0]).toMatchObject({ status: 400, text: expect.stringContaining("The login failed") })
      // The same words as on the terminal, with the same hint.
      const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
      expect(window.pages[0]?.text).toContain(escaped(messageOf(error)))
      expect(window.pages[0]?.text).toContain(escaped((isGitsignError(error) && error.hint) || "no hint"))
    }
  })

  test("without putting the issuer's words into the page as HTML", async () => {
    const { window, token } = await login({ callback: { error: "x", error_description: "<script>alert(1)</script>" } })
    await token.catch(() => undefined)
    await window.done
    expect(window.pages[0]?.text).toContain("&#60;script&#62;")
    expect(window.pages[0]?.text).not.toContain("<script>")
  })

  test("when nobody logs in", async () => {
    const start = performance.now()
    const { issuer, token } = await login({}, { openBrowser: async () => undefined, loginTimeoutMs: 200 })
    await expect(token).rejects.toMatchObject({ code: "ERR_OIDC", message: "nobody logged in within 0.2 s" })
    expect(issuer.authorization().size).toBe(0)
    expect(performance.now() - start).toBeLessThan(2000)
  })

  test("when it is cancelled, before, during and after the redirect", async () => {
    const cancelled = { code: "ERR_CANCELLED" }
    const waiting = await login({}, { openBrowser: async () => undefined, signal: AbortSignal.timeout(150) })
    await expect(waiting.token).rejects.toMatchObject(cancelled)
    const before = await login({}, { signal: AbortSignal.abort() })
    await expect(before.token).rejects.toMatchObject(cancelled)
    expect(before.issuer.seen).toHaveLength(0)
    const hanging = await rawServer(() => undefined)
    const during = await login(
      { discovery: { token_endpoint: `${hanging.url}/token` } },
      { signal: AbortSignal.timeout(300) },
    )
    await expect(during.token).rejects.toMatchObject(cancelled)
    expect(await isListening(during.issuer)).toBe(false)
  })

  test("when the issuer is not there, hangs, or is no issuer", async () => {
    const port = await closedPort()
    await expect((await login({}, { issuer: `http://localhost:${port}` })).token).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: `localhost:${port} refused the connection`,
    })
    const hanging = await rawServer(() => undefined)
    const slow = await login({}, { issuer: hanging.url, http: testClient({ timeoutMs: 200 }) })
    await expect(slow.token).rejects.toMatchObject({ code: "ERR_NETWORK" })
    const other = await httpServer(() => ({ status: 404 }))
    await expect((await login({}, { issuer: other.url })).token).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: expect.stringMatching(/status 404/),
    })
  })

  test("when the provider sends its clients to an address without TLS", async () => {
    const { token } = await login({ discovery: { token_endpoint: "http://evil.example/token" } })
    await expect(token).rejects.toMatchObject({ code: "ERR_CONFIG" })
    await expect((await login({}, { issuer: "http://issuer.example.com" })).token).rejects.toMatchObject({
      code: "ERR_CONFIG",
    })
  })

  test.each([
    "https://localhost:1/cb",
    "http://example.com/cb",
    "urn:ietf:wg:oauth:2.0:oob:auto",
    "nonsense",
    "http://localhost:1/?x=y",
  ])("when the redirect address is not of this machine: %s", async (redirectURL) => {
    const { token } = await login({}, { redirectURL })
    await expect(token).rejects.toMatchObject({ code: "ERR_CONFIG" })
  })

  test("when the port of the redirect address is taken", async () => {
    const taken = await httpServer(() => ({}))
    const { token } = await login({}, { redirectURL: `http://localhost:${taken.port}/cb` })
    await expect(token).rejects.toMatchObject({
      code: "ERR_CONFIG",
      message: expect.stringMatching(/port \d+ of gitsign\.redirectURL/),
    })
  })
})
