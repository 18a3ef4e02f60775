/**
 * gitsign.credentialCacheMode `system`: real commits with the login in a real gnome-keyring.
 *
 * @module
 */

import { existsSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { type Keyring, openKeyring } from "../../src/keyring/keyring.ts"
import { HELPER, MISSING, Session } from "../keyring/session.ts"
import { secret } from "../support/secrets.ts"
import { loginEnvironment, loginsIn } from "./agent-harness.ts"
import { EMAIL, type Ran, type Services, startServices, statusOf, Workspace } from "./harness.ts"

const isHere = MISSING.length === 0 && process.env.GITSIGN_E2E_FULCIO_URL === undefined

let services: Services
let session: Session
let workspace: Workspace
let repository: string
let logins: string

beforeAll(async () => {
  if (!isHere) return
  services = await startServices()
  session = await Session.start({ unlock: true })
}, 60_000)

afterAll(async () => {
  await session?.close()
  await services?.close()
})

beforeEach(() => {
  if (!isHere) return
  workspace = new Workspace(services.environment)
  logins = join(workspace.root, "logins")
  Object.assign(workspace.env, loginEnvironment(logins), {
    GITSIGN_CREDENTIAL_CACHE_MODE: "system",
    GITSIGN_LOG: join(workspace.root, "log"),
    DBUS_SESSION_BUS_ADDRESS: session.env.DBUS_SESSION_BUS_ADDRESS,
    XDG_RUNTIME_DIR: session.env.XDG_RUNTIME_DIR,
  })
  repository = workspace.repository("kept")
})

afterEach(() => {
  if (!isHere) return
  workspace.gitsign(workspace.root, "logout")
  workspace.close()
})

let commits = 0
const commit = (): Ran => workspace.tryGit(repository, "commit", "--allow-empty", "-m", `commit ${++commits}`)
const log = (): string =>
  existsSync(join(workspace.root, "log")) ? readFileSync(join(workspace.root, "log"), "utf8") : ""

async function inKeyring<T>({ env }: Session, work: (keyring: Keyring) => Promise<T>): Promise<T> {
  const { DBUS_SESSION_BUS_ADDRESS: before } = process.env
  process.env.DBUS_SESSION_BUS_ADDRESS = env.DBUS_SESSION_BUS_ADDRESS
  try {
    return await work(await openKeyring({ helper: HELPER }))
  } finally {
    if (before === undefined) delete process.env.DBUS_SESSION_BUS_ADDRESS
    else process.env.DBUS_SESSION_BUS_ADDRESS = before
  }
}

/** Notes what is in the keyring: keys, and tokens that look like nothing. */
const noteSecrets = (session: Session): Promise<number> =>
  inKeyring(session, async (keyring) => {
    const texts = (await keyring.accounts()).flatMap((entry) => Object.values(JSON.parse(entry.secret)))
    const isSecret = (text: unknown) =>
      typeof text === "string" && text.length >= 40 && !text.includes("://") && secret(text)
    return texts.filter(isSecret).length
  })

describe.skipIf(!isHere)(`the system's keyring (${MISSING.join(", ") || "gnome-keyring"})`, () => {
  test("one login signs all commits, in all processes, until the logout", () => {
    for (let i = 0; i < 3; i++) {
      const ran = commit()
      expect(ran.status, ran.stderr).toBe(0)
    }
    expect(loginsIn(logins)).toBe(1)
    expect(statusOf(workspace, repository)).toMatchObject({ letter: "G", signer: `${EMAIL} (${services.issuer})` })
    expect(workspace.gitsign(workspace.root, "whoami").stdout).toContain("the login in the system's keyring")
    expect(workspace.gitsign(workspace.root, "logout").stdout).toBe("logged out: 1 in the system's keyring\n")
    expect(commit().status).toBe(0)
    expect(loginsIn(logins)).toBe(2)
  }, 90_000)

  test("login is before the commit", () => {
    const ran = workspace.gitsign(workspace.root, "login")
    expect(ran.status, ran.stderr).toBe(0)
    expect(ran.stdout).toMatch(/^logged in: dev@example\.com .* left, in the system's keyring$/m)
    expect(commit().status).toBe(0)
    expect(loginsIn(logins)).toBe(1)
  }, 60_000)

  test("a login for other settings, or for another person, is another one", () => {
    expect(commit().status).toBe(0)
    workspace.git(repository, "config", "gitsign.matchCommitter", "true")
    expect(commit().status).toBe(0)
    expect(loginsIn(logins)).toBe(2)
    expect(workspace.gitsign(workspace.root, "logout").stdout).toBe("logged out: 2 in the system's keyring\n")
  }, 60_000)

  test("limits of the agent hold here too", () => {
    workspace.env.GITSIGN_AGENT_MAX_SIGNATURES = "2"
    for (let i = 0; i < 5; i++) expect(commit().status).toBe(0)
    expect(loginsIn(logins)).toBe(3)
  }, 60_000)

  test("what has ended is removed, whatever it was for; what others keep is not", async () => {
    const [mine, foreign] = [`login:${"b".repeat(64)}`, "something else"]
    const read = (account: string) => inKeyring(session, (keyring) => keyring.get(account))
    await inKeyring(session, async (keyring) => {
      await keyring.set(mine, JSON.stringify({ version: 1, notAfter: 1 }))
      await keyring.set(foreign, "kept")
    })
    expect(await read(mine)).toBeDefined()
    expect(commit().status).toBe(0)
    expect(await read(mine)).toBeUndefined()
    expect(await read(foreign)).toBe("kept")
    await inKeyring(session, (keyring) => keyring.delete(foreign))
  }, 60_000)

  test("no keyring: one line, and the commit is signed", () => {
    workspace.env.DBUS_SESSION_BUS_ADDRESS = "unix:path=/nonexistent"
    const ran = commit()
    expect(ran.status, ran.stderr).toBe(0)
    expect(statusOf(workspace, repository).letter).toBe("G")
    expect(log().match(/this login is not kept/g)).toHaveLength(1)
    const whoami = workspace.gitsign(workspace.root, "whoami")
    expect(whoami.status).toBe(3)
    expect(whoami.stderr).toContain("[ERR_KEYRING]")
  }, 60_000)

  test("a locked keyring: one line, and the commit is signed", () => {
    expect(commit().status).toBe(0)
    session.lock()
    rmSync(join(workspace.root, "log"), { force: true })
    const ran = commit()
    expect(ran.status, ran.stderr).toBe(0)
    expect(log().match(/this login is not kept/g)).toHaveLength(1)
    expect(loginsIn(logins)).toBe(2)
  }, 120_000)
})

describe.skipIf(!isHere)("a refresh token in the keyring", () => {
  test("saves the next login, also for a new certificate", async () => {
    const fresh = await Session.start({ unlock: true })
    try {
      workspace.env.DBUS_SESSION_BUS_ADDRESS = fresh.env.DBUS_SESSION_BUS_ADDRESS ?? ""
      workspace.env.XDG_RUNTIME_DIR = fresh.env.XDG_RUNTIME_DIR ?? ""
      workspace.env.GITSIGN_REFRESH_LOGIN = "true"
      // Each commit needs a certificate of its own.
      workspace.env.GITSIGN_AGENT_MAX_SIGNATURES = "1"
      for (let i = 0; i < 3; i++) {
        const ran = commit()
        expect(ran.status, ran.stderr + log()).toBe(0)
      }
      expect(loginsIn(logins)).toBe(1)
      // The key and the refresh token.
      expect(await noteSecrets(fresh)).toBeGreaterThanOrEqual(2)
      expect(statusOf(workspace, repository).signer).toContain(EMAIL)
      expect(workspace.gitsign(workspace.root, "logout").stdout).toContain("1 that could be renewed")
      expect(commit().status).toBe(0)
      expect(loginsIn(logins)).toBe(2)
      workspace.gitsign(workspace.root, "logout")
    } finally {
      await fresh.close()
    }
  }, 120_000)

  test("is not kept of a login that was only looked at, and one that was tampered with goes to nobody else", async () => {
    const asked: unknown[] = []
    const stranger = createServer((_, response) => response.writeHead(404).end())
    stranger.on("connection", () => asked.push("a connection"))
    await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve))
    const fresh = await Session.start({ unlock: true })
    try {
      workspace.env.DBUS_SESSION_BUS_ADDRESS = fresh.env.DBUS_SESSION_BUS_ADDRESS ?? ""
      workspace.env.XDG_RUNTIME_DIR = fresh.env.XDG_RUNTIME_DIR ?? ""
      workspace.env.GITSIGN_REFRESH_LOGIN = "true"
      workspace.env.GITSIGN_AGENT_MAX_SIGNATURES = "1"
      expect(workspace.gitsign(workspace.root, "whoami", "--login").stdout).toContain(EMAIL)
      expect(await inKeyring(fresh, (keyring) => keyring.accounts())).toEqual([])
      expect(commit().status).toBe(0)
      await inKeyring(fresh, async (keyring) => {
        for (const { account, secret: text } of await keyring.accounts()) {
          if (!account.startsWith("refresh:")) continue
          const address = stranger.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          await keyring.set(account, JSON.stringify({ ...JSON.parse(text), issuer: `http://127.0.0.1:${port}` }))
        }
      })
      const before = loginsIn(logins)
      expect(commit().status).toBe(0)
      expect(loginsIn(logins)).toBe(before + 1)
      // The commit has held up this process, and with it the stranger.
      await delay(100)
      expect(asked).toEqual([])
      workspace.gitsign(workspace.root, "logout")
    } finally {
      await fresh.close()
      stranger.close()
    }
  }, 120_000)
})
