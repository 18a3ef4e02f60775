/**
 * The login in a real browser: the page's policy lets its form and style work, and reload and back do no harm.
 *
 * @module
 */

import { existsSync } from "node:fs"
import { type Browser, chromium, type Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { browserToken } from "../../../src/services/oidc/browser.ts"
import { closedPort, testClient } from "../loopback.ts"
import { startIssuer } from "./issuer.ts"

const EXECUTABLE = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync)

describe.skipIf(EXECUTABLE === undefined)("in Chromium (skipped where there is none)", () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: EXECUTABLE ?? "",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
      ],
    })
  }, 60_000)
  afterAll(() => browser?.close())

  /** A login that the browser has brought to its page. */
  async function open({ redirectURL, needsConsent = true }: { redirectURL?: string; needsConsent?: boolean } = {}) {
    const issuer = await startIssuer()
    const context = await browser.newContext({ viewport: { width: 320, height: 640 } })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on("console", (message) => complaints.push(message.text()))
    const remarks = ["git will name 1234+dev@users.noreply.github.com as the author, and this login is dev@example.com"]
    let opened: Promise<unknown> = Promise.resolve()
    const outcome = browserToken({
      http: testClient(),
      issuer: issuer.url,
      clientID: "sigstore",
      redirectURL,
      notify: () => undefined,
      openBrowser: async (url) => {
        opened = page.goto(url)
      },
      loginTimeoutMs: 20_000,
      publication: ({ email }) => ({ who: `${email} (Test)`, log: "log.example.com", remarks, needsConsent }),
    })
    outcome.catch(() => undefined)
    await page.locator("h1").waitFor()
    await opened
    return { page, outcome, complaints, close: () => context.close() }
  }

  const title = (page: Page): Promise<string> => page.locator("h1").innerText()

  test("yes, by keyboard, on a narrow screen where nothing sticks out", async () => {
    const { page, outcome, complaints, close } = await open()
    expect(await title(page)).toBe("May this become public?")
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true)
    expect(await page.evaluate("getComputedStyle(document.querySelector('dl')).borderStyle")).toBe("solid")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(outcome).resolves.toMatchObject({ agreed: true })
    await page.getByText("You are logged in", { exact: true }).waitFor()
    expect(complaints).toEqual([])
    await close()
  })

  test("no, by click, after a reload", async () => {
    const { page, outcome, complaints, close } = await open()
    await page.reload()
    expect(await title(page)).toBe("May this become public?")
    await page.getByRole("button", { name: "No, sign nothing" }).click()
    await expect(outcome).rejects.toMatchObject({ code: "ERR_CONSENT" })
    await page.getByText("Nothing was published", { exact: true }).waitFor()
    expect(complaints).toEqual([])
    await close()
  })

  test("yes, at an address that is fixed and numeric", async () => {
    const { page, outcome, close } = await open({ redirectURL: `http://127.0.0.1:${await closedPort()}/cb` })
    await page.getByRole("button", { name: "Yes, publish and sign" }).click()
    await expect(outcome).resolves.toMatchObject({ agreed: true })
    await close()
  })

  test("a reload and the back button after the end", async () => {
    const { page, outcome, close } = await open({ needsConsent: false })
    expect(await title(page)).toBe("You are logged in")
    await outcome
    await page.reload()
    expect(await title(page)).toBe("This login is finished")
    await close()
    const asked = await open()
    await asked.page.getByRole("button", { name: "Yes, publish and sign" }).click()
    await asked.outcome
    await asked.page.getByText("You are logged in", { exact: true }).waitFor()
    await asked.page.goBack()
    expect(["This login is finished", "May this become public?"]).toContain(await title(asked.page))
    await expect(asked.outcome).resolves.toMatchObject({ agreed: true })
    await asked.close()
  })
})
