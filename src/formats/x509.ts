/**
 * X.509 certificates (RFC 5280 §4.1), read strictly and in the order of the standard.
 *
 * Reading decides nothing: who trusts the certificate is the business of `verify/`.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { contextTag, DerReader, latin1, primitiveContextTag, readAll, TAG } from "./der.ts"
import { decodeIa5, decodeUtf8String } from "./strings.ts"

/** Object identifiers of certificate extensions and key purposes. */
export const OID = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  signedCertificateTimestampList: "1.3.6.1.4.1.11129.2.4.2",
  fulcioUserName: "1.3.6.1.4.1.57264.1.7",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  timeStamping: "1.3.6.1.5.5.7.3.8",
} as const

/** One extension, its value still encoded. */
export interface Extension {
  readonly critical: boolean
  readonly value: Uint8Array
}

/** One subject alternative name of a kind that names a person or a machine. */
export interface SubjectAltName {
  /** RFC 5280's rfc822Name and uniformResourceIdentifier, and Fulcio's otherName for user names. */
  readonly type: "email" | "uri" | "otherName"
  readonly value: string
}

/** A parsed certificate. Byte fields are views on `der`. */
export interface Certificate {
  readonly der: Uint8Array
  /** The INTEGER's content octets. */
  readonly serialNumber: Uint8Array
  /** The DER of the Names. */
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  /** The DER of the SubjectPublicKeyInfo. */
  readonly subjectPublicKeyInfo: Uint8Array
  readonly signatureAlgorithm: string
  readonly extensions: ReadonlyMap<string, Extension>
  readonly subjectAltNames: readonly SubjectAltName[]
  readonly extKeyUsage: readonly string[]
  /** Whether keyUsage allows digital signatures (bit 0); undefined when the extension is absent. */
  readonly digitalSignature: boolean | undefined
  readonly isCa: boolean
}

const fail = (message: string): never => {
  throw new GitsignError("ERR_CERTIFICATE", message)
}

/** Bytes. Certificates of Fulcio have about 800; a bound keeps a hostile one from costing anything. */
const MAX_SIZE = 16_384

/**
 * Reads one certificate.
 *
 * @throws ERR_DER when it is not DER; ERR_CERTIFICATE when it is no certificate that makes sense
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_SIZE) fail("certificate: larger than any real one")
  return readAll(der, "certificate", (outer) =>
    outer.sequence("Certificate", (r) => {
      const { algorithmIdentifier, ...tbs } = readTbsCertificate(r)
      const outside = r.expect(TAG.sequence, "signatureAlgorithm").raw
      r.bitStringOctets("signatureValue")
      // RFC 5280 §4.1.1.2: one is signed, the other is not; a difference is an algorithm confusion.
      if (Buffer.compare(outside, algorithmIdentifier) !== 0) fail("certificate: two different signature algorithms")
      return { der, ...tbs }
    }),
  )
}

function readTbsCertificate(outer: DerReader): Omit<Certificate, "der"> & { algorithmIdentifier: Uint8Array } {
  return outer.sequence("tbsCertificate", (r) => {
    const version = r.optional(contextTag(0))
    if (version === undefined || readAll(version.content, "version", (v) => v.smallInteger("version")) !== 2) {
      fail("certificate: not version 3")
    }
    const serialNumber = r.integerBytes("serialNumber")
    const algorithmIdentifier = r.expect(TAG.sequence, "signature").raw
    const issuer = r.expect(TAG.sequence, "issuer").raw
    const [notBefore, notAfter] = r.sequence("validity", (v) => [v.time("notBefore"), v.time("notAfter")] as const)
    const subject = r.expect(TAG.sequence, "subject").raw
    const subjectPublicKeyInfo = r.expect(TAG.sequence, "subjectPublicKeyInfo").raw
    r.optional(primitiveContextTag(1))
    r.optional(primitiveContextTag(2))
    const extensions = r.atEnd
      ? new Map<string, Extension>()
      : r.constructed(contextTag(3), "extensions", readExtensions)
    return {
      serialNumber,
      issuer,
      subject,
      notBefore,
      notAfter,
      subjectPublicKeyInfo,
      algorithmIdentifier,
      signatureAlgorithm: readAll(algorithmIdentifier, "signature", (a) => readAlgorithm(a)),
      extensions,
      subjectAltNames: readSubjectAltNames(extensions.get(OID.subjectAltName)),
      extKeyUsage: readExtKeyUsage(extensions.get(OID.extKeyUsage)),
      digitalSignature: readDigitalSignature(extensions.get(OID.keyUsage)),
      isCa: readIsCa(extensions.get(OID.basicConstraints)),
    }
  })
}

const readAlgorithm = (r: DerReader): string =>
  r.sequence("AlgorithmIdentifier", (a) => {
    const oid = a.oid("algorithm")
    if (!a.atEnd) a.any()
    return oid
  })

function readExtensions(r: DerReader): Map<string, Extension> {
  const extensions = new Map<string, Extension>()
  r.sequence("extensions", (list) => {
    while (!list.atEnd) {
      list.sequence("extension", (e) => {
        const oid = e.oid("extnID")
        // DER leaves a DEFAULT out: an explicit FALSE is not DER.
        const critical =
          e.peekTag() === TAG.boolean && (e.boolean("critical") || fail("extension: critical FALSE is encoded"))
        // RFC 5280 §4.2: two readings of one certificate otherwise.
        if (extensions.has(oid)) fail(`certificate: extension ${oid} occurs twice`)
        extensions.set(oid, { critical, value: e.octetString("extnValue") })
      })
    }
  })
  return extensions
}

function readSubjectAltNames(extension: Extension | undefined): SubjectAltName[] {
  if (extension === undefined) return []
  const names: SubjectAltName[] = []
  readAll(extension.value, "subjectAltName", (outer) =>
    outer.sequence("GeneralNames", (r) => {
      while (!r.atEnd) {
        const name = r.any()
        if (name.tag === primitiveContextTag(1))
          names.push({ type: "email", value: decodeIa5(name.content, "rfc822Name") })
        else if (name.tag === primitiveContextTag(6)) {
          names.push({ type: "uri", value: decodeIa5(name.content, "uniformResourceIdentifier") })
        } else if (name.tag === contextTag(0)) {
          const value = readOtherName(name.content)
          if (value !== undefined) names.push({ type: "otherName", value })
        }
      }
    }),
  )
  // An empty name is nobody's, and a pattern such as `.*` would accept it.
  if (names.some(({ value }) => value === "")) fail("subjectAltName: an empty name")
  return names
}

/** Fulcio's user name: otherName { type-id 57264.1.7, value [0] UTF8String }; undefined for other types. */
function readOtherName(content: Uint8Array): string | undefined {
  const r = new DerReader(content)
  const type = r.oid("otherName type-id")
  const value = r.expect(contextTag(0), "otherName value").content
  r.end("otherName")
  return type === OID.fulcioUserName ? decodeUtf8String(value, "der", "otherName") : undefined
}

function readExtKeyUsage(extension: Extension | undefined): string[] {
  if (extension === undefined) return []
  const purposes: string[] = []
  readAll(extension.value, "extKeyUsage", (outer) =>
    outer.sequence("extKeyUsage", (r) => {
      while (!r.atEnd) purposes.push(r.oid("KeyPurposeId"))
    }),
  )
  return purposes
}

function readDigitalSignature(extension: Extension | undefined): boolean | undefined {
  if (extension === undefined) return undefined
  const { content } = readAll(extension.value, "keyUsage", (r) => r.expect(TAG.bitString, "keyUsage"))
  return ((content[1] ?? 0) & 0x80) !== 0
}

function readIsCa(extension: Extension | undefined): boolean {
  if (extension === undefined) return false
  return readAll(extension.value, "basicConstraints", (outer) =>
    outer.sequence("basicConstraints", (r) => {
      const ca = r.peekTag() === TAG.boolean && r.boolean("cA")
      if (!r.atEnd) r.integerBytes("pathLenConstraint")
      return ca
    }),
  )
}

const ATTRIBUTE_NAMES: Readonly<Record<string, string>> = {
  "2.5.4.3": "CN",
  "2.5.4.5": "SERIALNUMBER",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
  "1.2.840.113549.1.9.1": "emailAddress",
  "0.9.2342.19200300.100.1.25": "DC",
}

/**
 * Formats a Name for people, most specific part first as in RFC 4514, such as `CN=sigstore-intermediate,O=sigstore.dev`.
 *
 * The result is made of untrusted text; control characters are replaced.
 *
 * @throws ERR_DER when it is not a DER Name
 */
export function formatName(name: Uint8Array): string {
  const parts: string[] = []
  readAll(name, "Name", (outer) =>
    outer.sequence("Name", (r) => {
      while (!r.atEnd) {
        r.constructed(TAG.set, "RelativeDistinguishedName", (set) => {
          while (!set.atEnd) {
            set.sequence("AttributeTypeAndValue", (a) => {
              const type = a.oid("type")
              const value = a.any()
              const text =
                value.tag === TAG.utf8String ? Buffer.from(value.content).toString("utf8") : latin1(value.content)
              parts.unshift(
                `${ATTRIBUTE_NAMES[type] ?? type}=${text.replace(/\p{C}/gu, "?").replace(/[,+"\\<>;=]/g, "\\$&")}`,
              )
            })
          }
        })
      }
    }),
  )
  return parts.join(",")
}

/** Whether `time` lies in the certificate's validity, both ends included (RFC 5280 §4.1.2.5). */
export const isValidAt = (certificate: Certificate, time: Date): boolean =>
  certificate.notBefore.getTime() <= time.getTime() && time.getTime() <= certificate.notAfter.getTime()
