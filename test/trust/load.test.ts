/**
 * What is trusted: the shipped root, files in its place, and overrides that replace and never add.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { decodePemFile, encodePem } from "../../src/formats/pem.ts"
import { parseTrustedRoot } from "../../src/formats/trusted-root.ts"
import { parseCertificate } from "../../src/formats/x509.ts"
import { loadTrustedRoot, trustedRootOf } from "../../src/trust/load.ts"
import { FIXTURES } from "../support/fixtures.ts"

const trust = (name: string): string => join(FIXTURES, "trust", name)

test("the shipped root has the public-good authorities and logs", () => {
  const root = loadTrustedRoot({})
  expect(root.certificateAuthorities.map(({ certChain }) => certChain.length)).toEqual([1, 2])
  expect(root.transparencyLogs.map(({ baseUrl }) => baseUrl)).toContain("https://rekor.sigstore.dev")
  expect(root.ctLogs).toHaveLength(2)
  for (const { certChain } of [...root.certificateAuthorities, ...root.timestampAuthorities])
    for (const der of certChain) expect(() => parseCertificate(der)).not.toThrow()
})

test.each(readdirSync(join(FIXTURES, "trust")).filter((name) => name.endsWith(".json")))("%s", (name) => {
  if (name.includes("missing-validity-start")) {
    expect(() => loadTrustedRoot({ trustedRoot: trust(name) })).toThrow("validFor.start")
    return
  }
  const { transparencyLogs, certificateAuthorities } = loadTrustedRoot({ trustedRoot: trust(name) })
  expect(transparencyLogs.length).toBeGreaterThan(0)
  expect(certificateAuthorities.length).toBeGreaterThan(0)
})

describe("overrides", () => {
  const captures = {
    fulcioRoot: trust("captures-fulcio.pem"),
    rekorPublicKey: trust("captures-rekor.pem"),
    timestampCertChain: trust("captures-tsa.pem"),
  }

  test("replace their part and leave the others", () => {
    const shipped = loadTrustedRoot({})
    const root = loadTrustedRoot(captures)
    expect(root.certificateAuthorities).toHaveLength(1)
    expect(root.transparencyLogs).toHaveLength(1)
    expect(root.timestampAuthorities).toHaveLength(1)
    expect(root.ctLogs).toEqual(shipped.ctLogs)
    const chain = root.certificateAuthorities[0]?.certChain.map(parseCertificate) ?? []
    expect(chain.at(-1)?.issuer).toEqual(chain.at(-1)?.subject)
  })
  test("are refused when they are something else", () => {
    const refused = (settings: Parameters<typeof loadTrustedRoot>[0]) =>
      expect(() => loadTrustedRoot(settings)).toThrow(expect.objectContaining({ code: "ERR_TRUSTED_ROOT" }))
    refused({ fulcioRoot: trust("captures-rekor.pem") })
    refused({ rekorPublicKey: trust("captures-tsa.pem") })
    refused({ ctLogPublicKey: trust("missing.pem") })
    refused({ trustedRoot: trust("captures-tsa.pem") })
    refused({ timestampCertChain: trust("made.json") })
  })
})

describe("a file of many certificates or keys", () => {
  const content = (name: string): string => readFileSync(trust(name), "utf8")
  const of = (part: "fulcioRoot" | "timestampCertChain" | "rekorPublicKey" | "ctLogPublicKey", pem: string) =>
    trustedRootOf({
      ...{ trustedRoot: undefined, fulcioRoot: undefined, rekorPublicKey: undefined },
      ...{ ctLogPublicKey: undefined, timestampCertChain: undefined },
      [part]: pem,
    })
  const root = decodePemFile(content("captures-fulcio.pem"), "CERTIFICATE", "ERR_TRUSTED_ROOT").find(
    (der) => Buffer.compare(parseCertificate(der).issuer, parseCertificate(der).subject) === 0,
  )
  if (root === undefined) throw new Error("the fixture has a root")
  const nameOf = (name: Uint8Array): number => name[name.length - 1] ?? 0

  /** Certificates that name each other in a row; who signed them is not looked at when they are put in order. */
  const chain = Array.from({ length: 14 }, (_, index) => {
    const der = Buffer.from(root)
    const { issuer, subject } = parseCertificate(der)
    // The first is issued by the root itself.
    if (index > 0) issuer[issuer.length - 1] = index
    subject[subject.length - 1] = index + 1
    return der
  })

  test("in any order they are the same chain, the most specific first and the root last", () => {
    const expected = [...Array.from({ length: 14 }, (_, index) => 14 - index), nameOf(parseCertificate(root).subject)]
    const mixed = [...chain.filter((_, i) => i % 3 === 1), root, ...chain.filter((_, i) => i % 3 !== 1).reverse()]
    for (const order of [[root, ...chain], [...chain.toReversed(), root], mixed]) {
      const pem = order.map((der) => encodePem("CERTIFICATE", der)).join("")
      const [authority] = of("fulcioRoot", pem).certificateAuthorities
      expect(authority?.certChain.map((der) => nameOf(parseCertificate(der).subject))).toEqual(expected)
    }
  })

  test.each(["fulcioRoot", "timestampCertChain"] as const)("at most 16 certificates: %s", (part) => {
    const one = encodePem("CERTIFICATE", root)
    expect(() => of(part, one.repeat(16))).not.toThrow()
    expect(() => of(part, one.repeat(17))).toThrow(
      expect.objectContaining({
        code: "ERR_TRUSTED_ROOT",
        message: expect.stringMatching(/^the .* holds 17 CERTIFICATE blocks, and at most 16 are read$/),
      }),
    )
  })

  test.each(["rekorPublicKey", "ctLogPublicKey"] as const)("at most 16 keys: %s", (part) => {
    const one = content("captures-rekor.pem")
    expect(() => of(part, one.repeat(16))).not.toThrow()
    expect(() => of(part, one.repeat(17))).toThrow(
      expect.objectContaining({
        code: "ERR_TRUSTED_ROOT",
        message: expect.stringMatching(/^the .* holds 17 PUBLIC KEY blocks, and at most 16 are read$/),
      }),
    )
  })
})

describe("a part that is missing or misspelt never widens what is trusted", () => {
  const good = JSON.parse(readFileSync(trust("made.json"), "utf8"))
  const changed = (change: (root: typeof good) => void): string => {
    const copy = structuredClone(good)
    change(copy)
    return JSON.stringify(copy)
  }

  test.each<[string, (root: typeof good) => void]>([
    ["an unknown mediaType", (root) => (root.mediaType = "application/json")],
    ["a log key without a start", (root) => delete root.tlogs[0].publicKey.validFor.start],
    ["a log key without a time", (root) => delete root.tlogs[0].publicKey.validFor],
    ["an authority without a time", (root) => delete root.certificateAuthorities[0].validFor],
    ["an end that is no time", (root) => (root.tlogs[0].publicKey.validFor.end = "soon")],
    ["a log id of 31 bytes", (root) => (root.tlogs[0].logId.keyId = Buffer.alloc(31).toString("base64"))],
    ["a key that is not base64", (root) => (root.tlogs[0].publicKey.rawBytes += "=")],
    ["an authority without certificates", (root) => (root.certificateAuthorities[0].certChain.certificates = [])],
    [
      "an authority with more certificates than a path may have",
      (root) => {
        const { certChain } = root.certificateAuthorities[0]
        certChain.certificates = Array.from({ length: 17 }, () => certChain.certificates[0])
      },
    ],
    ["a list that is an object", (root) => (root.tlogs = {})],
  ])("%s is refused", (_, change) => {
    expect(() => parseTrustedRoot(changed(change))).toThrow(expect.objectContaining({ code: "ERR_TRUSTED_ROOT" }))
  })
  test("left out is empty", () => {
    const root = parseTrustedRoot(changed((copy) => delete copy.ctlogs))
    expect(root.ctLogs).toEqual([])
  })
})
