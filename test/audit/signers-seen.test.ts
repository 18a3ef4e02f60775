/**
 * Who is counted as whom, and from where on a proposed policy would judge, on histories of every shape.
 *
 * @module
 */

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { AuditedObject } from "../../src/audit/result.ts"
import { type Beginning, beginningsOf, signersSeen } from "../../src/audit/signers-seen.ts"

const PERSON = { name: "A", email: "a@example.com", date: new Date("2026-01-01T00:00:00Z") }

/** A commit of a made-up history; signed by an address, by `website`, or by nobody. */
const commit = (id: string, parents: readonly string[], signer?: string, time = "2026-02-01"): AuditedObject => ({
  type: "commit",
  id,
  name: "",
  verdict: signer === undefined ? "bad" : "ok",
  problem: signer === undefined ? { code: "ERR_NOT_SIGNED", message: "", hint: undefined } : undefined,
  notAllowed: false,
  subject: id,
  author: PERSON,
  committer: PERSON,
  parents,
  scheme: signer === undefined ? "none" : signer === "website" ? "openpgp" : "keyless",
  signer:
    signer === undefined
      ? undefined
      : signer === "website"
        ? { scheme: "openpgp", identity: "GitHub <noreply@github.com>", fingerprint: "ABCD" }
        : {
            scheme: "keyless",
            identity: signer,
            identities: [{ type: "email", value: signer }],
            issuer: "https://accounts.google.com",
            claims: {},
            fingerprint: "0".repeat(40),
            notBefore: new Date(0),
            notAfter: new Date(0),
          },
  mode: "offline",
  log: signer?.includes("@") ? { origin: "log", index: "1", time: new Date(time) } : undefined,
  timestamps: [],
  claimedSigningTime: undefined,
  steps: [],
  identityChecked: false,
  judgement: undefined,
})

describe("signers", () => {
  test("are counted by name and issuer, and only when verified", () => {
    const bad = { ...commit("d", ["c"], "eve@example.com"), verdict: "bad" as const }
    const problem = { code: "ERR_SIGNATURE" as const, message: "", hint: undefined }
    const seen = signersSeen([
      commit("f", ["e"], "bob@example.com", "2026-03-01"),
      { ...bad, problem },
      commit("e", ["d", "x"], "alice@example.com", "2026-03-03"),
      commit("c", ["b"], "alice@example.com", "2026-02-02"),
      commit("b", ["a", "y"], "website"),
      commit("a", []),
      { ...commit("t", [], "alice@example.com", "2026-04-01"), type: "tag" },
    ])
    expect(seen.commits).toBe(6)
    expect(seen.tags).toBe(1)
    expect([...seen.unverified]).toEqual([
      ["ERR_SIGNATURE", 1],
      ["ERR_NOT_SIGNED", 1],
    ])
    const [alice, bob, website, tagger] = seen.signers
    expect(seen.signers).toHaveLength(4)
    expect(alice).toMatchObject({ type: "commit", count: 2, merges: 1 })
    expect(tagger).toMatchObject({ type: "tag", count: 1, merges: 0 })
    expect(tagger?.signer).toMatchObject({ scheme: "keyless", identities: ["alice@example.com"] })
    expect(alice?.signer).toMatchObject({ scheme: "keyless", identities: ["alice@example.com"], sct: true })
    expect(alice?.first?.toISOString()).toBe("2026-02-02T00:00:00.000Z")
    expect(alice?.last?.toISOString()).toBe("2026-03-03T00:00:00.000Z")
    expect(bob).toMatchObject({ type: "commit", count: 1 })
    expect(website?.signer).toMatchObject({ scheme: "openpgp", fingerprints: ["ABCD"] })
    // Nothing but the object itself says when.
    expect(website?.first).toEqual(PERSON.date)
  })

  test("of the same name from another issuer are others", () => {
    const one = commit("a", [], "alice@example.com")
    const { signer } = one
    if (signer?.scheme !== "keyless") throw new Error("not keyless")
    const other = { ...one, id: "b", signer: { ...signer, issuer: "https://elsewhere.example" } }
    expect(signersSeen([one, other]).signers).toHaveLength(2)
  })
})

describe("where a policy could begin", () => {
  test.each<[string, AuditedObject[], string[], Beginning | undefined, Beginning | undefined]>([
    ["nothing is there", [], [], undefined, undefined],
    ["nothing is signed", [commit("b", ["a"]), commit("a", [])], ["b", "a"], undefined, undefined],
    ["everything is signed", [commit("b", ["a"], "a@b"), commit("a", [], "a@b")], ["b", "a"], undefined, undefined],
    [
      "everything since",
      [commit("c", ["b"], "a@b"), commit("b", ["a"], "a@b"), commit("a", [])],
      ["c", "b", "a"],
      { commit: "b", judged: 2, unverified: 0 },
      undefined,
    ],
    [
      "with a slip since",
      [commit("d", ["c"], "a@b"), commit("c", ["b"]), commit("b", ["a"], "a@b"), commit("a", [])],
      ["d", "c", "b", "a"],
      { commit: "b", judged: 3, unverified: 1 },
      { commit: "d", judged: 1, unverified: 0 },
    ],
    [
      "the last one is the slip",
      [commit("c", ["b"]), commit("b", ["a"], "a@b"), commit("a", [])],
      ["c", "b", "a"],
      { commit: "b", judged: 2, unverified: 1 },
      undefined,
    ],
    [
      "the website was long before anybody else",
      [commit("d", ["c"], "a@b"), commit("c", ["b"]), commit("b", ["a"], "website"), commit("a", [])],
      ["d", "c", "b", "a"],
      { commit: "d", judged: 1, unverified: 0 },
      undefined,
    ],
    [
      "a side branch that nobody signed came in later",
      [commit("m", ["b", "s"], "a@b"), commit("s", ["a"]), commit("b", ["a"], "a@b"), commit("a", [])],
      ["m", "b", "a"],
      { commit: "b", judged: 3, unverified: 1 },
      { commit: "m", judged: 1, unverified: 0 },
    ],
  ])("%s", (_, objects, chain, first, clean) => {
    expect(beginningsOf(chain, objects)).toEqual({ first, clean })
  })

  test("what it says of any history is what counting by hand gives", () => {
    const histories = fc.array(
      fc.record({ signed: fc.boolean(), back: fc.nat(3), other: fc.option(fc.nat(8), { nil: undefined }) }),
      { minLength: 1, maxLength: 12 },
    )
    fc.assert(
      fc.property(histories, (shape) => {
        const objects = shape.map(({ signed, back, other }, index) => {
          const one = index - 1 - back
          const two = other === undefined ? -1 : index - 1 - other
          const parents = [...new Set([index === 0 ? -1 : Math.max(one, 0), two])].filter((parent) => parent >= 0)
          return commit(`${index}`, parents.map(String), signed ? "a@b" : undefined)
        })
        const byId = new Map(objects.map((one) => [one.id, one]))
        const behind = (id: string, found = new Set<string>()): Set<string> => {
          for (const parent of byId.get(id)?.parents ?? []) {
            if (!found.has(parent)) behind(parent, found.add(parent))
          }
          return found
        }
        const tip = `${shape.length - 1}`
        const chain: string[] = []
        for (let id: string | undefined = tip; id !== undefined; id = byId.get(id)?.parents[0]) chain.push(id)
        const all = new Set([tip, ...behind(tip)])
        const judgedFrom = (id: string): Beginning => {
          const older = behind(id)
          const judged = [...all].filter((one) => !older.has(one))
          const unverified = judged.filter((one) => byId.get(one)?.verdict !== "ok").length
          return { commit: id, judged: judged.length, unverified }
        }
        const { first, clean } = beginningsOf(chain, objects)
        for (const found of [first, clean]) if (found !== undefined) expect(found).toEqual(judgedFrom(found.commit))
        const oldestSigned = chain.filter((id) => byId.get(id)?.verdict === "ok").at(-1)
        const bad = [...all].filter((id) => byId.get(id)?.verdict !== "ok").length
        const expected = oldestSigned === undefined ? undefined : judgedFrom(oldestSigned)
        expect(first).toEqual(expected?.unverified === bad ? undefined : expected)
        const oldestClean = chain.filter((id) => judgedFrom(id).unverified === 0).at(-1)
        const isOther = oldestClean !== undefined && bad > 0 && oldestClean !== first?.commit
        expect(clean?.commit).toBe(isOther ? oldestClean : undefined)
      }),
      { numRuns: 300 },
    )
  })
})
