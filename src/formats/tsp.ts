/**
 * Time-Stamp Protocol messages (RFC 3161 §2.4), read strictly.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { CMS_OID, readAttributes, single } from "./cms.ts"
import {
  contextTag,
  type DerReader,
  encode,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
  encodeUnsignedInteger,
  latin1,
  readAll,
  TAG,
} from "./der.ts"

/** Bytes; a token with its chain has about 5,000. */
const MAX_SIZE = 65_536

/** RFC 3161 §2.4.2 PKIStatus: the token is as asked for. A token with modifications (1) is not taken. */
export const GRANTED = 0

/** A parsed TimeStampResp. */
export interface TimeStampResp {
  readonly status: number
  readonly statusText: string | undefined
  /** The first set bit of failInfo (RFC 3161 §2.4.2), if any. */
  readonly failInfo: number | undefined
  /** The DER of the TimeStampToken. */
  readonly token: Uint8Array | undefined
}

/** RFC 3161 §2.4.2 TSTInfo. */
export interface TstInfo {
  readonly policy: string
  readonly messageImprint: { readonly hashAlgorithm: string; readonly hashedMessage: Uint8Array }
  /** The INTEGER's content octets. */
  readonly serialNumber: Uint8Array
  readonly genTime: Date
  /** The INTEGER's content octets. */
  readonly nonce: Uint8Array | undefined
}

/** A parsed TimeStampToken: a CMS SignedData over a TSTInfo. Nothing in it is proven. */
export interface TimeStampToken {
  readonly tstInfo: TstInfo
  /** The DER of the embedded certificates. */
  readonly certificates: readonly Uint8Array[]
  /** The signer: the DER of the issuer's Name, and the serial number's content octets. */
  readonly issuer: Uint8Array
  readonly serialNumber: Uint8Array
  /** The kind of key that the signature algorithm is for. */
  readonly keyType: "ecdsa" | "rsa"
}

const fail = (message: string): never => {
  throw new GitsignError("ERR_TIMESTAMP", `timestamp: ${message}`)
}

/**
 * Encodes a TimeStampReq for a SHA-256 digest, asking for the signer's certificate.
 *
 * @param digest 32 bytes
 * @param nonce 16 random bytes, taken as an unsigned number
 */
export const encodeTimeStampReq = (request: { digest: Uint8Array; nonce: Uint8Array }): Uint8Array =>
  encodeSequence(
    encodeSmallInteger(1),
    encodeSequence(encodeSequence(encodeOid(CMS_OID.sha256)), encodeOctetString(request.digest)),
    encodeUnsignedInteger(request.nonce),
    encode(TAG.boolean, Buffer.of(0xff)),
  )

/** Wraps a TimeStampToken as the TimeStampResp that a TSA would have sent it in. */
export const wrapTimeStampToken = (token: Uint8Array): Uint8Array =>
  encodeSequence(encodeSequence(encodeSmallInteger(GRANTED)), token)

/**
 * Reads a TimeStampResp.
 *
 * @throws ERR_DER when it is not DER
 */
export function parseTimeStampResp(der: Uint8Array): TimeStampResp {
  return readAll(der, "TimeStampResp", (outer) =>
    outer.sequence("TimeStampResp", (r) => {
      const status = r.sequence("PKIStatusInfo", (s) => {
        const status = s.smallInteger("status")
        const text = s.optional(TAG.sequence)
        const failInfo = s.optional(TAG.bitString)
        return {
          status,
          statusText:
            text &&
            latin1(text.content)
              .replace(/[^\x20-\x7e]/g, "")
              .slice(0, 200),
          failInfo: failInfo && firstBit(failInfo.content.subarray(1)),
        }
      })
      const token = r.atEnd ? undefined : r.expect(TAG.sequence, "timeStampToken").raw
      return { ...status, token }
    }),
  )
}

function firstBit(bytes: Uint8Array): number | undefined {
  for (let i = 0; i < bytes.length * 8; i++) if ((bytes[i >> 3] ?? 0) & (0x80 >> (i & 7))) return i
  return undefined
}

/**
 * Reads a TimeStampToken with one signer.
 *
 * The caller MUST verify its signature and compare its imprint.
 *
 * @throws ERR_DER when it is not DER; ERR_CMS or ERR_TIMESTAMP when it is not a TimeStampToken
 */
export function parseTimeStampToken(der: Uint8Array): TimeStampToken {
  if (der.length > MAX_SIZE) fail("larger than any real one")
  return readAll(der, "timeStampToken", (outer) =>
    outer.sequence("ContentInfo", (r) => {
      if (r.oid("contentType") !== CMS_OID.signedData) fail("not a SignedData")
      return r.constructed(contextTag(0), "content", (c) => c.sequence("SignedData", readSignedData))
    }),
  )
}

function readSignedData(r: DerReader): TimeStampToken {
  // RFC 5652 §5.1: version 3, since eContentType is not id-data.
  if (r.smallInteger("version") !== 3) fail("SignedData: version is not 3")
  const digestAlgorithms: string[] = []
  r.constructed(TAG.set, "digestAlgorithms", (set) => {
    while (!set.atEnd) digestAlgorithms.push(readAlgorithm(set, "digestAlgorithm"))
  })
  const tstInfo = r.sequence("encapContentInfo", (e) => {
    if (e.oid("eContentType") !== CMS_OID.tstInfo) fail("eContentType is not id-ct-TSTInfo")
    return e.constructed(contextTag(0), "eContent", (c) => readAll(c.octetString("eContent"), "TSTInfo", readTstInfo))
  })
  const certificates: Uint8Array[] = []
  const certificateSet = r.optional(contextTag(0))
  if (certificateSet !== undefined) {
    readAll(certificateSet.content, "certificates", (set) => {
      while (!set.atEnd) certificates.push(set.expect(TAG.sequence, "certificate").raw)
    })
  }
  if (certificates.length > 10) fail("more than ten certificates")
  return r.constructed(TAG.set, "signerInfos", (set) =>
    set.sequence("signerInfo", (s) => ({ tstInfo, certificates, ...readSignerInfo(s, digestAlgorithms) })),
  )
}

function readSignerInfo(
  s: DerReader,
  digestAlgorithms: readonly string[],
): Pick<TimeStampToken, "issuer" | "serialNumber" | "keyType"> {
  if (s.smallInteger("version") !== 1) fail("signerInfo: version is not 1")
  const sid = s.sequence("issuerAndSerialNumber", (i) => ({
    issuer: i.expect(TAG.sequence, "issuer").raw,
    serialNumber: i.integerBytes("serialNumber"),
  }))
  const digestAlgorithm = readAlgorithm(s, "digestAlgorithm")
  if (digestAlgorithms.length !== 1 || digestAlgorithms[0] !== digestAlgorithm) {
    fail("the digest algorithms of the SignedData are not the signer's")
  }
  const attributes = readAttributes(s.expect(contextTag(0), "signedAttrs").content, "signedAttrs")
  const contentType = readAll(single(attributes, CMS_OID.contentType, "contentType"), "contentType", (v) =>
    v.oid("contentType"),
  )
  if (contentType !== CMS_OID.tstInfo) fail("the contentType attribute is not id-ct-TSTInfo")
  single(attributes, CMS_OID.messageDigest, "messageDigest")
  const keyType = keyTypeOf(readAlgorithm(s, "signatureAlgorithm"), digestAlgorithm)
  s.octetString("signature")
  // Unsigned attributes could be changed by anyone, and nothing here has a use for them.
  if (!s.atEnd) fail("unsigned attributes are not expected")
  return { ...sid, keyType }
}

/** Digest algorithms (RFC 5754 §2) and the signature algorithms that go with them. */
const SIGNATURE_ALGORITHMS: Readonly<Record<string, { readonly ecdsa: string; readonly rsa: string }>> = {
  "2.16.840.1.101.3.4.2.1": { ecdsa: "1.2.840.10045.4.3.2", rsa: "1.2.840.113549.1.1.11" },
  "2.16.840.1.101.3.4.2.2": { ecdsa: "1.2.840.10045.4.3.3", rsa: "1.2.840.113549.1.1.12" },
  "2.16.840.1.101.3.4.2.3": { ecdsa: "1.2.840.10045.4.3.4", rsa: "1.2.840.113549.1.1.13" },
}
/** RFC 3370 §3.2: rsaEncryption, with the digest of digestAlgorithm. */
const RSA_ENCRYPTION = "1.2.840.113549.1.1.1"

function keyTypeOf(signatureAlgorithm: string, digestAlgorithm: string): TimeStampToken["keyType"] {
  const allowed = SIGNATURE_ALGORITHMS[digestAlgorithm]
  if (allowed === undefined) return fail(`digest algorithm ${digestAlgorithm} is not SHA-256, SHA-384 or SHA-512`)
  if (signatureAlgorithm === allowed.ecdsa) return "ecdsa"
  if (signatureAlgorithm === allowed.rsa || signatureAlgorithm === RSA_ENCRYPTION) return "rsa"
  return fail(`signature algorithm ${signatureAlgorithm} does not go with digest algorithm ${digestAlgorithm}`)
}

/** Reads an AlgorithmIdentifier whose parameters are absent or NULL (RFC 5754 §2 allows both). */
const readAlgorithm = (r: DerReader, what: string): string =>
  r.sequence(what, (a) => {
    const oid = a.oid(what)
    if (!a.atEnd && a.expect(TAG.null, `${what} parameters`).content.length !== 0) fail(`${what}: malformed NULL`)
    return oid
  })

function readTstInfo(outer: DerReader): TstInfo {
  return outer.sequence("TSTInfo", (r) => {
    if (r.smallInteger("version") !== 1) fail("TSTInfo: version is not 1")
    const policy = r.oid("policy")
    const messageImprint = r.sequence("messageImprint", (m) => ({
      hashAlgorithm: readAlgorithm(m, "hashAlgorithm"),
      hashedMessage: m.octetString("hashedMessage"),
    }))
    const serialNumber = r.integerBytes("serialNumber")
    const genTime = readGenTime(r)
    r.optional(TAG.sequence) // accuracy: genTime decides, as a token of a second ago would otherwise predate its certificate
    if (r.peekTag() === TAG.boolean) r.boolean("ordering")
    const nonce = r.peekTag() === TAG.integer ? r.integerBytes("nonce") : undefined
    r.optional(contextTag(0)) // tsa
    if (r.optional(contextTag(1)) !== undefined) fail("TSTInfo: extensions are not expected")
    return { policy, messageImprint, serialNumber, genTime, nonce }
  })
}

/** RFC 3161 §2.4.2: GeneralizedTime in UTC, a fraction allowed, without trailing zeros. */
function readGenTime(r: DerReader): Date {
  const text = latin1(r.expect(TAG.generalizedTime, "genTime").content)
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d*[1-9])?Z$/.exec(text)
  if (match === null) return fail("genTime is not a UTC time")
  const [, year, month, day, hour, minute, second, fraction = ""] = match
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}${fraction.slice(0, 4)}Z`)
  if (Number.isNaN(date.getTime())) return fail("genTime is no moment")
  return date
}
