/**
 * Log entries that the Go gitsign and Rekor wrote, against our reading and writing of them.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { describe, expect, test } from "vitest"
import { CMS_OID, parseSignedData } from "../../src/formats/cms.ts"
import { readAll } from "../../src/formats/der.ts"
import {
  decodeTransparencyLogEntry,
  encodeTransparencyLogEntry,
  hashedRekordBody,
  proposedHashedRekord,
} from "../../src/formats/log-entry.ts"
import { leafHash } from "../../src/formats/merkle.ts"
import { decodeSignatureArmor } from "../../src/formats/pem.ts"
import { parseCertificate } from "../../src/formats/x509.ts"
import { parseRekorResponse } from "../../src/services/rekor.ts"
import { Progress } from "../../src/verify/progress.ts"
import { verifySigstore } from "../../src/verify/sigstore.ts"
import { type Case, caseNamed, casesOf, trustedRootOf } from "../support/fixtures.ts"
import { signedOf } from "../support/verify-case.ts"

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest()

/** The CMS of a case and the bytes of its log entry attribute. */
function storedEntry(one: Case) {
  const { signerInfo, certificates } = parseSignedData(decodeSignatureArmor(signedOf(one).signature))
  const [value] = signerInfo.unsignedAttrs.get(CMS_OID.transparencyLogEntry) ?? []
  const [certificateDer] = certificates
  if (value === undefined || certificateDer === undefined) return expect.unreachable("no log entry")
  const stored = readAll(value, "attribute", (r) => r.octetString("attribute"))
  return { signerInfo, certificateDer, stored }
}

const offline = ["commits", "tags"]
  .flatMap(casesOf)
  .filter(
    ({ expect, name }) => expect === "verified" && /^(real|go|gitsign)-/.test(name) && !name.endsWith("-with-entry"),
  )

test.each(offline.map((one): [string, Case] => [`${one.kind}/${one.name}`, one]))("%s", (_, one) => {
  const { stored } = storedEntry(one)
  const entry = decodeTransparencyLogEntry(stored)
  expect(Buffer.from(encodeTransparencyLogEntry(entry)).equals(stored)).toBe(true)
  expect(entry.kindVersion).toEqual({ kind: "hashedrekord", version: "0.0.1" })
  expect(entry.inclusionProof?.checkpoint).toMatch(/^\S+ - \d+\n/)
})

describe("sigstore/gitsign's own entry, as stored and as the log answered it later", () => {
  const one = caseNamed("commits", "gitsign-oid")
  const { stored, signerInfo, certificateDer } = storedEntry(one)
  const answer = JSON.parse(one.read("tlog.json").toString("utf8"))
  const body = Buffer.from(answer.body, "base64")
  const uuid = Buffer.from(leafHash(body)).toString("hex")
  const answered = parseRekorResponse(Buffer.from(JSON.stringify({ [uuid]: answer })), "the log")
  const entry = decodeTransparencyLogEntry(stored)
  const rekord = { digest: sha256(signerInfo.signedAttrs), signature: signerInfo.signature, certificateDer }

  test("are the same entry", () => {
    const { logIndex, logId, kindVersion, integratedTime } = answered
    expect(entry).toMatchObject({ logIndex, kindVersion, integratedTime })
    expect(Buffer.compare(entry.logId, logId)).toBe(0)
    expect(entry.inclusionProof?.logIndex).toBe(answered.inclusionProof?.logIndex)
  })
  test("the body is rebuilt to the log's bytes", () => {
    expect(hashedRekordBody(rekord, "0.0.1").equals(body)).toBe(true)
    expect(JSON.parse(proposedHashedRekord(rekord))).toEqual(JSON.parse(body.toString("utf8")))
  })
  test("each proves the signature", () => {
    const { signature, signedAttrs: signed } = signerInfo
    const certificate = parseCertificate(certificateDer)
    for (const candidate of [answered, { ...entry, canonicalizedBody: body }]) {
      const logged = { entry: candidate, signature, signed: [signed] }
      const claim = { certificate, signed, signature, timestamps: [], logged }
      expect(() => verifySigstore(claim, { trustedRoot: trustedRootOf(one) }, new Progress())).not.toThrow()
    }
  })
  test("what the log answered survives being stored", () => {
    const { canonicalizedBody: _, ...rest } = answered
    const again = decodeTransparencyLogEntry(encodeTransparencyLogEntry(rest))
    expect(encodeTransparencyLogEntry(again)).toEqual(encodeTransparencyLogEntry(rest))
    expect(again.inclusionProof?.hashes).toHaveLength(rest.inclusionProof?.hashes.length ?? -1)
    expect(again.inclusionProof?.checkpoint).toBe(rest.inclusionProof?.checkpoint)
  })
})
