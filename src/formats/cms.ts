/**
 * The CMS SignedData of a git signature (RFC 5652 §5), exactly as gitsign writes it.
 *
 * Every field has one allowed form, so that no bit outside the signed attributes can be changed unnoticed. In all
 * 152,850 signatures measured in public repositories the layout is this one.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import {
  contextTag,
  type DerReader,
  encode,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSetOf,
  encodeSmallInteger,
  encodeUtcTime,
  readAll,
  TAG,
} from "./der.ts"
import type { Certificate } from "./x509.ts"

/** Object identifiers of CMS content types, attributes and algorithms. */
export const CMS_OID = {
  data: "1.2.840.113549.1.7.1",
  signedData: "1.2.840.113549.1.7.2",
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingTime: "1.2.840.113549.1.9.5",
  timeStampToken: "1.2.840.113549.1.9.16.2.14",
  tstInfo: "1.2.840.113549.1.9.16.1.4",
  transparencyLogEntry: "1.3.6.1.4.1.57264.3.1",
  sha256: "2.16.840.1.101.3.4.2.1",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
} as const

/** The one SignerInfo of a git signature. Byte fields are views on the parsed bytes. */
export interface SignerInfo {
  /** The DER of the issuer's Name, and the serial number's content octets. */
  readonly issuer: Uint8Array
  readonly serialNumber: Uint8Array
  /** The signed attributes as they are signed: the stored bytes with the SET OF tag (RFC 5652 §5.4). */
  readonly signedAttrs: Uint8Array
  /** 32 bytes. */
  readonly messageDigest: Uint8Array
  /** What the signer's clock said. Untrusted. */
  readonly signingTime: Date | undefined
  /** ECDSA-Sig-Value, DER (RFC 3279 §2.2.3). */
  readonly signature: Uint8Array
  /** Attribute values by type. */
  readonly unsignedAttrs: ReadonlyMap<string, readonly Uint8Array[]>
}

/** A parsed git signature. */
export interface SignedData {
  /** The signed content when the signature is not detached. */
  readonly eContent: Uint8Array | undefined
  /** The DER of the certificates, in stored order: the signer's is not always first. */
  readonly certificates: readonly Uint8Array[]
  readonly signerInfo: SignerInfo
}

const fail = (message: string): never => {
  throw new GitsignError("ERR_CMS", message)
}

/** Reads an AlgorithmIdentifier and requires this algorithm, without parameters. */
function expectAlgorithm(r: DerReader, oid: string, what: string): void {
  const found = r.sequence(what, (a) => a.oid(what))
  if (found !== oid) fail(`${what}: expected ${oid}, found ${found}`)
}

/**
 * Reads the DER of a git signature.
 *
 * The caller MUST compare the digest, find the signer's certificate by issuer and serial number, and verify the
 * signature; nothing here is proven.
 *
 * @throws ERR_DER when it is not DER; ERR_CMS when it is not what gitsign writes
 */
export function parseSignedData(der: Uint8Array): SignedData {
  return readAll(der, "signature", (outer) =>
    outer.sequence("ContentInfo", (contentInfo) => {
      const contentType = contentInfo.oid("contentType")
      if (contentType !== CMS_OID.signedData) fail(`contentType: expected SignedData, found ${contentType}`)
      return contentInfo.constructed(contextTag(0), "content", (c) => c.sequence("SignedData", readSignedData))
    }),
  )
}

function readSignedData(r: DerReader): SignedData {
  if (r.smallInteger("version") !== 1) fail("SignedData: version is not 1")
  r.constructed(TAG.set, "digestAlgorithms", (set) => expectAlgorithm(set, CMS_OID.sha256, "digestAlgorithm"))
  const eContent = r.sequence("encapContentInfo", (e) => {
    const eContentType = e.oid("eContentType")
    if (eContentType !== CMS_OID.data) fail(`eContentType: expected id-data, found ${eContentType}`)
    return e.atEnd ? undefined : e.constructed(contextTag(0), "eContent", (c) => c.octetString("eContent"))
  })
  const certificates: Uint8Array[] = []
  r.constructed(contextTag(0), "certificates", (set) => {
    while (!set.atEnd) certificates.push(set.expect(TAG.sequence, "certificate").raw)
  })
  // A git signature carries a leaf and perhaps its intermediate; more is somebody making the verifier work.
  if (certificates.length > 10) fail("certificates: more than ten")
  checkSetOrder(certificates, "certificates")
  const signerInfo = r.constructed(TAG.set, "signerInfos", (set) => set.sequence("signerInfo", readSignerInfo))
  return { eContent, certificates, signerInfo }
}

/** RFC 5652 §5.3 SignerInfo. */
function readSignerInfo(r: DerReader): SignerInfo {
  if (r.smallInteger("version") !== 1) fail("signerInfo: version is not 1 (issuerAndSerialNumber)")
  const [issuer, serialNumber] = r.sequence(
    "issuerAndSerialNumber",
    (s) => [s.expect(TAG.sequence, "issuer").raw, s.integerBytes("serialNumber")] as const,
  )
  expectAlgorithm(r, CMS_OID.sha256, "digestAlgorithm")
  const stored = r.expect(contextTag(0), "signedAttrs")
  const signedAttrs = encode(TAG.set, stored.content)
  const attributes = readAttributes(stored.content, "signedAttrs")
  expectAlgorithm(r, CMS_OID.ecdsaWithSha256, "signatureAlgorithm")
  const signature = r.octetString("signature")
  const unsigned = r.optional(contextTag(1))
  const unsignedAttrs = unsigned ? readAttributes(unsigned.content, "unsignedAttrs") : new Map<string, Uint8Array[]>()
  if (unsigned?.content.length === 0) fail("unsignedAttrs: empty")
  if (unsigned !== undefined) checkSetOrder(valuesOf(unsigned.content), "unsignedAttrs")

  for (const type of attributes.keys()) {
    if (type !== CMS_OID.contentType && type !== CMS_OID.messageDigest && type !== CMS_OID.signingTime) {
      fail(`signedAttrs: unexpected attribute ${type}`)
    }
  }
  const contentType = readAll(single(attributes, CMS_OID.contentType, "contentType"), "contentType", (v) =>
    v.oid("contentType"),
  )
  if (contentType !== CMS_OID.data) fail(`contentType attribute: expected id-data, found ${contentType}`)
  const messageDigest = readAll(single(attributes, CMS_OID.messageDigest, "messageDigest"), "messageDigest", (v) =>
    v.octetString("messageDigest"),
  )
  if (messageDigest.length !== 32) fail("messageDigest: not 32 bytes")
  const signingTime = attributes.has(CMS_OID.signingTime)
    ? readAll(single(attributes, CMS_OID.signingTime, "signingTime"), "signingTime", (v) => v.time("signingTime"))
    : undefined
  return { issuer, serialNumber, signedAttrs, messageDigest, signingTime, signature, unsignedAttrs }
}

/** The encodings of the values in a constructed encoding's content. */
const valuesOf = (content: Uint8Array): Uint8Array[] =>
  readAll(content, "SET", (r) => {
    const values: Uint8Array[] = []
    while (!r.atEnd) values.push(r.any().raw)
    return values
  })

/** DER sorts a SET OF (X.690 §11.6). No signature covers these two, so another order would be another signature. */
function checkSetOrder(encodings: readonly Uint8Array[], what: string): void {
  for (const [index, encoding] of encodings.entries()) {
    const before = encodings[index - 1]
    if (before !== undefined && Buffer.compare(before, encoding) >= 0) fail(`${what}: not in the order of DER`)
  }
}

/**
 * Reads the content of a SET OF Attribute (RFC 5652 §5.3) as value encodings by type.
 *
 * @throws ERR_DER when it is not DER; ERR_CMS when a type occurs twice
 */
export function readAttributes(content: Uint8Array, what: string): Map<string, Uint8Array[]> {
  const attributes = new Map<string, Uint8Array[]>()
  readAll(content, what, (r) => {
    while (!r.atEnd) {
      r.sequence("attribute", (a) => {
        const type = a.oid("attrType")
        const values: Uint8Array[] = []
        a.constructed(TAG.set, "attrValues", (set) => {
          while (!set.atEnd) values.push(set.any().raw)
        })
        if (attributes.has(type)) fail(`${what}: attribute ${type} occurs twice`)
        attributes.set(type, values)
      })
    }
  })
  return attributes
}

/** The one value of an attribute. @throws ERR_CMS when it is absent or has several values */
export function single(attributes: ReadonlyMap<string, readonly Uint8Array[]>, type: string, what: string): Uint8Array {
  const values = attributes.get(type)
  const [value] = values ?? []
  if (value === undefined || values?.length !== 1)
    return fail(`${what}: expected one value, found ${values?.length ?? 0}`)
  return value
}

const algorithm = (oid: string): Uint8Array => encodeSequence(encodeOid(oid))

const attribute = (type: string, value: Uint8Array): Uint8Array =>
  encodeSequence(encodeOid(type), encode(TAG.set, value))

/**
 * Encodes the signed attributes of a git signature, 107 bytes: contentType, signingTime, messageDigest in that order.
 *
 * The signature is made over the result as it is.
 *
 * @param messageDigest SHA-256 of the payload, 32 bytes
 * @param signingTime whole seconds, years 1950 to 2049
 */
export const encodeSignedAttrs = (messageDigest: Uint8Array, signingTime: Date): Uint8Array =>
  encodeSetOf(
    attribute(CMS_OID.contentType, encodeOid(CMS_OID.data)),
    attribute(CMS_OID.signingTime, encodeUtcTime(signingTime)),
    attribute(CMS_OID.messageDigest, encodeOctetString(messageDigest)),
  )

/** What {@link encodeSignedData} puts together. */
export interface SignedDataParts {
  readonly certificate: Certificate
  /** From {@link encodeSignedAttrs}. */
  readonly signedAttrs: Uint8Array
  /** ECDSA-Sig-Value over `signedAttrs`, DER. */
  readonly signature: Uint8Array
  /** Encoded values by attribute type. */
  readonly unsignedAttrs: ReadonlyMap<string, Uint8Array>
  /** The content, when the signature is not to be detached. */
  readonly eContent: Uint8Array | undefined
}

/** Encodes a git signature, byte for byte in the layout of the Go gitsign. */
export function encodeSignedData(parts: SignedDataParts): Uint8Array {
  const { certificate, signedAttrs, signature, unsignedAttrs, eContent } = parts
  const unsigned = [...unsignedAttrs].map(([type, value]) => attribute(type, value))
  const signerInfo = encodeSequence(
    encodeSmallInteger(1),
    encodeSequence(certificate.issuer, encode(TAG.integer, certificate.serialNumber)),
    algorithm(CMS_OID.sha256),
    retag(contextTag(0), signedAttrs),
    algorithm(CMS_OID.ecdsaWithSha256),
    encodeOctetString(signature),
    ...(unsigned.length > 0 ? [retag(contextTag(1), encodeSetOf(...unsigned))] : []),
  )
  const content = eContent === undefined ? [] : [encode(contextTag(0), encodeOctetString(eContent))]
  const signedData = encodeSequence(
    encodeSmallInteger(1),
    encode(TAG.set, algorithm(CMS_OID.sha256)),
    encodeSequence(encodeOid(CMS_OID.data), ...content),
    encode(contextTag(0), certificate.der),
    encode(TAG.set, signerInfo),
  )
  return encodeSequence(encodeOid(CMS_OID.signedData), encode(contextTag(0), signedData))
}

/** The same value under an IMPLICIT tag. */
function retag(tag: number, value: Uint8Array): Uint8Array {
  const copy = Buffer.from(value)
  copy[0] = tag
  return copy
}
