/**
 * The layout of a signature is that of the Go gitsign: the same tags, identifiers, order and sizes.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { decodeSignatureArmor } from "../../src/formats/pem.ts"
import { sign } from "../../src/sign/sign.ts"
import { caseNamed } from "../support/fixtures.ts"
import { signRequest, timestampAuthority } from "../support/made/ports.ts"
import { signedOf } from "../support/verify-case.ts"

/** Identifiers under which the content is somebody else's: the timestamp token, the log entry. */
const OPAQUE = new Set(["2a864886f70d010910020e", "2b0601040183bf300301"])

/**
 * The structure of a DER value, one line each: tags and sizes of primitives, identifiers and small values in full. What
 * belongs to the signer alone (certificates, issuer and serial number, the signature) is left open.
 */
function structure(der: Buffer, depth = 0, path = "", opaque = false): string[] {
  const lines: string[] = []
  let offset = 0
  let hidden = opaque
  for (let index = 0; offset < der.length; index++) {
    const tag = der[offset] ?? 0
    const first = der[offset + 1] ?? 0
    const count = first < 0x80 ? 0 : first & 0x7f
    const start = offset + 2 + count
    const length = count === 0 ? first : der.readUIntBE(offset + 2, count)
    const content = der.subarray(start, start + length)
    const here = `${path}/${index}`
    const indent = `${"  ".repeat(depth)}${tag.toString(16).padStart(2, "0")}`
    if (SIGNERS_OWN.has(here)) lines.push(`${indent} ...`)
    else if ((tag & 0x20) !== 0) {
      lines.push(indent)
      lines.push(...structure(content, depth + 1, here, hidden))
    } else {
      const hex = content.toString("hex")
      if (OPAQUE.has(hex)) hidden = true
      const shown = tag === 0x06 || length <= 1 ? hex : opaque ? "..." : `${length} bytes`
      lines.push(`${indent} ${shown}`)
    }
    offset = start + length
  }
  return lines
}

/** Places: certificates; the signer's issuer and serial number; the signature. */
const SIGNERS_OWN = new Set(["/0/1/0/3", "/0/1/0/4/0/1", "/0/1/0/4/0/5"])

/** The same with the inside of timestamp tokens left out: its structure is the authority's. */
const withoutToken = (lines: readonly string[]): string[] => {
  const start = lines.findIndex((line) => line.includes("2a864886f70d010910020e"))
  return start < 0 ? [...lines] : [...lines.slice(0, start + 1)]
}

const ofGo = (name: string): Buffer => Buffer.from(decodeSignatureArmor(signedOf(caseNamed("commits", name)).signature))

describe("is that of the Go gitsign", () => {
  test("in offline mode", async () => {
    const { der } = await sign(await signRequest())
    const lines = structure(Buffer.from(der))
    expect(lines).toEqual(structure(ofGo("go-offline")))
    expect(lines.length).toBeGreaterThan(30)
  })

  test("in online mode", async () => {
    const { der } = await sign(await signRequest({ mode: "online" }))
    expect(structure(Buffer.from(der))).toEqual(structure(ofGo("go-online_fail")))
  })

  test("with a timestamp", async () => {
    const { der } = await sign(await signRequest({ timestamp: timestampAuthority }))
    const lines = withoutToken(structure(Buffer.from(der)))
    expect(lines).toEqual(withoutToken(structure(ofGo("go-offline-tsa"))))
    expect(lines.join("\n")).toMatch(/2b0601040183bf300301[\s\S]*2a864886f70d010910020e$/)
  })

  test("of the armor too", async () => {
    const { armored } = await sign(await signRequest())
    const go = Buffer.from(signedOf(caseNamed("commits", "go-offline")).signature).toString()
    const shape = (text: string): string[] => text.split("\n").map((line) => line.replace(/^[A-Za-z0-9+/=]{64}$/, "64"))
    expect(new Set(shape(armored).slice(0, -3))).toEqual(new Set(shape(go).slice(0, -3)))
    expect(shape(armored).slice(-2)).toEqual(shape(go).slice(-2))
  })
})
