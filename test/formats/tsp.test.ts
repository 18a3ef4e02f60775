/**
 * RFC 3161 tokens and CMS structures that others made.
 *
 * @module
 */

import { createPublicKey } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { parseSignedData } from "../../src/formats/cms.ts"
import { encodeTimeStampReq, parseTimeStampResp, parseTimeStampToken } from "../../src/formats/tsp.ts"
import { parseCertificate } from "../../src/formats/x509.ts"
import { loadTrustedRoot } from "../../src/trust/load.ts"
import { toTimestamp } from "../../src/verify/engine.ts"
import { checkTimestamp } from "../../src/verify/timestamp.ts"
import { FIXTURES } from "../support/fixtures.ts"

const folder = join(FIXTURES, "vectors", "rfc3161")
const read = (name: string): Buffer => readFileSync(join(folder, name))
const tokenOf = (name: string): Uint8Array =>
  parseTimeStampResp(read(name)).token ?? expect.unreachable("a response without a token")

const HELLO = Buffer.from("hello")

/** The strict checks and then the token's own signature; undefined when both hold. */
function refusal(name: string, data: Uint8Array, chain: string): string | undefined {
  const trustedRoot = loadTrustedRoot({ timestampCertChain: join(folder, chain) })
  try {
    const checked = checkTimestamp(tokenOf(name), data, trustedRoot)
    const [signer] = checked.authority.certChain
    const key = parseCertificate(signer ?? expect.unreachable("no signer")).subjectPublicKeyInfo
    toTimestamp(checked).verify(
      Buffer.from(data),
      createPublicKey({ key: Buffer.from(key), format: "der", type: "spki" }),
    )
    return undefined
  } catch (error) {
    return isGitsignError(error) ? error.message : `engine: ${String(error)}`
  }
}

describe("trailofbits/rfc3161-client", () => {
  test.each(["sha256", "sha384", "sha512", "no-certificate"])("%s is good", (name) => {
    expect(refusal(`${name}.tsr`, HELLO, "staging-chain.pem")).toBeUndefined()
  })
  test.each(["test", "test-other"])("%s is good", (name) => {
    expect(refusal(`${name}.tsr`, HELLO, "test-chain.pem")).toBeUndefined()
  })
  test("over something else", () => {
    expect(refusal("sha256.tsr", Buffer.from("hell"), "staging-chain.pem")).toMatch("over something else")
  })
  test("of an authority that is not trusted", () => {
    expect(refusal("sha256.tsr", HELLO, "test-chain.pem")).toMatch("not signed by a trusted timestamp authority")
  })
  test("with a changed signature", () => {
    expect(refusal("invalid-signature.tsr", HELLO, "staging-chain.pem")).toMatch("signature verification failed")
  })
  test("with certificates injected", () => {
    expect(refusal("test-injected-certificates.tsr", HELLO, "test-chain.pem")).toMatch("not in the trusted chain")
  })
  test("of an authority whose certificate has expired since", () => {
    expect(refusal("expired.tsr", read("expired.payload"), "expired-chain.pem")).toBeUndefined()
  })
  test("with an RSA key is read", () => {
    const { keyType, tstInfo, certificates } = parseTimeStampToken(tokenOf("rsa.tsr"))
    expect(keyType).toBe("rsa")
    expect(tstInfo.messageImprint.hashAlgorithm).toBe("2.16.840.1.101.3.4.2.3")
    expect(tstInfo.genTime).toEqual(new Date("2025-03-11T08:52:08Z"))
    expect(certificates).toHaveLength(2)
  })
})

describe("wbond/asn1crypto", () => {
  const cms = join(FIXTURES, "vectors", "cms")

  test.each(readdirSync(cms).filter((name) => name.startsWith("cms-")))("%s is not a git signature", (name) => {
    expect(() => parseSignedData(readFileSync(join(cms, name)))).toThrow(
      expect.toSatisfy((error) => isGitsignError(error) && ["ERR_CMS", "ERR_DER"].includes(error.code)),
    )
  })
  test("a timestamp response", () => {
    const { status, token } = parseTimeStampResp(readFileSync(join(cms, "tsp_response")))
    expect(status).toBe(0)
    // Signed with SHA-1, which is not among what is accepted.
    expect(() => parseTimeStampToken(token ?? new Uint8Array())).toThrow("timestamp")
  })
})

test("the request is byte for byte that of the Go gitsign, but for digest and nonce", () => {
  const request = encodeTimeStampReq({ digest: Buffer.alloc(32, 0xaa), nonce: Buffer.alloc(16, 0x55) })
  expect(Buffer.from(request).toString("hex")).toBe(
    `3049020101302f300b0609608648016503040201${"0420"}${"aa".repeat(32)}0210${"55".repeat(16)}0101ff`,
  )
})
