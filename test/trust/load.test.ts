/**
 * What is trusted: the shipped root, files in its place, and overrides that replace and never add.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { parseTrustedRoot } from "../../src/formats/trusted-root.ts"
import { parseCertificate } from "../../src/formats/x509.ts"
import { loadTrustedRoot } from "../../src/trust/load.ts"
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
    ["a list that is an object", (root) => (root.tlogs = {})],
  ])("%s is refused", (_, change) => {
    expect(() => parseTrustedRoot(changed(change))).toThrow(expect.objectContaining({ code: "ERR_TRUSTED_ROOT" }))
  })
  test("left out is empty", () => {
    const root = parseTrustedRoot(changed((copy) => delete copy.ctlogs))
    expect(root.ctLogs).toEqual([])
  })
})
