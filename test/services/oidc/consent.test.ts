/**
 * The question on the page whether an identity may become public, its answers, and everybody else who might answer it.
 *
 * @module
 */

import { request } from "node:http"
import { describe, expect, test } from "vitest"
import { type BrowserOptions, browserToken } from "../../../src/services/oidc/browser.ts"
import { testClient } from "../loopback.ts"
import { startIssuer } from "./issuer.ts"

const FORM = { "content-type": "application/x-www-form-urlencoded" }

/** A login that has come to the question. */
async function atQuestion(options: Partial<BrowserOptions> = {}) {
  const issuer = await startIssuer()
  let loaded: (loginUrl: string) => void = () => undefined
  const address = new Promise<string>((resolve) => {
    loaded = resolve
  })
  const outcome = browserToken({
    http: testClient(),
    issuer: issuer.url,
    clientID: "sigstore",
    notify: () => undefined,
    openBrowser: async (url) => loaded(url),
    loginTimeoutMs: 5000,
    publication: ({ email }) => ({
      who: `${email} (Test)`,
      log: "log.example.com",
      remarks: ["user.email is <another>"],
      needsConsent: true,
    }),
    ...options,
  })
  outcome.catch(() => undefined)
  const callback = (await fetch(await address, { redirect: "manual" })).headers.get("location") ?? ""
  const page = await fetch(callback)
  const html = await page.text()
  const action = new URL(/action="([^"]+)"/.exec(html)?.[1] ?? "", callback)
  const answer = (body: string, headers: Record<string, string> = {}) =>
    fetch(action, { method: "POST", body, headers: { ...FORM, ...headers } })
  return { outcome, callback, page, html, action, answer }
}

/** A request with a Host header of one's own, which fetch does not allow. */
const withHost = (url: URL, host: string, method = "GET", body = ""): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, headers: { ...FORM, host } }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.on("error", reject)
    sent.end(body)
  })

describe("the question", () => {
  test("is not shown to another user of this machine, who has read the state in the opener's arguments", async () => {
    const { callback, action, answer, outcome } = await atQuestion()
    const state = new URL(callback).searchParams.get("state")
    for (const search of [`?state=${state}`, `?code=guessed&state=${state}`, `?error=access_denied&state=${state}`]) {
      const stranger = await fetch(new URL(search, callback))
      expect(stranger.status).toBe(400)
      expect(await stranger.text()).not.toContain(action.pathname)
    }
    expect((await fetch(callback)).status).toBe(200)
    await answer("answer=yes")
    await expect(outcome).resolves.toMatchObject({ agreed: true })
  })

  test("says who, what, where and how long, shows the remarks, and lets the form go nowhere else", async () => {
    const { page, html, action, answer } = await atQuestion()
    expect(page.status).toBe(200)
    for (const fact of ["dev@example.com (Test)", "log.example.com", "digest", "For ever"]) expect(html).toContain(fact)
    expect(html).toContain("user.email is &#60;another&#62;")
    expect(page.headers.get("content-security-policy")).toContain("form-action 'self'")
    expect(page.headers.get("referrer-policy")).toBe("same-origin")
    expect(action.pathname).toMatch(/^\/answer\/[0-9a-f]{32}$/)
    await answer("answer=no")
  })

  test("answered with yes lets the login go on, and says so", async () => {
    const { outcome, callback, action, answer } = await atQuestion()
    const done = await answer("answer=yes", { origin: action.origin, "sec-fetch-site": "same-origin" })
    expect([done.status, await done.text()]).toEqual([200, expect.stringContaining("You are logged in")])
    await expect(outcome).resolves.toMatchObject({ agreed: true, token: expect.any(String) })
    for (const address of [callback, action]) {
      const again = await fetch(address)
      expect([again.status, await again.text()]).toEqual([410, expect.stringContaining("This login is finished")])
    }
    expect((await answer("answer=no")).status).toBe(410)
  })

  test("answered with no ends the login, and says so", async () => {
    const { outcome, answer } = await atQuestion()
    const done = await answer("answer=no")
    expect(await done.text()).toContain("Nothing was published")
    await expect(outcome).rejects.toMatchObject({
      code: "ERR_CONSENT",
      message: "the publication was not agreed to",
    })
  })

  test("is shown again when the page is loaded again", async () => {
    const { outcome, callback, html, answer } = await atQuestion()
    const again = await fetch(callback)
    expect([again.status, await again.text()]).toEqual([200, html])
    await answer("answer=yes")
    await outcome
  })

  test("waits for an answer that is one", async () => {
    const { outcome, answer } = await atQuestion()
    for (const body of ["", "answer=maybe", "answer", `answer=yes&x=${"x".repeat(2000)}`]) {
      expect((await answer(body)).status).toBe(400)
    }
    await answer("answer=yes")
    await expect(outcome).resolves.toMatchObject({ agreed: true })
  })

  test("takes no answer from another site, under another name, or by another way", async () => {
    const { outcome, callback, action, answer } = await atQuestion()
    const yes = "answer=yes"
    expect((await answer(yes, { origin: "https://evil.example" })).status).toBe(403)
    expect((await answer(yes, { origin: "null" })).status).toBe(403)
    expect((await answer(yes, { origin: `${action.origin}0` })).status).toBe(403)
    expect((await answer(yes, { "sec-fetch-site": "cross-site" })).status).toBe(403)
    expect(await withHost(action, "evil.example", "POST", yes)).toBe(421)
    expect(await withHost(action, `evil.example:${action.port}`, "POST", yes)).toBe(421)
    expect(await withHost(new URL(callback), `evil.example:${action.port}`)).toBe(421)
    expect(await withHost(action, "localhost", "POST", yes)).toBe(421)
    const elsewhere = new URL(`/answer/${"0".repeat(32)}`, action)
    expect((await fetch(elsewhere, { method: "POST", body: yes, headers: FORM })).status).toBe(404)
    expect((await fetch(`${action}?${yes}`)).status).toBe(404)
    expect((await fetch(action, { method: "PUT", body: yes })).status).toBe(405)
    await answer("answer=no")
    await expect(outcome).rejects.toMatchObject({ code: "ERR_CONSENT" })
  })

  test("takes the first of two answers", async () => {
    const { outcome, answer } = await atQuestion()
    const [no] = await Promise.all([answer("answer=no"), outcome.catch(() => undefined)])
    expect(await no.text()).toContain("Nothing was published")
    expect((await answer("answer=yes")).status).toBe(410)
    await expect(outcome).rejects.toMatchObject({ code: "ERR_CONSENT" })
  })

  test("has a time of its own, and can be cancelled", async () => {
    const closed = await atQuestion({ loginTimeoutMs: 700 })
    await expect(closed.outcome).rejects.toMatchObject({
      code: "ERR_CONSENT",
      message: "nobody agreed to the publication within 0.7 s",
    })
    expect((await closed.answer("answer=yes")).status).toBe(410)
    const controller = new AbortController()
    const cancelled = await atQuestion({ signal: controller.signal })
    controller.abort()
    await expect(cancelled.outcome).rejects.toMatchObject({ code: "ERR_CANCELLED" })
  })
})
