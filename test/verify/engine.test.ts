/**
 * What a verification remembers decides nothing: with everything remembered and with nothing, after any other verification,
 * every input gets the same answer.
 *
 * @module
 */

import { sign } from "node:crypto"
import { describe, expect, test } from "vitest"
import { isGitsignError } from "../../src/errors.ts"
import { CMS_OID, parseSignedData, single } from "../../src/formats/cms.ts"
import { readAll } from "../../src/formats/der.ts"
import { decodeTransparencyLogEntry, hashedRekordBody } from "../../src/formats/log-entry.ts"
import { decodeSignatureArmor } from "../../src/formats/pem.ts"
import type { TrustedRoot } from "../../src/formats/trusted-root.ts"
import { type Certificate, parseCertificate } from "../../src/formats/x509.ts"
import { parseRekorResponse } from "../../src/services/rekor.ts"
import { type EngineRequest, verifyWithEngine } from "../../src/verify/engine.ts"
import { checkInclusionProof, findLog } from "../../src/verify/log-entry.ts"
import { type Signed, verifySignature } from "../../src/verify/verify.ts"
import { type Case, caseNamed, casesOf, trustedRootOf } from "../support/fixtures.ts"
import {
  EXTENSIONS,
  KEYS,
  type LeafOptions,
  leafCertificate,
  name,
  seconds,
  signedCertificateTimestamp,
  tsaCertificate,
} from "../support/made/certificates.ts"
import { freshKey, namedKey, sha256, spkiOf } from "../support/made/keys.ts"
import { TRUSTED_ROOT } from "../support/made/ports.ts"
import { authorizeOf, signedOf } from "../support/verify-case.ts"

/** The same trusted root in new objects, for which nothing is remembered. */
const forgotten = (trustedRoot: TrustedRoot): TrustedRoot => structuredClone(trustedRoot)

/** Numbers from 0 to `below`, the same in every run. */
function numbers(seed: string): (below: number) => number {
  let state = sha256(Buffer.from(seed))
  return (below) => {
    state = sha256(state)
    return state.readUInt32BE(0) % below
  }
}

function shuffled<T>(list: readonly T[], random: (below: number) => number): T[] {
  const result = [...list]
  for (let i = result.length - 1; i > 0; i--) {
    const j = random(i + 1)
    const [a, b] = [result[i], result[j]]
    if (a !== undefined && b !== undefined) [result[i], result[j]] = [b, a]
  }
  return result
}

type Verify = (trustedRoot: TrustedRoot) => unknown

/** Everything that comes out: verdict, code, message, steps, who, when. */
const summaryOf = (signed: Signed, options: Omit<Parameters<typeof verifySignature>[1], "trustedRoot">): Verify => {
  return (trustedRoot) => {
    const { error, ...summary } = verifySignature(signed, { ...options, trustedRoot })
    return { ...summary, error: error && [error.code, error.message, error.hint] }
  }
}

const verdictOf = (outcome: unknown): unknown => (outcome as { verdict: unknown }).verdict

async function verifyOf(one: Case): Promise<Verify | undefined> {
  const logEntry = one.fields.get("log-entry")
  const options = {
    ignoreSct: one.fields.get("ignore-sct") === "true",
    authorize: await authorizeOf(one),
    logEntry: logEntry === undefined ? undefined : parseRekorResponse(one.read(logEntry), "the fixture"),
  }
  try {
    return summaryOf(signedOf(one), options)
  } catch (error) {
    // Not an object with a signature; nothing is verified.
    if (isGitsignError(error)) return undefined
    throw error
  }
}

test("every fixture, cold, and between others in any order", { timeout: 120_000 }, async () => {
  const random = numbers("fixtures")
  const byRoot = new Map<TrustedRoot, { name: string; verify: Verify; cold: unknown }[]>()
  for (const one of ["commits", "tags", "signatures"].flatMap(casesOf)) {
    const verify = await verifyOf(one)
    if (verify === undefined) continue
    const root = trustedRootOf(one)
    const list = byRoot.get(root) ?? []
    list.push({ name: `${one.kind}/${one.name}`, verify, cold: verify(forgotten(root)) })
    byRoot.set(root, list)
  }
  const all = [...byRoot.values()].flat()
  expect(all.filter(({ cold }) => verdictOf(cold) === "verified").length).toBeGreaterThan(40)
  expect(all.filter(({ cold }) => verdictOf(cold) === "failed").length).toBeGreaterThan(100)
  for (const [root, list] of byRoot) {
    const warm = forgotten(root)
    for (const { name, verify, cold } of shuffled(list, random)) {
      expect(verify(warm), name).toEqual(cold)
      for (let others = random(4); others > 0; others--) list[random(list.length)]?.verify(warm)
      expect(verify(warm), `${name} again`).toEqual(cold)
    }
  }
})

const REAL = caseNamed("commits", "real-478985dd-offline-short-proof")

test("one bit of a real signature, cold and after good and bad ones", { timeout: 120_000 }, () => {
  const random = numbers("bits")
  const root = trustedRootOf(REAL)
  const warm = forgotten(root)
  const { payload, signature: armored } = signedOf(REAL)
  const der = Buffer.from(decodeSignatureArmor(armored))
  const good = summaryOf({ payload, signature: armored }, {})
  // One array for all: what is remembered must not be the caller's.
  const signature = Buffer.from(der)
  const verify = summaryOf({ payload, signature }, {})
  const places = shuffled([...der.keys()], random).filter((_, index) => index % 3 === 0)
  for (const place of places) {
    if (random(2) === 0) expect(verdictOf(good(warm))).toBe("verified")
    signature[place] = (der[place] ?? 0) ^ (1 << random(8))
    const cold = verify(forgotten(root))
    expect(verdictOf(cold)).toBe("failed")
    expect(verify(warm), `byte ${place}`).toEqual(cold)
    signature[place] = der[place] ?? 0
  }
  expect(good(warm)).toEqual(good(forgotten(root)))
})

const answer = (request: EngineRequest): string => {
  try {
    verifyWithEngine(request)
    return "verified"
  } catch (error) {
    if (!isGitsignError(error)) throw error
    return `${error.code} ${error.message}`
  }
}

const isStrict = (der: Uint8Array): boolean => {
  try {
    parseCertificate(der)
    return true
  } catch (error) {
    if (isGitsignError(error)) return false
    throw error
  }
}

const codeOf = (outcome: string): string => outcome.split(" ")[0] ?? ""

type Changes = Partial<Omit<EngineRequest, "certificate">> & { readonly certificate?: Pick<Certificate, "der"> }

/** Asks the engine with a trusted root that has been asked about `before`, and with a new one. */
function warmAndCold(request: EngineRequest, before: readonly EngineRequest[]): string {
  const cold = answer({ ...request, trustedRoot: forgotten(request.trustedRoot) })
  for (const earlier of before) answer(earlier)
  expect(answer(request)).toBe(cold)
  for (const earlier of before) answer(earlier)
  expect(answer(request)).toBe(cold)
  return cold
}

/** A request over a made-up leaf certificate, at a time in its validity. */
function requestFor(options: Partial<LeafOptions> = {}, changes: Changes = {}): EngineRequest {
  const key = freshKey()
  const signed = Buffer.from("signed")
  return {
    trustedRoot: forgotten(TRUSTED_ROOT),
    certificate: parseCertificate(leafCertificate({ key, ...options })),
    signed,
    signature: sign("sha256", signed, key),
    logged: undefined,
    timestamps: [],
    assumedTime: seconds(5),
    requireSct: true,
    ...changes,
  } as EngineRequest
}

describe("a leaf certificate", () => {
  test("with one bit changed", { timeout: 60_000 }, () => {
    const random = numbers("leaf")
    const good = requestFor()
    const der = Buffer.from(good.certificate.der)
    const flipped = Buffer.from(der)
    let refused = 0
    for (const [place, octet] of der.entries()) {
      flipped[place] = octet ^ (1 << random(8))
      const certificate = { ...good.certificate, der: flipped }
      const outcome = warmAndCold({ ...good, certificate }, [good])
      // The engine alone is lenient where lengths are concerned: the strict readers stand before it.
      if (isStrict(flipped)) expect(codeOf(outcome), `byte ${place}`).toMatch(/^ERR_CERT/)
      if (outcome !== "verified") refused++
      flipped[place] = octet
    }
    expect(refused).toBeGreaterThan(der.length - 5)
    expect(answer({ ...good, certificate: { ...good.certificate, der: flipped } })).toBe("verified")
  })

  test("in an array that is used again for another", () => {
    const good = requestFor()
    const der = Buffer.from(good.certificate.der)
    const request = { ...good, certificate: { ...good.certificate, der } }
    expect(answer(request)).toBe("verified")
    const last = der.length - 1
    der[last] = (der[last] ?? 0) ^ 1
    expect(codeOf(answer(request))).toBe("ERR_CERT_CHAIN")
    der[last] = (der[last] ?? 0) ^ 1
    expect(answer(request)).toBe("verified")
    der.fill(0)
    expect(answer(good)).toBe("verified")
  })

  test("at every time", () => {
    const good = requestFor()
    const at = (after: number): EngineRequest => ({ ...good, assumedTime: seconds(after) })
    const times = [-1, 0, 1, 600, 601, 40 * 365 * 86_400]
    const before = times.map(at)
    expect(times.map((time) => codeOf(warmAndCold(at(time), before)))).toEqual([
      "ERR_CERT_CHAIN",
      "verified",
      "verified",
      "verified",
      "ERR_CERT_CHAIN",
      "ERR_CERT_CHAIN",
    ])
  })

  test("when another key made the signature, or it is over something else", () => {
    const good = requestFor()
    expect(codeOf(warmAndCold({ ...good, signature: requestFor().signature }, [good]))).toBe("ERR_SIGNATURE")
    expect(codeOf(warmAndCold({ ...good, signed: Buffer.from("other") }, [good]))).toBe("ERR_SIGNATURE")
  })

  test("without an SCT, with a wrong one, with a right one", () => {
    const otherLog = namedKey("another ct log")
    const scts: [LeafOptions["scts"], string][] = [
      [() => [], "ERR_SCT_MISSING"],
      [(tbs) => [signedCertificateTimestamp(tbs, { key: otherLog })], "ERR_SCT"],
      [() => [signedCertificateTimestamp(Buffer.from("another certificate"))], "ERR_SCT"],
      [(tbs) => [signedCertificateTimestamp(tbs), signedCertificateTimestamp(tbs, { key: otherLog })], "ERR_SCT"],
      [undefined, "verified"],
    ]
    for (const [list, expected] of scts) {
      for (const first of [true, false]) {
        const request = requestFor(list === undefined ? {} : { scts: list }, { requireSct: first })
        const other = { ...request, requireSct: !first }
        const outcomes = [request, other].map((one) => [one.requireSct, codeOf(warmAndCold(one, [request, other]))])
        expect(new Map(outcomes as [boolean, string][])).toEqual(
          new Map([
            [true, expected],
            [false, "verified"],
          ]),
        )
      }
    }
  })
})

describe("a leaf certificate that is known", () => {
  /** A root of the name and key identifier of the one that issues the leaves, with another key. */
  const impostor = tsaCertificate({
    issuer: name("fulcio intermediate"),
    subject: name("fulcio intermediate"),
    spki: spkiOf(KEYS.stranger),
    signer: KEYS.stranger,
    extensions: [
      EXTENSIONS.keyUsage(0x06, 1),
      EXTENSIONS.basicConstraints(true),
      EXTENSIONS.subjectKeyIdentifier(spkiOf(KEYS.intermediate)),
    ],
  })
  const always = { start: new Date(0), end: undefined }
  const authority = (...certChain: Uint8Array[]) => ({ uri: "", certChain, validFor: always })
  const [trusted] = TRUSTED_ROOT.certificateAuthorities
  const chain = trusted?.certChain ?? []

  test.each<[string, Partial<TrustedRoot>, string]>([
    ["issuer's double", { certificateAuthorities: [authority(impostor)] }, "ERR_CERT_CHAIN"],
    ["issuer's double, then the issuer", { certificateAuthorities: [authority(impostor), authority(...chain)] }, ""],
    ["issuer, then its double", { certificateAuthorities: [authority(...chain), authority(impostor)] }, ""],
    ["issuer's double in the chain of the issuer", { certificateAuthorities: [authority(impostor, ...chain)] }, ""],
    ["intermediate alone", { certificateAuthorities: [authority(...chain.slice(0, 1))] }, "ERR_CERT_CHAIN"],
    ["root alone", { certificateAuthorities: [authority(...chain.slice(1))] }, "ERR_CERT_CHAIN"],
    ["timestamp authority", { certificateAuthorities: TRUSTED_ROOT.timestampAuthorities }, "ERR_CERT_CHAIN"],
    ["no authority", { certificateAuthorities: [] }, "ERR_CERT_CHAIN"],
    ["no CT log", { ctLogs: [] }, "ERR_SCT"],
    [
      "a CT log of another key",
      { ctLogs: TRUSTED_ROOT.ctLogs.map((log) => ({ ...log, publicKey: spkiOf(KEYS.rekor) })) },
      "ERR_SCT",
    ],
    [
      "an authority that ended before",
      {
        certificateAuthorities: TRUSTED_ROOT.certificateAuthorities.map((one) => ({
          ...one,
          validFor: { start: new Date(0), end: seconds(4) },
        })),
      },
      "ERR_CERT_CHAIN",
    ],
  ])("to a trusted root with: %s", (_, changes, expected) => {
    const good = requestFor({}, { trustedRoot: TRUSTED_ROOT })
    expect(answer(good)).toBe("verified")
    // The parts that are the same are the same objects.
    const other = { ...good, trustedRoot: { ...TRUSTED_ROOT, ...changes } }
    expect(codeOf(warmAndCold(other, [good]))).toBe(expected || "verified")
    expect(answer(good)).toBe("verified")
  })

  test("is not known by another of the same names, serial number and key", () => {
    const key = freshKey()
    const serial = Buffer.from("0b", "hex")
    const good = requestFor({ key, serial })
    const signature = sign("sha256", good.signed, key)
    const forged = requestFor({ key, serial, signer: KEYS.stranger })
    const ask = (request: EngineRequest): EngineRequest => ({ ...good, signature, certificate: request.certificate })
    expect(warmAndCold(ask(good), [ask(forged)])).toBe("verified")
    expect(codeOf(warmAndCold(ask(forged), [ask(good)]))).toBe("ERR_CERT_CHAIN")
  })
})

test("the log's signatures are verified each time", () => {
  const trustedRoot = forgotten(trustedRootOf(REAL))
  const { signature: armored } = signedOf(REAL)
  const { signerInfo, certificates } = parseSignedData(decodeSignatureArmor(armored))
  const { signedAttrs: signed, signature, unsignedAttrs } = signerInfo
  const [certificate] = certificates.map(parseCertificate).filter(({ isCa }) => !isCa)
  if (certificate === undefined) return expect.unreachable("no certificate")
  const stored = decodeTransparencyLogEntry(
    readAll(single(unsignedAttrs, CMS_OID.transparencyLogEntry, "entry"), "entry", (r) => r.octetString("entry")),
  )
  const rekord = { signature, certificateDer: certificate.der, digest: sha256(signed) }
  const whole = { ...stored, canonicalizedBody: hashedRekordBody(rekord, "0.0.1") }
  const log = findLog(whole, trustedRoot)
  const { entry, logName } = checkInclusionProof(whole, log)
  const { inclusionProof: proof, inclusionPromise: promise } = entry
  if (proof === undefined || promise === undefined) return expect.unreachable("no proof or promise")
  const request = (changes: Partial<typeof entry>): EngineRequest => ({
    trustedRoot,
    certificate,
    signed,
    signature,
    logged: { entry: { ...entry, ...changes }, log, logName },
    timestamps: [],
    assumedTime: undefined,
    requireSct: true,
  })
  const flip = (bytes: Uint8Array, at: number): Uint8Array =>
    bytes.map((octet, index) => (index === at ? ~octet : octet))
  const good = request({})
  const lastOf = (bytes: Uint8Array): number => bytes.length - 1
  const checkpoint = proof.checkpoint.replace(/(\S)(\S{8}=*\n)$/, (_, one, rest) => `${one === "A" ? "B" : "A"}${rest}`)
  const hashes = proof.hashes.map((hash, index) => (index === 0 ? flip(hash, 0) : hash))
  expect(checkpoint).not.toBe(proof.checkpoint)
  expect(warmAndCold(good, [good])).toBe("verified")
  const wrong: [Partial<typeof entry>, string][] = [
    [{ inclusionPromise: flip(promise, lastOf(promise)) }, "ERR_LOG_PROMISE"],
    [{ logIndex: entry.logIndex + 1n }, "ERR_LOG_PROMISE"],
    [{ integratedTime: entry.integratedTime + 1n }, "ERR_LOG_PROMISE"],
    [{ inclusionProof: { ...proof, checkpoint } }, "ERR_CHECKPOINT"],
    [{ inclusionProof: { ...proof, hashes } }, "ERR_LOG_PROOF"],
    [{ integratedTime: entry.integratedTime + 86_400n }, "ERR_CERT_CHAIN"],
  ]
  for (const [changes, expected] of wrong) expect(codeOf(warmAndCold(request(changes), [good]))).toBe(expected)
})
