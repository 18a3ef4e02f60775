/**
 * The keyring against a real gnome-keyring on a session bus of its own: unlocked, locked, absent, silent.
 *
 * @module
 */

import { existsSync } from "node:fs"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { forgetLogins, listLogins, loadLogin, type StoredLogin, saveLogin } from "../../src/keyring/credentials.ts"
import {
  isKeyringUnavailable,
  type Keyring,
  type KeyringOptions,
  type KeyringUnavailable,
  openKeyring,
} from "../../src/keyring/keyring.ts"
import { forgetRefreshTokens, loadRefreshToken, saveRefreshToken } from "../../src/keyring/refresh-tokens.ts"
import { createKeptCredential, restoreCredential } from "../../src/sign/sign.ts"
import { IDENTITY, ISSUER, seconds } from "../support/made/certificates.ts"
import { certificateAuthority } from "../support/made/ports.ts"
import { Bridge, HELPER, MISSING, Session } from "./session.ts"

const ADDRESS = "DBUS_SESSION_BUS_ADDRESS"
const RUNTIME = "XDG_RUNTIME_DIR"
const before = { [ADDRESS]: process.env[ADDRESS], [RUNTIME]: process.env[RUNTIME] }

/** What the helper finds in its environment. */
function useBus(address: string | undefined, runtime = "/nonexistent"): void {
  for (const [name, value] of Object.entries({ [ADDRESS]: address, [RUNTIME]: runtime })) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}

afterAll(() => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
})

const open = (options: KeyringOptions = {}): Promise<Keyring> => openKeyring({ helper: HELPER, ...options })

async function refusal(attempt: Promise<unknown>): Promise<KeyringUnavailable> {
  try {
    await attempt
  } catch (error) {
    if (isKeyringUnavailable(error)) return error
    throw error
  }
  return expect.unreachable("the keyring was used")
}

const ACCOUNT = `login:${"a".repeat(64)}`
const OTHER = `login:${"b".repeat(64)}`

async function login(changes: Partial<StoredLogin> = {}): Promise<StoredLogin> {
  const { credential, kept } = await createKeptCredential("token", certificateAuthority())
  return {
    // The fixtures' certificate is a Buffer.
    kept: { ...kept, certificate: Uint8Array.from(kept.certificate) },
    identity: IDENTITY,
    issuer: ISSUER,
    begun: seconds(0),
    notAfter: credential.certificate.notAfter,
    signatures: 0,
    tokenProvider: "interactive",
    ...changes,
  }
}

test("the build has made the helper", () => {
  expect(existsSync(HELPER)).toBe(true)
})

const title = (text: string): string => (MISSING.length === 0 ? text : `${text} (skipped: no ${MISSING.join(", no ")})`)

// Once in some thousands of writes gnome-keyring 42.1 takes its own file for somebody else's, reads it anew and is locked.
const LOCKS_ITSELF = { retry: 2 }

describe.skipIf(MISSING.length > 0)(title("an unlocked gnome-keyring"), LOCKS_ITSELF, () => {
  let session: Session | undefined
  let keyring: Keyring
  afterAll(() => session?.close())
  beforeEach(async () => {
    session ??= await Session.start({ unlock: true })
    useBus(session.env[ADDRESS])
    keyring = await open()
  })
  afterEach(async () => {
    try {
      for (const { account } of await keyring.accounts()) await keyring.delete(account)
    } catch (error) {
      if (!isKeyringUnavailable(error)) throw error
      await session?.close()
      session = undefined
    }
  })

  test("stores, replaces, lists and removes", async () => {
    expect(await keyring.get("login:none")).toBeUndefined()
    expect(await keyring.delete("login:none")).toBe(false)
    await keyring.set("login:one", "first")
    await keyring.set("login:one", "zweitens, ünd länger\n")
    await keyring.set("refresh:two", "other")
    expect(await keyring.get("login:one")).toBe("zweitens, ünd länger\n")
    expect([...(await keyring.accounts())].sort((a, b) => (a.account < b.account ? -1 : 1))).toEqual([
      { account: "login:one", secret: "zweitens, ünd länger\n" },
      { account: "refresh:two", secret: "other" },
    ])
    expect(await keyring.delete("login:one")).toBe(true)
    expect(await keyring.get("login:one")).toBeUndefined()
  })

  test("a login comes back in another process and signs", async () => {
    const stored = await login({ signatures: 3 })
    await saveLogin(keyring, ACCOUNT, stored)
    const found = await loadLogin(await open(), ACCOUNT, seconds(60))
    expect(found).toEqual(stored)
    const credential = await restoreCredential(found?.kept ?? stored.kept)
    expect(credential.signer.identity).toBe(IDENTITY)
    expect((await credential.sign(Buffer.from("bytes"))).length).toBeGreaterThan(60)
  })

  test("a login that has expired is removed when it is read, and when all are listed", async () => {
    const stored = await login()
    for (const account of [ACCOUNT, OTHER]) await saveLogin(keyring, account, stored)
    const { notAfter } = stored
    expect(await loadLogin(keyring, ACCOUNT, new Date(notAfter.getTime() - 1))).toEqual(stored)
    expect(await loadLogin(keyring, ACCOUNT, notAfter)).toBeUndefined()
    expect(await keyring.get(ACCOUNT)).toBeUndefined()
    expect(await listLogins(keyring, seconds(60))).toEqual([{ account: OTHER, login: stored }])
    expect(await listLogins(keyring, notAfter)).toEqual([])
    expect(await keyring.accounts()).toEqual([])
  })

  test("what is damaged is removed", async () => {
    const stored = await login()
    await saveLogin(keyring, ACCOUNT, stored)
    const whole = (await keyring.get(ACCOUNT)) ?? ""
    const later = stored.notAfter.getTime() + 60_000
    for (const text of [
      "",
      "{",
      "null",
      "[]",
      whole.replace('"version":1', '"version":2'),
      whole.replace('"signatures":0', '"signatures":-1'),
      whole.replace('"certificate":"M', '"certificate":"A'),
      whole.replace(`"notAfter":${stored.notAfter.getTime()}`, `"notAfter":${later}`),
    ]) {
      expect(text).not.toBe(whole)
      await keyring.set(ACCOUNT, text)
      expect(await loadLogin(keyring, ACCOUNT, seconds(60)), text).toBeUndefined()
      expect(await keyring.accounts()).toEqual([])
    }
  })

  test("logging out removes logins and refresh tokens, each for itself", async () => {
    const refresh = { refreshToken: "the refresh token", issuer: ISSUER, clientID: "sigstore" }
    await saveLogin(keyring, ACCOUNT, await login())
    await saveLogin(keyring, OTHER, await login({ notAfter: seconds(0) }))
    await saveRefreshToken(keyring, "refresh:1", refresh)
    await keyring.set("refresh:2", "damaged")
    expect(await loadRefreshToken(keyring, "refresh:1")).toEqual(refresh)
    expect(await forgetLogins(keyring)).toBe(2)
    expect(await loadRefreshToken(keyring, "refresh:2")).toBeUndefined()
    await keyring.set("refresh:2", "damaged")
    expect(await forgetRefreshTokens(keyring)).toEqual([refresh])
    expect(await keyring.accounts()).toEqual([])
    expect([await forgetLogins(keyring), await forgetRefreshTokens(keyring)]).toEqual([0, []])
  })

  test("two processes at once: one of the two is stored, once", async () => {
    const other = await open()
    for (let round = 0; round < 5; round++) {
      await Promise.all([keyring.set(ACCOUNT, `one ${round}`), other.set(ACCOUNT, `other ${round}`)])
      expect([`one ${round}`, `other ${round}`]).toContain(await keyring.get(ACCOUNT))
      expect(await keyring.accounts()).toHaveLength(1)
      const removed = await Promise.all([keyring.delete(ACCOUNT), other.delete(ACCOUNT)])
      expect(removed).toContain(true)
      expect(await keyring.accounts()).toEqual([])
    }
  })

  test("what is longer than an entry may be is kept in parts", async () => {
    const small = await open({ maxLength: 100 })
    for (const length of [1000, 150, 2500, 100, 101, 0]) {
      const secret = "0123456789".repeat(250).slice(0, length)
      await small.set(ACCOUNT, secret)
      for (const { secret: part } of await keyring.accounts()) expect(part.length).toBeLessThanOrEqual(2500)
      expect(await small.get(ACCOUNT)).toBe(secret)
      expect(await small.accounts()).toEqual([{ account: ACCOUNT, secret }])
    }
    await small.set(ACCOUNT, "x".repeat(300))
    await keyring.set(`${ACCOUNT}~1`, "another")
    expect(await small.get(ACCOUNT)).toBeUndefined()
    expect(await small.delete(ACCOUNT)).toBe(true)
    expect(await keyring.accounts()).toEqual([])
  })
})

describe.skipIf(MISSING.length > 0)(title("a gnome-keyring that is locked"), () => {
  let session: Session
  beforeAll(async () => {
    session = await Session.start({ unlock: true })
  })
  afterAll(() => session?.close())

  test("and that nobody unlocks says so, for every call", async () => {
    useBus(session.env[ADDRESS])
    await (await open()).set(ACCOUNT, "kept")
    session.lock()
    const keyring = await open()
    for (const attempt of [
      () => keyring.get(ACCOUNT),
      () => keyring.set(ACCOUNT, "new"),
      () => keyring.delete(ACCOUNT),
      () => keyring.accounts(),
    ]) {
      const { trouble, message } = await refusal(attempt())
      expect(trouble).toBe("locked")
      expect(message).toMatch(/^the keyring is locked[^\n]*$/)
    }
  })

  test("and whose question stays unanswered ends with the time for it, and the question with it", async () => {
    const bridge = await Bridge.listen(session.socket)
    useBus(`unix:path=${bridge.path}`)
    const keyring = await open({ unlockMs: 700 })
    bridge.stall()
    const begun = Date.now()
    const { trouble, message } = await refusal(keyring.get(ACCOUNT))
    expect({ trouble, message }).toEqual({ trouble: "locked", message: "nobody has unlocked the keyring within 1 s" })
    expect(Date.now() - begun).toBeLessThan(8000)
    expect((await refusal(keyring.get(ACCOUNT))).trouble).toBe("failed")
    bridge.close()
  })
})

describe.skipIf(process.platform !== "linux")("no keyring", () => {
  test.each([
    ["there is no session bus", undefined],
    ["its socket is gone", "unix:path=/nonexistent/bus"],
    ["its address is no address", "nonsense"],
  ])("when %s", async (_, address) => {
    useBus(address)
    const { trouble, message } = await refusal(open())
    expect({ trouble, message }).toEqual({ trouble: "absent", message: "this session has no keyring service" })
  })

  test("when the bus does not say a word", async () => {
    const bridge = await Bridge.listen()
    useBus(`unix:path=${bridge.path}`)
    const begun = Date.now()
    const { trouble, message } = await refusal(open({ answerMs: 700 }))
    expect({ trouble, message }).toEqual({ trouble: "failed", message: "the keyring has not answered within 1 s" })
    expect(Date.now() - begun).toBeLessThan(8000)
    // The process that asks has been ended: nothing holds the connection.
    await expect.poll(() => bridge.connections, { timeout: 5000 }).toBe(0)
    bridge.close()
  })

  test.skipIf(MISSING.length > 0)(title("when the service has none yet and nobody is there to make one"), async () => {
    const session = await Session.start({ unlock: false })
    useBus(session.env[ADDRESS])
    const keyring = await open()
    expect(await keyring.get(ACCOUNT)).toBeUndefined()
    expect(await keyring.accounts()).toEqual([])
    const { trouble, message } = await refusal(keyring.set(ACCOUNT, "secret"))
    expect({ trouble, message }).toEqual({
      trouble: "absent",
      message: "this session has no keyring to put anything in",
    })
    await session.close()
  })
})
