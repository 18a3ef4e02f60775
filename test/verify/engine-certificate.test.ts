/**
 * What is remembered of certificates: little, only after a success, and nothing that the engine could change.
 *
 * @module
 */

import { type ASN1Obj, X509Certificate } from "@sigstore/core"
import { afterEach, describe, expect, test, vi } from "vitest"
import { parseSignedData } from "../../src/formats/cms.ts"
import { decodeSignatureArmor } from "../../src/formats/pem.ts"
import { OID } from "../../src/formats/x509.ts"
import { makeExact, trustedCertificate, withLeaf } from "../../src/verify/engine-certificate.ts"
import { casesOf } from "../support/fixtures.ts"
import { leafCertificate } from "../support/made/certificates.ts"
import { freshKey } from "../support/made/keys.ts"
import { TRUSTED_ROOT } from "../support/made/ports.ts"
import { signedOf } from "../support/verify-case.ts"

afterEach(() => {
  vi.restoreAllMocks()
})

const newRoot = () => structuredClone(TRUSTED_ROOT)
const newLeaf = (): Uint8Array => leafCertificate({ key: freshKey() })
const issuer = trustedCertificate(TRUSTED_ROOT.certificateAuthorities[0]?.certChain[0] ?? new Uint8Array())

/** How many certificates are read by what `run` does, and how many signatures of certificates are checked. */
function work(run: () => unknown): { read: number; checked: number } {
  const parse = vi.spyOn(X509Certificate, "parse")
  const verify = vi.spyOn(X509Certificate.prototype, "verify")
  run()
  const counts = { read: parse.mock.calls.length, checked: verify.mock.calls.length }
  vi.restoreAllMocks()
  return counts
}

/** One verification of a leaf's signature that may fail afterwards. */
function use(
  trustedRoot: typeof TRUSTED_ROOT,
  der: Uint8Array,
  more: { requireSct?: boolean; fail?: boolean } = {},
): void {
  const { requireSct = true, fail = false } = more
  try {
    withLeaf({ trustedRoot, certificate: { der }, requireSct }, (leaf) => {
      expect(leaf.verify(issuer)).toBe(true)
      if (fail) throw new Error("refused")
    })
    expect(fail).toBe(false)
  } catch (error) {
    expect(error).toEqual(new Error("refused"))
  }
}

describe("the signer's certificate", () => {
  test("is read, and its signature checked, once", () => {
    const trustedRoot = newRoot()
    const der = newLeaf()
    const counts = work(() => {
      use(trustedRoot, der)
      use(trustedRoot, der)
      // The same octets are the same certificate, wherever they lie.
      use(trustedRoot, Uint8Array.from(der))
    })
    expect(counts).toEqual({ read: 1, checked: 1 })
  })

  test("is forgotten when it is refused", () => {
    const trustedRoot = newRoot()
    const der = newLeaf()
    const refuse = (): void => use(trustedRoot, der, { fail: true })
    const accept = (): void => use(trustedRoot, der)
    expect(work(() => [refuse(), refuse(), refuse()])).toEqual({ read: 3, checked: 3 })
    // A refusal for another reason does not undo it.
    expect(work(() => [accept(), refuse(), accept()])).toEqual({ read: 1, checked: 1 })
  })

  test("is another with SCTs, without, and for another trusted root", () => {
    const trustedRoot = newRoot()
    const der = newLeaf()
    use(trustedRoot, der)
    expect(work(() => use(trustedRoot, der, { requireSct: false })).read).toBe(1)
    expect(work(() => use(newRoot(), der)).read).toBe(1)
    expect(work(() => use({ ...trustedRoot }, der)).read).toBe(1)
    expect(work(() => use(trustedRoot, der)).read).toBe(0)
  })

  test("is forgotten after eight others; those that fail do not count", () => {
    const trustedRoot = newRoot()
    const [kept, ...others] = Array.from({ length: 9 }, newLeaf)
    if (kept === undefined) return expect.unreachable()
    use(trustedRoot, kept)
    for (let i = 0; i < 20; i++) use(trustedRoot, newLeaf(), { fail: true })
    for (const other of others.slice(0, 7)) use(trustedRoot, other)
    // Used again, it is the last to go.
    expect(work(() => use(trustedRoot, kept)).read).toBe(0)
    for (const other of others.slice(7)) use(trustedRoot, other)
    expect(work(() => use(trustedRoot, kept)).read).toBe(0)
    for (const other of others) use(trustedRoot, other)
    expect(work(() => use(trustedRoot, kept)).read).toBe(1)
  })

  test("that no trusted key signed is asked about each time", () => {
    const [, root] = TRUSTED_ROOT.certificateAuthorities[0]?.certChain ?? []
    const other = trustedCertificate(root ?? new Uint8Array())
    const request = { trustedRoot: newRoot(), certificate: { der: newLeaf() }, requireSct: true }
    const ask = (): void => withLeaf(request, (leaf) => expect(leaf.verify(other)).toBe(false))
    expect(work(() => [ask(), ask()])).toEqual({ read: 1, checked: 2 })
  })
})

test("what is shared between verifications cannot be changed", () => {
  const request = { trustedRoot: newRoot(), certificate: { der: newLeaf() }, requireSct: true }
  const walk = (node: ASN1Obj): number => {
    expect([node, node.subs, node.tag].every(Object.isFrozen)).toBe(true)
    return node.subs.reduce((sum, sub) => sum + walk(sub), 1)
  }
  withLeaf(request, (leaf) => {
    expect(walk(leaf.root)).toBeGreaterThan(50)
    expect(() => leaf.extensions.splice(0, 1)).toThrow(TypeError)
    for (const sub of leaf.clone().tbsCertificate.subs.slice(0, -1)) expect(Object.isFrozen(sub.subs)).toBe(true)
  })
  expect(walk(issuer.root)).toBeGreaterThan(50)
})

describe("the copy that the SCT is taken out of", () => {
  const leaves = casesOf("commits")
    .filter((one) => one.expect === "verified" || one.expect === "ERR_LOG_ENTRY_UNAVAILABLE")
    .flatMap((one) => {
      const { certificates } = parseSignedData(decodeSignatureArmor(signedOf(one).signature))
      return certificates.map((der): [string, Uint8Array] => [one.name, der])
    })

  /** What is left of a certificate without its SCTs, as the engine encodes it. */
  const precertificate = (copy: X509Certificate): string => {
    const place = copy.extensions.findIndex(({ subs }) => subs[0]?.toOID() === OID.signedCertificateTimestampList)
    if (place >= 0) copy.extensions.splice(place, 1)
    return copy.tbsCertificate.toDER().toString("hex")
  }

  test.each(leaves)("is what the engine would read: %s", (_, der) => {
    const byEngine = X509Certificate.parse(Buffer.from(der))
    makeExact(byEngine.root)
    const whole = byEngine.tbsCertificate.toDER().toString("hex")
    const expected = precertificate(byEngine)
    expect(Buffer.from(der).toString("hex")).toContain(whole)
    const request = { trustedRoot: newRoot(), certificate: { der }, requireSct: true }
    for (let i = 0; i < 3; i++) {
      withLeaf(request, (leaf) => {
        const copies = [leaf.clone(), leaf.clone()]
        expect(copies.map((copy) => copy.tbsCertificate.toDER().toString("hex"))).toEqual([whole, whole])
        expect(copies.map(precertificate)).toEqual([expected, expected])
        expect(leaf.tbsCertificate.toDER().toString("hex")).toBe(whole)
        expect(leaf.root.toDER().equals(Buffer.from(der))).toBe(true)
      })
    }
    withLeaf({ ...request, requireSct: false }, (leaf) => {
      expect(leaf.clone().tbsCertificate.toDER().toString("hex")).toBe(expected)
      expect(leaf.clone().extSCT).toBeUndefined()
      expect(leaf.extSCT === undefined).toBe(whole === expected)
    })
  })

  test("there are enough of them", () => expect(leaves.length).toBeGreaterThan(40))
})
