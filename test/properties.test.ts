/**
 * Parsers are total: any bytes give a value or a GitsignError. And they are exact: what parses is encoded to the same bytes.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isGitsignError } from "../src/errors.ts"
import { decodeBase64 } from "../src/formats/base64.ts"
import { CMS_OID, encodeSignedData, parseSignedData } from "../src/formats/cms.ts"
import { DerReader, encode, readAll } from "../src/formats/der.ts"
import { checkEcdsaSigValue } from "../src/formats/ecdsa.ts"
import { findForeignCertificates } from "../src/formats/foreign.ts"
import { formatOfPayload, joinSignedObject, loggedObjectIds, parseCommit, parseTag } from "../src/formats/git-object.ts"
import { decodeTransparencyLogEntry, encodeTransparencyLogEntry } from "../src/formats/log-entry.ts"
import { formatCheckpoint, parseCheckpoint, parseSignedNote } from "../src/formats/note.ts"
import { decodePemFile, decodeSignatureArmor, encodePem, SIGNATURE_LABEL } from "../src/formats/pem.ts"
import { describeObject } from "../src/formats/predicate.ts"
import { signerOf } from "../src/formats/signer.ts"
import { parseTrustedRoot } from "../src/formats/trusted-root.ts"
import { parseTimeStampResp, parseTimeStampToken, wrapTimeStampToken } from "../src/formats/tsp.ts"
import { formatName, parseCertificate } from "../src/formats/x509.ts"
import { verifySignature } from "../src/verify/verify.ts"
import { caseNamed, FIXTURES, trustedRootOf } from "./support/fixtures.ts"
import { signedOf } from "./support/verify-case.ts"

// Real bytes to begin from: random ones rarely get past the first length.
const stamped = caseNamed("commits", "go-offline-tsa")
const commit = stamped.read("object")
const tag = caseNamed("tags", "real-138f9d7c-offline-tag").read("object")
const smime = caseNamed("commits", "real-1f68a818-s-mime_fail")
const { payload = new Uint8Array(), signature: armored } = signedOf(stamped)
const cms = Buffer.from(decodeSignatureArmor(armored))
const { signerInfo, certificates } = parseSignedData(cms)
const [certificate = new Uint8Array()] = certificates
const attribute = (type: string): Uint8Array => signerInfo.unsignedAttrs.get(type)?.[0] ?? new Uint8Array()
const token = attribute(CMS_OID.timeStampToken)
const entry = readAll(attribute(CMS_OID.transparencyLogEntry), "entry", (r) => r.octetString("entry"))
const checkpoint = Buffer.from(decodeTransparencyLogEntry(entry).inclusionProof?.checkpoint ?? "")
const foreign = Buffer.from(signedOf(smime).signature.toString(), "latin1")
const trustedRoot = trustedRootOf(stamped)
const trustedRootJson = readFileSync(join(FIXTURES, "trust", "made.json"))

const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8")
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")

/** Reads DER to its last primitive, or some depth, and writes it again. */
function reencode(bytes: Uint8Array, depth = 0): Uint8Array {
  const reader = new DerReader(bytes)
  const parts: Uint8Array[] = []
  while (!reader.atEnd) {
    const { tag, content } = reader.any()
    parts.push(encode(tag, (tag & 0x20) === 0 || depth > 50 ? content : reencode(content, depth + 1)))
  }
  return Buffer.concat(parts)
}

interface Parser {
  readonly name: string
  readonly seed: Uint8Array
  /** Returns the bytes that the value is encoded to, where the format has one encoding. */
  readonly parse: (bytes: Uint8Array) => Uint8Array | undefined
}

const nothing = (_: unknown): undefined => undefined

const TRUSTED_ROOT: Parser = {
  name: "trusted root",
  seed: trustedRootJson,
  parse: (bytes) => nothing(parseTrustedRoot(utf8(bytes))),
}

const PARSERS: readonly Parser[] = [
  { name: "DER", seed: cms, parse: reencode },
  {
    name: "PEM of a signature",
    seed: armored,
    parse: (bytes) => {
      // All line feeds at the end but the last are not part of it.
      const text = encodePem(SIGNATURE_LABEL, decodeSignatureArmor(bytes))
      return latin1(bytes).replace(/\n{0,9}$/, "\n") === text ? bytes : Buffer.from(text)
    },
  },
  {
    name: "PEM file",
    seed: armored,
    parse: (bytes) => nothing(decodePemFile(latin1(bytes), SIGNATURE_LABEL, "ERR_PEM")),
  },
  {
    name: "base64",
    seed: Buffer.from(cms.subarray(0, 50).toString("base64")),
    parse: (bytes) => {
      const decoded = decodeBase64(latin1(bytes))
      return decoded && Buffer.from(decoded.toString("base64"))
    },
  },
  {
    name: "git signature",
    seed: cms,
    parse: (bytes) => {
      const { eContent, signerInfo: info, certificates: found } = parseSignedData(bytes)
      const [first] = found
      if (first === undefined || found.length > 1) return undefined
      const unsignedAttrs = new Map(
        [...info.unsignedAttrs].map(([type, values]) => [type, values[0] ?? new Uint8Array()]),
      )
      if ([...info.unsignedAttrs.values()].some(({ length }) => length !== 1)) return undefined
      // The encoder takes issuer and serial number from the certificate; here they are the signer's own.
      const named = {
        ...parseCertificate(certificate),
        der: first,
        issuer: info.issuer,
        serialNumber: info.serialNumber,
      }
      return encodeSignedData({ certificate: named, ...info, unsignedAttrs, eContent })
    },
  },
  { name: "certificate", seed: certificate, parse: (bytes) => nothing(signerOf(parseCertificate(bytes))) },
  { name: "name", seed: parseCertificate(certificate).issuer, parse: (bytes) => nothing(formatName(bytes)) },
  { name: "ECDSA-Sig-Value", seed: signerInfo.signature, parse: (bytes) => nothing(checkEcdsaSigValue(bytes, 32)) },
  { name: "timestamp", seed: token, parse: (bytes) => nothing(parseTimeStampToken(bytes)) },
  { name: "timestamp response", seed: wrapTimeStampToken(token), parse: (bytes) => nothing(parseTimeStampResp(bytes)) },
  {
    name: "note",
    seed: checkpoint,
    parse: (bytes) => {
      const note = parseSignedNote(utf8(bytes))
      const text = `${note.text}\n${note.signatures.map(({ line }) => line).join("")}`
      return text === utf8(bytes) ? bytes : Buffer.from(text)
    },
  },
  {
    name: "checkpoint",
    seed: Buffer.from(parseSignedNote(utf8(checkpoint)).text),
    parse: (bytes) => {
      const text = formatCheckpoint(parseCheckpoint(utf8(bytes)))
      return text === utf8(bytes) ? bytes : Buffer.from(text)
    },
  },
  {
    name: "log entry",
    seed: entry,
    parse: (bytes) => encodeTransparencyLogEntry(decodeTransparencyLogEntry(bytes)),
  },
  TRUSTED_ROOT,
  {
    name: "commit",
    seed: commit,
    parse: (bytes) => {
      const { payload: text, signature } = parseCommit(bytes, "sha1")
      if (signature !== undefined) nothing(joinSignedObject(text, signature, "gpgsig"))
      return undefined
    },
  },
  {
    name: "tag",
    seed: tag,
    parse: (bytes) => {
      const { payload: text, signature } = parseTag(bytes)
      return /^gpgsig/m.test(latin1(bytes)) ? undefined : Buffer.concat([text, signature ?? new Uint8Array()])
    },
  },
  {
    name: "payload",
    seed: payload,
    parse: (bytes) => nothing(formatOfPayload(bytes) && loggedObjectIds(bytes, armored)),
  },
  {
    name: "predicate of a commit",
    seed: commit,
    parse: (bytes) => nothing(describeObject("commit", bytes, "sha1", "url")),
  },
  { name: "predicate of a tag", seed: tag, parse: (bytes) => nothing(describeObject("tag", bytes, "sha1", "url")) },
  { name: "foreign signature", seed: foreign, parse: (bytes) => nothing(findForeignCertificates(bytes)) },
]

/** One edit: cut, insert, overwrite, repeat or remove, at a place given as a share of the length. */
const edit = fc.record({
  at: fc.nat(9999),
  kind: fc.constantFrom("overwrite", "flip", "insert", "remove", "repeat", "cut"),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 6 }),
})

function mutate(seed: Uint8Array, edits: readonly { at: number; kind: string; bytes: Uint8Array }[]): Uint8Array {
  let result = Buffer.from(seed)
  for (const { at, kind, bytes } of edits) {
    const place = Math.floor((at / 10_000) * (result.length + 1))
    const [before, after] = [result.subarray(0, place), result.subarray(place)]
    const count = bytes.length
    if (kind === "overwrite") result = Buffer.concat([before, bytes, after.subarray(count)])
    else if (kind === "flip" && place < result.length) result[place] = (result[place] ?? 0) ^ (1 << (count % 8))
    else if (kind === "insert") result = Buffer.concat([before, bytes, after])
    else if (kind === "remove") result = Buffer.concat([before, after.subarray(count)])
    else if (kind === "repeat") result = Buffer.concat([before, after.subarray(0, count * 10), after])
    else if (kind === "cut") result = Buffer.from(before)
  }
  return result
}

/** Fails unless `parse` returns, with the same bytes where it encodes again, or throws a GitsignError. */
function check({ name, parse }: Parser, bytes: Uint8Array): void {
  let again: Uint8Array | undefined
  try {
    again = parse(bytes)
  } catch (error) {
    if (!isGitsignError(error)) throw error
    return
  }
  if (again !== undefined && Buffer.compare(again, bytes) !== 0) throw new Error(`${name}: encodes to other bytes`)
}

describe.each(PARSERS.map((parser): [string, Parser] => [parser.name, parser]))("%s", (_, parser) => {
  test("reads its seed", () => {
    expect(() => parser.parse(parser.seed)).not.toThrow()
    check(parser, parser.seed)
  })
  test("random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => check(parser, bytes)),
      { numRuns: 300 },
    )
  })
  test("real bytes, changed", () => {
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => check(parser, mutate(parser.seed, edits))),
      { numRuns: 300 },
    )
  })
})

test("a changed signature is never verified, and verifying never throws", () => {
  const seeds = [armored, cms]
  fc.assert(
    fc.property(fc.nat(1), fc.array(edit, { minLength: 1, maxLength: 3 }), (which, edits) => {
      const seed = seeds[which] ?? armored
      const signature = mutate(seed, edits)
      const { verdict } = verifySignature({ payload, signature }, { trustedRoot })
      expect(verdict === "verified").toBe(latin1(signature).replace(/\n{0,9}$/, "") === latin1(seed).replace(/\n$/, ""))
    }),
    { numRuns: 300 },
  )
})

test("a trusted root with anything in place of a part is read or refused", () => {
  fc.assert(fc.property(fc.json(), (json) => check(TRUSTED_ROOT, Buffer.from(json))))
  const mediaType = fc.constant("application/vnd.dev.sigstore.trustedroot+json;version=0.1")
  const parts = fc.array(fc.jsonValue())
  const root = fc.record({ mediaType, tlogs: parts, ctlogs: parts, certificateAuthorities: parts })
  fc.assert(fc.property(root, (json) => check(TRUSTED_ROOT, Buffer.from(JSON.stringify(json)))))
})

describe("hostile sizes cost little", () => {
  const many = 1_000_000
  const header = Buffer.from(`-----BEGIN ${SIGNATURE_LABEL}-----\n`)
  const nested = (depth: number): Uint8Array => {
    let value: Uint8Array = Buffer.alloc(0)
    for (let i = 0; i < depth; i++) value = encode(0x30, value)
    return value
  }

  test.each<[string, () => Uint8Array]>([
    ["a million line feeds before a letter", () => Buffer.concat([header, Buffer.alloc(many, "\n"), Buffer.from("x")])],
    ["an object identifier of a million octets", () => encode(0x30, encode(0x06, Buffer.alloc(many, 0xff)))],
    ["a million empty values", () => encode(0x30, Buffer.alloc(many * 2, Buffer.of(0x05, 0)))],
    ["ten thousand nested values", () => nested(10_000)],
    ["a million letters of base64", () => Buffer.concat([header, Buffer.alloc(many, "A")])],
    ["thirty thousand signature lines", () => Buffer.concat(Array.from({ length: 30_000 }, () => header))],
  ])("%s", (_, make) => {
    const signature = make()
    const start = performance.now()
    expect(verifySignature({ payload, signature }, { trustedRoot }).verdict).toBe("failed")
    for (const parser of PARSERS) check(parser, signature)
    expect(performance.now() - start).toBeLessThan(3000)
  })
})
