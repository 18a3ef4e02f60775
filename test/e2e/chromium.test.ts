/**
 * Logins in a real browser: Chromium on the sandbox's provider, during a real `git commit -S`.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { EMAIL, type Ran, type Services, startServices, statusOf, Workspace } from "./harness.ts"

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
  existsSync(path),
)
const isHere = CHROMIUM !== undefined && process.env.GITSIGN_E2E_FULCIO_URL === undefined

let services: Services
let browser: Browser
let workspace: Workspace
let context: BrowserContext

beforeAll(async () => {
  if (!isHere) return
  services = await startServices()
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
      ...["--disable-background-networking", "--disable-component-update"],
    ],
  })
}, 120_000)

afterAll(async () => {
  await browser?.close()
  await services?.close()
})

beforeEach(async () => {
  if (!isHere) return
  workspace = new Workspace(services.environment)
  delete workspace.env.GITSIGN_PUBLISH_CONSENT
  context = await browser.newContext()
  context.setDefaultTimeout(20_000)
})

afterEach(async () => {
  await context?.close()
  workspace?.close()
})

/** A commit that waits for its login: the address it would open, and how it ends. */
interface Waiting {
  readonly address: string
  readonly ended: Promise<Ran>
}

let commits = 0

async function commit(repository: string, ...args: string[]): Promise<Waiting> {
  const file = join(workspace.root, `address-${++commits}`)
  const opener = resolve(import.meta.dirname, "opener.mjs")
  const ended = workspace.runAsync(repository, "git", [...args, "commit", "--allow-empty", "-m", "by browser"], {
    env: {
      GITSIGN_URL_OPENER: `"${process.execPath}" "${opener}" "${file}" {{.URL}}`,
      GITSIGN_LOG: `${file}.log`,
    },
  })
  await expect.poll(() => existsSync(file) && readFileSync(file, "utf8").endsWith("\n"), { timeout: 20_000 }).toBe(true)
  return { address: readFileSync(file, "utf8").trim(), ended }
}

const logOf = (): string => readFileSync(join(workspace.root, `address-${commits}.log`), "utf8")

/** Enters an address on the provider's page and goes on. */
async function enter(page: Page, email: string): Promise<void> {
  await page.getByLabel("E-mail address").fill(email)
  await page.getByRole("button", { name: "Continue" }).click()
}

const yes = (page: Page) => page.locator("button.yes")
const no = (page: Page) => page.locator("form button:not(.yes)")
const heading = (page: Page) => page.getByRole("heading", { level: 1 })

async function login(address: string, email: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(address)
  await enter(page, email)
  return page
}

describe.skipIf(!isHere)("Chromium logs in", () => {
  test("and signs: the first time after a question, then without one", async () => {
    const repository = workspace.repository("first")
    const first = await commit(repository)
    const page = await login(first.address, EMAIL)
    await expect.poll(() => page.textContent("main")).toContain(EMAIL)
    expect(await page.textContent("main")).toContain(new URL(services.environment.GITSIGN_REKOR_URL ?? "").host)
    await yes(page).click()
    await expect.poll(() => heading(page).textContent()).toBe("You are logged in")
    expect(await page.textContent("main")).toContain(EMAIL)
    const ran = await first.ended
    expect(ran.status, ran.stderr).toBe(0)
    expect(statusOf(workspace, repository)).toMatchObject({ letter: "G", signer: `${EMAIL} (${services.issuer})` })

    const second = await commit(repository)
    const again = await login(second.address, EMAIL)
    await expect.poll(() => heading(again).textContent()).toBe("You are logged in")
    expect((await second.ended).status).toBe(0)
  }, 90_000)

  test("is asked again for another identity, and no means that nothing is published", async () => {
    const repository = workspace.repository("refused")
    const before = services.sandbox("status")
    const waiting = await commit(repository)
    const page = await login(waiting.address, "someone@example.org")
    await no(page).click()
    expect((await waiting.ended).status).toBe(128)
    expect(logOf()).toContain("[ERR_CONSENT]")
    expect(workspace.tryGit(repository, "rev-parse", "--verify", "HEAD").status).not.toBe(0)
    expect(entriesIn(services.sandbox("status"))).toEqual(entriesIn(before))
    expect(existsSync(join(workspace.env.HOME ?? "", ".local/state/gitsign/published-identities.json"))).toBe(false)
  }, 60_000)

  test("a denial at the provider is told on the page as on the terminal", async () => {
    const repository = workspace.repository("denied")
    const waiting = await commit(repository)
    const page = await context.newPage()
    await page.goto(waiting.address)
    await page.getByRole("button", { name: "Cancel" }).click()
    const ran = await waiting.ended
    expect(ran.status).toBe(128)
    const told = /gitsign: error: (.*) \[ERR_OIDC\]/.exec(logOf())?.[1] ?? "nothing"
    expect((await page.textContent("main"))?.toLowerCase()).toContain(told.toLowerCase())
  }, 60_000)

  test("the wrong user is refused where the committer has to match", async () => {
    const repository = workspace.repository("wrong")
    workspace.git(repository, "config", "gitsign.matchCommitter", "true")
    const waiting = await commit(repository)
    const page = await login(waiting.address, "other@example.org")
    expect((await waiting.ended).status).toBe(128)
    expect(await page.textContent("main")).toContain("other@example.org")
    expect(await yes(page).count()).toBe(0)
    expect(logOf()).toMatch(/matchCommitter asks for dev@example\.com, .*other@example\.org \[ERR_COMMITTER\]/)
    expect(workspace.tryGit(repository, "rev-parse", "--verify", "HEAD").status).not.toBe(0)
  }, 60_000)

  test("a closed window can be opened again", async () => {
    const repository = workspace.repository("closed")
    const waiting = await commit(repository)
    const closed = await context.newPage()
    await closed.goto(waiting.address)
    await closed.close()
    const page = await login(waiting.address, EMAIL)
    await yes(page).waitFor()
    await page.reload()
    await yes(page).click()
    expect((await waiting.ended).status).toBe(0)
    expect(statusOf(workspace, repository).letter).toBe("G")
  }, 60_000)

  test("the back button breaks nothing, before the answer and after", async () => {
    const repository = workspace.repository("back")
    const waiting = await commit(repository)
    const page = await login(waiting.address, EMAIL)
    await expect.poll(() => yes(page).count()).toBe(1)
    await page.goBack()
    await page.goForward()
    await yes(page).click()
    await expect.poll(() => heading(page).textContent()).toBe("You are logged in")
    expect((await waiting.ended).status).toBe(0)
    await page.goBack().catch(() => undefined)
    expect(workspace.git(repository, "rev-list", "--count", "HEAD")).toBe("1")
    expect(statusOf(workspace, repository).letter).toBe("G")
  }, 60_000)

  test("two commits at once, by two people in one browser", async () => {
    const [one, two] = [workspace.repository("one"), workspace.repository("two")]
    const first = await commit(one)
    const second = await commit(two)
    const pages = [await login(second.address, "two@example.org"), await login(first.address, "one@example.org")]
    for (const page of pages) await yes(page).click()
    expect((await first.ended).status).toBe(0)
    expect((await second.ended).status).toBe(0)
    expect(statusOf(workspace, one).signer).toContain("one@example.org")
    expect(statusOf(workspace, two).signer).toContain("two@example.org")
  }, 60_000)

  test("a user.email that GitHub made up is pointed out", async () => {
    const repository = workspace.repository("noreply")
    const waiting = await commit(repository, "-c", "user.email=1+dev@users.noreply.github.com")
    const page = await login(waiting.address, EMAIL)
    await expect.poll(() => page.textContent("main")).toContain("1+dev@users.noreply.github.com")
    await no(page).click()
    expect((await waiting.ended).status).toBe(128)
  }, 60_000)

  test.each([
    ["light", { colorScheme: "light", width: 1000 }],
    ["dark", { colorScheme: "dark", width: 1000 }],
    ["narrow", { colorScheme: "light", width: 320 }],
  ] as const)(
    "the page fits: %s",
    async (name, { colorScheme, width }) => {
      await context.close()
      context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } })
      const repository = workspace.repository("look")
      const waiting = await commit(repository, "-c", "user.email=1+dev@users.noreply.github.com")
      const page = await login(waiting.address, EMAIL)
      await yes(page).waitFor()
      const wide = () => page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
      expect(await wide()).toBe(true)
      await screenshot(page, `question-${name}`)
      await yes(page).click()
      await expect.poll(() => heading(page).textContent()).toBe("You are logged in")
      expect(await wide()).toBe(true)
      await screenshot(page, `done-${name}`)
      expect((await waiting.ended).status).toBe(0)
    },
    60_000,
  )
})

/** GITSIGN_SCREENSHOTS names a folder for pictures, for people who want to look. */
async function screenshot(page: Page, name: string): Promise<void> {
  const { GITSIGN_SCREENSHOTS: folder } = process.env
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}

/** The sizes of the sandbox's log, as its status tells them. */
const entriesIn = (status: string): readonly string[] => status.match(/\d+ entries|\d+ entry/g) ?? []
