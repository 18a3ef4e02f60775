/**
 * Logins that end with something pasted at the terminal: the right things, and what people paste instead.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { type BrowserOptions, browserToken, OUT_OF_BAND } from "../../../src/services/oidc/browser.ts"
import { testClient } from "../loopback.ts"
import { startIssuer } from "./issuer.ts"

const failingOpener = async () => {
  throw new Error("no display")
}

/** A login whose person pastes these texts one after the other; `{}` has what the browser ended at. */
async function pasting(texts: ((end: URL) => string | undefined)[], options: Partial<BrowserOptions> = {}) {
  const issuer = await startIssuer()
  const prompts: string[] = []
  let address = ""
  const outcome = browserToken({
    http: testClient(),
    issuer: issuer.url,
    clientID: "sigstore",
    notify: (url) => {
      address = url
    },
    openBrowser: failingOpener,
    readPaste: async (prompt) => {
      prompts.push(prompt)
      const end = (await fetch(address, { redirect: "manual" })).headers.get("location") ?? ""
      return texts[prompts.length - 1]?.(new URL(end))
    },
    loginTimeoutMs: 5000,
    publication: ({ email }) => ({ who: `${email}`, log: "log.example.com", remarks: [], needsConsent: true }),
    ...options,
  })
  outcome.catch(() => undefined)
  return { issuer, outcome, prompts, address: () => address }
}

const code = (end: URL): string => end.searchParams.get("code") ?? ""
const bare = (end: URL): string => end.href.replace("http://", "")

describe("a paste finishes the login", () => {
  test.each<[string, (end: URL) => string]>([
    ["the whole address", (end) => end.href],
    ["the address with spaces around it", (end) => `  ${end.href}\r\n`],
    ["the address in quotes", (end) => `"${end.href}"`],
    ["the address without its scheme, as browsers show it", bare],
    ["the code", code],
  ])("with %s, and nobody was asked on a page", async (_, text) => {
    const { issuer, outcome, prompts } = await pasting([text])
    await expect(outcome).resolves.toEqual({
      token: expect.any(String),
      provider: "interactive",
      agreed: false,
      refreshToken: undefined,
    })
    expect(prompts).toEqual(["paste the address of the page where the browser ended, or the code that it shows: "])
    expect(issuer.tokenRequest().parameters.get("redirect_uri")).toMatch(/^http:\/\/localhost:\d+\/auth\/callback$/)
  })

  test("after two that were nothing, each with one sentence", async () => {
    const { outcome, prompts } = await pasting([() => "what do I paste?", () => "https://example.com/", code])
    await outcome
    expect(prompts[1]).toMatch(/^this is neither an address nor a code; paste the address/)
    expect(prompts[2]).toMatch(/^this address holds no code; paste the address/)
  })

  test("when there is no opener at all, and where the issuer shows the code", async () => {
    await (await pasting([code], { openBrowser: undefined })).outcome
    const { issuer, outcome } = await pasting([code], { redirectURL: OUT_OF_BAND })
    await expect(outcome).resolves.toMatchObject({ agreed: false })
    expect(issuer.authorization().get("redirect_uri")).toBe(OUT_OF_BAND)
    expect(issuer.tokenRequest().parameters.get("redirect_uri")).toBe(OUT_OF_BAND)
  })

  test("is not asked for where a browser opens", async () => {
    const { outcome, prompts } = await pasting([], {
      openBrowser: async (url) => void fetch(url),
      publication: () => ({ who: "x", log: "y", remarks: [], needsConsent: false }),
    })
    await outcome
    expect(prompts).toEqual([])
  })

  test("is not needed when the browser comes back meanwhile, and the terminal is given back", async () => {
    const ended: string[] = []
    const { outcome } = await pasting([], {
      openBrowser: undefined,
      notify: (url) => void fetch(url),
      publication: () => ({ who: "x", log: "y", remarks: [], needsConsent: false }),
      readPaste: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            ended.push("aborted")
            reject(signal.reason)
          })
        }),
    })
    await expect(outcome).resolves.toMatchObject({ agreed: false })
    expect(ended).toEqual(["aborted"])
  })
})

describe("a paste does not finish the login", () => {
  const otherState = (end: URL): string => {
    end.searchParams.set("state", "another")
    return end.href
  }

  test.each<[string, (end: URL) => string, string]>([
    ["nothing", () => "  ", "nothing was pasted"],
    ["words", () => "I do not know", "this is neither an address nor a code"],
    ["a page without a code", () => "https://accounts.example.com/approve?x=y", "this address holds no code"],
    ["no real address", () => "https://[", "this address holds no code"],
    ["another login's address", otherState, "this address is that of another login"],
    ["a book", () => "x".repeat(10_000), "what was pasted is too long for a code"],
  ])("with %s three times", async (_, text, message) => {
    const { issuer, outcome, prompts } = await pasting([text, text, text, code])
    await expect(outcome).rejects.toMatchObject({ code: "ERR_OIDC", message: `${message}, three times` })
    expect(prompts).toHaveLength(3)
    expect(issuer.seen.some(({ path }) => path === "/token")).toBe(false)
  })

  test("with a wrong code, which the issuer refuses and no message shows", async () => {
    const { issuer, outcome } = await pasting([() => "wr0ng-c0de"])
    const error = await outcome.catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      code: "ERR_OIDC",
      message: `localhost:${issuer.port} refused the login: invalid_grant`,
      hint: expect.stringContaining("run the command again"),
    })
    expect(String(error)).not.toContain("wr0ng-c0de")
  })

  test("with the address of a refusal", async () => {
    const refusal = (end: URL): string => {
      end.searchParams.delete("code")
      end.searchParams.set("error", "access_denied")
      return end.href
    }
    const { outcome } = await pasting([refusal])
    await expect(outcome).rejects.toMatchObject({
      code: "ERR_OIDC",
      message: expect.stringMatching(/access_denied$/),
      hint: "nothing was signed; run the command again",
    })
  })

  test("at the end of input: a browser can still come, and without a server the login ends", async () => {
    const { outcome, address } = await pasting([() => undefined], {
      publication: () => ({ who: "x", log: "y", remarks: [], needsConsent: false }),
    })
    await new Promise((resolve) => setTimeout(resolve, 200))
    await fetch(address())
    await expect(outcome).resolves.toMatchObject({ agreed: false })
    const alone = await pasting([() => undefined], { redirectURL: OUT_OF_BAND })
    await expect(alone.outcome).rejects.toMatchObject({ code: "ERR_CANCELLED", message: "no code was pasted" })
  })

  test("where there is no terminal for it, in time, or when it is cancelled", async () => {
    const { outcome } = await pasting([], { redirectURL: OUT_OF_BAND, readPaste: undefined })
    await expect(outcome).rejects.toMatchObject({ code: "ERR_NO_TOKEN" })
    const readPaste = () => new Promise<never>(() => undefined)
    const slow = await pasting([], { readPaste, loginTimeoutMs: 300 })
    await expect(slow.outcome).rejects.toMatchObject({ code: "ERR_OIDC", message: "nobody logged in within 0.3 s" })
    const cancelled = await pasting([], { redirectURL: OUT_OF_BAND, readPaste, signal: AbortSignal.timeout(200) })
    await expect(cancelled.outcome).rejects.toMatchObject({ code: "ERR_CANCELLED" })
  })
})
