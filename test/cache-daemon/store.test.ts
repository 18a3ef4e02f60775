/**
 * The store of credentials: whose they are, how long and how often they may be used.
 *
 * @module
 */

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { CredentialKey, CredentialLimits } from "../../cache-daemon/protocol.ts"
import { CredentialStore, keyId, MAX_CREDENTIALS, type StoredCredential } from "../../cache-daemon/store.ts"
import { GitsignError } from "../../src/errors.ts"
import { KEY } from "./credential-key.ts"

const NONE: CredentialLimits = { signatures: 0, lifetime: 0 }

const key = (changes: Partial<CredentialKey> = {}): CredentialKey => ({ ...KEY, ...changes })

/** A store whose clock is at `seconds`. */
class Shelf {
  seconds = 1_000_000
  readonly store: CredentialStore<string>

  constructor(own: CredentialLimits = NONE) {
    this.store = new CredentialStore(own, () => new Date(this.seconds * 1000))
  }

  /** Adds a credential with a certificate for ten minutes. */
  add(name: string, limits = NONE, changes: Partial<CredentialKey> = {}): StoredCredential<string> {
    const holder = { identity: name, issuer: "", fingerprint: "" }
    const notAfter = new Date((this.seconds + 600) * 1000)
    return this.store.add(key(changes), { credential: name, holder, notAfter, limits })
  }

  found(limits = NONE, changes: Partial<CredentialKey> = {}): string | undefined {
    return this.store.find(key(changes), limits)?.credential
  }
}

const codeOf = (act: () => unknown): string | undefined => {
  try {
    act()
  } catch (error) {
    if (error instanceof GitsignError) return error.code
    throw error
  }
  return undefined
}

describe("a key", () => {
  test("is the same text exactly when all its fields are the same", () => {
    const field = fc.constantFrom("", "a", "b", "a,b", '","', "\\", '"', "\u0000")
    const any = fc.record({
      ...Object.fromEntries(Object.keys(key()).map((name) => [name, field])),
      matchCommitter: fc.boolean(),
    }) as unknown as fc.Arbitrary<CredentialKey>
    fc.assert(
      fc.property(any, any, (a, b) => {
        const same = (Object.keys(key()) as (keyof CredentialKey)[]).every((name) => a[name] === b[name])
        expect(keyId(a) === keyId(b)).toBe(same)
        expect(keyId(a)).toBe(keyId(Object.fromEntries(Object.entries(a).reverse()) as CredentialKey))
      }),
      { numRuns: 2000 },
    )
  })

  test.each(Object.keys(key()) as (keyof CredentialKey)[])("has %s as a part of it", (field) => {
    const changed = { [field]: field === "matchCommitter" ? true : "different" }
    const shelf = new Shelf()
    shelf.add("one")
    expect(shelf.found(NONE, changed)).toBeUndefined()
    shelf.add("other", NONE, changed)
    expect([shelf.found(), shelf.found(NONE, changed)]).toEqual(["one", "other"])
  })
})

describe("time", () => {
  test("a credential is used until 30 seconds before its certificate ends", () => {
    const shelf = new Shelf()
    shelf.add("one")
    shelf.seconds += 569
    expect(shelf.found()).toBe("one")
    shelf.seconds += 1
    expect(shelf.found()).toBeUndefined()
    expect(shelf.store.size).toBe(0)
  })

  test.each([
    ["its own", { own: 0, made: 100, asked: 0 }, 100],
    ["the store's", { own: 100, made: 0, asked: 0 }, 100],
    ["the request's", { own: 0, made: 0, asked: 100 }, 100],
    ["the shortest", { own: 200, made: 300, asked: 100 }, 100],
    ["the certificate's end, when that is sooner", { own: 5000, made: 6000, asked: 7000 }, 570],
  ])("%s lifetime counts", (_, { own, made, asked }, seconds) => {
    const shelf = new Shelf({ signatures: 0, lifetime: own })
    shelf.add("one", { signatures: 0, lifetime: made })
    const limits = { signatures: 0, lifetime: asked }
    shelf.seconds += seconds - 1
    expect(shelf.found(limits)).toBe("one")
    shelf.seconds += 1
    expect(shelf.found(limits)).toBeUndefined()
  })

  test("what has ended is forgotten, but not under a signature that is being made", () => {
    const shelf = new Shelf()
    const stored = shelf.add("one")
    const use = stored.use(NONE)
    shelf.seconds += 570
    expect(shelf.store.expire()).toEqual([])
    expect(stored.credential).toBe("one")
    use?.end("signed")
    expect(shelf.store.expire()).toEqual([stored])
    expect(codeOf(() => stored.credential)).toBe("ERR_AGENT")
  })
})

describe("number", () => {
  test.each([
    ["its own", { own: 0, made: 2, asked: 0 }],
    ["the store's", { own: 2, made: 0, asked: 0 }],
    ["the request's", { own: 0, made: 0, asked: 2 }],
    ["the smallest", { own: 9, made: 5, asked: 2 }],
  ])("%s limit counts, with what is being made", (_, { own, made, asked }) => {
    const shelf = new Shelf({ signatures: own, lifetime: 0 })
    const stored = shelf.add("one", { signatures: made, lifetime: 0 })
    const limits = { signatures: asked, lifetime: 0 }
    expect(stored.remaining(limits)).toBe(2)
    const [first, second] = [stored.use(limits), stored.use(limits)]
    expect(stored.use(limits)).toBeUndefined()
    expect(shelf.found(limits)).toBeUndefined()
    first?.end("failed")
    expect(shelf.found(limits)).toBe("one")
    second?.end("signed")
    stored.use(limits)?.end("unclaimed")
    expect(shelf.found(limits)).toBeUndefined()
    expect(stored).toMatchObject({ signatures: 2, unclaimed: 1 })
  })

  test("a use that has ended cannot end again", () => {
    const stored = new Shelf().add("one")
    const use = stored.use(NONE)
    for (let times = 0; times < 3; times++) use?.end("unclaimed")
    expect(stored).toMatchObject({ signatures: 1, unclaimed: 1, uses: 0 })
  })

  test("there is a limit to all of them, and the one that ends first goes", () => {
    const shelf = new Shelf()
    for (let count = 0; count <= MAX_CREDENTIALS; count++) {
      shelf.add(`${count}`, { signatures: 0, lifetime: count === 7 ? 60 : 300 }, { repository: `${count}` })
    }
    expect(shelf.store.size).toBe(MAX_CREDENTIALS)
    expect(shelf.found(NONE, { repository: "7" })).toBeUndefined()
    expect(shelf.found(NONE, { repository: `${MAX_CREDENTIALS}` })).toBe(`${MAX_CREDENTIALS}`)
  })
})

describe("taking away", () => {
  const reason = new GitsignError("ERR_AGENT_LOCKED", "locked")

  test("reaches every credential, also one that was replaced while it is in use", () => {
    const shelf = new Shelf()
    const replaced = shelf.add("old")
    replaced.use(NONE)
    const current = shelf.add("new")
    expect(replaced.credential).toBe("old")
    expect(shelf.store.revoke(reason)).toBe(1)
    for (const stored of [replaced, current]) expect(codeOf(() => stored.credential)).toBe("ERR_AGENT_LOCKED")
    expect(shelf.found()).toBeUndefined()
    expect(current.use(NONE)).toBeUndefined()
  })

  test("one that was replaced and is not in use is gone at once", () => {
    const shelf = new Shelf()
    const replaced = shelf.add("old")
    shelf.add("new")
    expect(codeOf(() => replaced.credential)).toBe("ERR_AGENT")
    expect(shelf.store.size).toBe(1)
  })
})
