/**
 * A commit without a token at hand: the browser flow (RFC 6749, PKCE, loopback redirect) on the issuer's own login page.
 *
 * @module
 */

import { resolve } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type Ran, type Services, startServices, statusOf, Workspace } from "./harness.ts"

let services: Services
let workspace: Workspace
let repository: string

beforeAll(async () => {
  services = await startServices()
  workspace = new Workspace(services.environment)
  repository = workspace.repository("login")
}, 60_000)

afterAll(async () => {
  workspace?.close()
  await services?.close()
})

const commit = (answer: string, email: string): Promise<Ran> => {
  const browser = resolve(import.meta.dirname, "browser.mjs")
  return workspace.runAsync(repository, "git", ["commit", "--allow-empty", "-m", "by browser"], {
    env: { GITSIGN_URL_OPENER: `"${process.execPath}" "${browser}" ${answer} ${email} {{.URL}}` },
  })
}

// The issuers of other servers may have no form, or know nobody by name.
describe.skipIf(process.env.GITSIGN_E2E_FULCIO_URL !== undefined)("a browser login on the sandbox", () => {
  test("signs as whoever logged in", async () => {
    const ran = await commit("continue", "person@example.org")
    expect(ran.status, ran.stderr).toBe(0)
    expect(statusOf(workspace, repository)).toMatchObject({
      letter: "G",
      signer: `person@example.org (${services.issuer})`,
    })
  }, 30_000)

  test("a refusal on the page ends the commit at once, and says so", async () => {
    const before = workspace.git(repository, "rev-parse", "HEAD")
    const log = `${workspace.root}/log`
    workspace.env.GITSIGN_LOG = log
    const ran = await commit("deny", "person@example.org")
    delete workspace.env.GITSIGN_LOG
    expect(ran.status).toBe(128)
    expect(workspace.run(workspace.root, "cat", [log]).stdout).toMatch(/denied|refused|access_denied/)
    expect(workspace.git(repository, "rev-parse", "HEAD")).toBe(before)
  }, 30_000)

  test("two commits at once have two logins that do not disturb each other", async () => {
    const second = workspace.repository("login-2")
    const first = repository
    const one = commit("continue", "one@example.org")
    repository = second
    const two = commit("continue", "two@example.org")
    repository = first
    expect((await one).status).toBe(0)
    expect((await two).status).toBe(0)
    expect(statusOf(workspace, first).signer).toContain("one@example.org")
    expect(statusOf(workspace, second).signer).toContain("two@example.org")
  }, 30_000)
})
