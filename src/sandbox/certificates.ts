/**
 * The sandbox's certificates (RFC 5280), built with pkijs so that gitsign's own parser meets bytes of another hand.
 *
 * @module
 */

import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto"
import { Set as AsnSet, BitString, Integer, OctetString, Sequence, Utf8String } from "asn1js"
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  Extension,
  ExtKeyUsage,
  GeneralName,
  GeneralNames,
  PublicKeyInfo,
  RelativeDistinguishedNames,
  Time,
} from "pkijs"
import { DerReader } from "../formats/der.ts"

/** Object identifiers of extensions and key purposes, as their standards name them. */
export const OID = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  timeStamping: "1.3.6.1.5.5.7.3.8",
  sctList: "1.3.6.1.4.1.11129.2.4.2",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecdsaWithSha384: "1.2.840.10045.4.3.3",
} as const

/** A certificate authority: what it signs with and what its certificates say about it. */
export interface Issuer {
  readonly certificate: Certificate
  readonly privateKey: KeyObject
}

/** One extension, its value already in DER. */
export interface ExtensionValue {
  readonly id: string
  readonly critical: boolean
  readonly value: Uint8Array
}

/** Bits of KeyUsage (RFC 5280 §4.2.1.3) as the first octet of the bit string, and how many bits of it are unused. */
const KEY_USAGE = {
  digitalSignature: { octet: 0x80, unused: 7 },
  certificateAuthority: { octet: 0x06, unused: 1 },
} as const

const bytes = (value: { toBER(sizeOnly?: boolean): ArrayBuffer }): Uint8Array => new Uint8Array(value.toBER(false))

/** A copy as an ArrayBuffer of exactly these bytes, which asn1js asks for. */
export const toArrayBuffer = (view: Uint8Array): ArrayBuffer => Uint8Array.from(view).buffer

/** Reads a DER certificate. */
export const parseCertificate = (der: Uint8Array): Certificate => Certificate.fromBER(toArrayBuffer(der))

/** The DER of a certificate. */
export const encodeCertificate = (certificate: Certificate): Uint8Array => bytes(certificate.toSchema(true))

/** Keys that have been encoded before: the services' own ones are asked for with every certificate. */
const encodedKeys = new WeakMap<KeyObject, Buffer>()

/** The SubjectPublicKeyInfo of a key, in DER. */
export function spkiOf(key: KeyObject): Buffer {
  const known = encodedKeys.get(key)
  if (known !== undefined) return known
  const spki = (key.type === "private" ? createPublicKey(key) : key).export({ type: "spki", format: "der" })
  encodedKeys.set(key, spki)
  return spki
}

/** The key identifier of RFC 5280 §4.2.1.2 (1): SHA-1 of the key's BIT STRING content, 20 bytes. */
function keyIdentifier(spki: Uint8Array): Buffer {
  const key = new DerReader(spki).sequence("SubjectPublicKeyInfo", (reader) => {
    reader.any()
    return reader.bitStringOctets("subjectPublicKey")
  })
  return createHash("sha1").update(key).digest()
}

/** A Name of these attributes (RFC 5280 §4.1.2.4), of none when there are none. */
function name(...attributes: readonly (readonly [type: string, value: string])[]): RelativeDistinguishedNames {
  // pkijs would put all attributes into one RDN, and an empty RDN into an empty name, which strict parsers refuse.
  const rdns = attributes.map(
    ([type, value]) =>
      new AsnSet({ value: [new AttributeTypeAndValue({ type, value: new Utf8String({ value }) }).toSchema()] }),
  )
  return RelativeDistinguishedNames.fromBER(new Sequence({ value: rdns }).toBER(false))
}

const authorityName = ({ organization, commonName }: AuthorityOptions): RelativeDistinguishedNames =>
  name(["2.5.4.10", organization], ["2.5.4.3", commonName])

const keyUsage = ({ octet, unused }: { octet: number; unused: number }): ExtensionValue => ({
  id: OID.keyUsage,
  critical: true,
  value: bytes(new BitString({ valueHex: toArrayBuffer(Uint8Array.of(octet)), unusedBits: unused })),
})

const extKeyUsage = (purpose: string, critical: boolean): ExtensionValue => ({
  id: OID.extKeyUsage,
  critical,
  value: bytes(new ExtKeyUsage({ keyPurposes: [purpose] }).toSchema()),
})

const basicConstraints = (options: { cA: boolean; pathLenConstraint?: number }): ExtensionValue => ({
  id: OID.basicConstraints,
  critical: true,
  value: bytes(new BasicConstraints(options).toSchema()),
})

const subjectKeyIdentifier = (spki: Uint8Array): ExtensionValue => ({
  id: OID.subjectKeyIdentifier,
  critical: false,
  value: bytes(new OctetString({ valueHex: toArrayBuffer(keyIdentifier(spki)) })),
})

const authorityKeyIdentifier = (issuerSpki: Uint8Array): ExtensionValue => ({
  id: OID.authorityKeyIdentifier,
  critical: false,
  value: bytes(
    new AuthorityKeyIdentifier({
      keyIdentifier: new OctetString({ valueHex: toArrayBuffer(keyIdentifier(issuerSpki)) }),
    }).toSchema(),
  ),
})

/** The SubjectAltName extension with one name: an e-mail address or a URI (RFC 5280 §4.2.1.6). */
export const subjectAltName = (kind: "email" | "uri", value: string): ExtensionValue => ({
  id: OID.subjectAltName,
  // The subject is empty, so the names are critical (RFC 5280 §4.2.1.6).
  critical: true,
  value: bytes(new GeneralNames({ names: [new GeneralName({ type: kind === "email" ? 1 : 6, value })] }).toSchema()),
})

/** The DER of a UTF8String, as Fulcio's newer extensions hold it. */
export const utf8String = (value: string): Uint8Array => bytes(new Utf8String({ value }))

interface Contents {
  readonly subject: RelativeDistinguishedNames
  readonly spki: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  readonly extensions: readonly ExtensionValue[]
  readonly issuer: RelativeDistinguishedNames
}

/** An unsigned certificate with a random serial number of 20 octets. */
function draft(contents: Contents): Certificate {
  const serial = randomBytes(20)
  // Positive and of full length in DER: the first bit 0, the first octet not 0.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const certificate = new Certificate()
  certificate.version = 2
  certificate.serialNumber = new Integer({ valueHex: toArrayBuffer(serial) })
  certificate.signature = new AlgorithmIdentifier({ algorithmId: OID.ecdsaWithSha384 })
  certificate.signatureAlgorithm = certificate.signature
  certificate.issuer = contents.issuer
  certificate.subject = contents.subject
  certificate.notBefore = new Time({ type: 0, value: contents.notBefore })
  certificate.notAfter = new Time({ type: 0, value: contents.notAfter })
  certificate.subjectPublicKeyInfo = PublicKeyInfo.fromBER(toArrayBuffer(contents.spki))
  certificate.extensions = contents.extensions.map(toExtension)
  return certificate
}

const toExtension = ({ id, critical, value }: ExtensionValue): Extension =>
  new Extension({ extnID: id, critical, extnValue: toArrayBuffer(value) })

const tbsOf = (certificate: Certificate): Uint8Array => bytes(certificate.encodeTBS())

/** Signs with ecdsa-with-SHA384, as every certificate of Fulcio is. */
function signWith(certificate: Certificate, privateKey: KeyObject): Certificate {
  certificate.tbsView = Uint8Array.from(tbsOf(certificate))
  const signature = sign("sha384", certificate.tbsView, privateKey)
  certificate.signatureValue = new BitString({ valueHex: toArrayBuffer(signature) })
  return certificate
}

export interface AuthorityOptions {
  readonly organization: string
  readonly commonName: string
  readonly key: KeyObject
  readonly notBefore: Date
  readonly notAfter: Date
}

/** A self-signed root for a chain of at most one more authority. */
export function issueRoot(options: AuthorityOptions): Certificate {
  const subject = authorityName(options)
  const spki = spkiOf(options.key)
  const certificate = draft({
    ...options,
    subject,
    issuer: subject,
    spki,
    extensions: [
      keyUsage(KEY_USAGE.certificateAuthority),
      basicConstraints({ cA: true, pathLenConstraint: 1 }),
      subjectKeyIdentifier(spki),
    ],
  })
  return signWith(certificate, options.key)
}

/** The authority that issues code-signing certificates and no further authorities. */
export function issueIntermediate(options: AuthorityOptions, root: Issuer): Certificate {
  const spki = spkiOf(options.key)
  const certificate = draft({
    ...options,
    subject: authorityName(options),
    issuer: root.certificate.subject,
    spki,
    extensions: [
      keyUsage(KEY_USAGE.certificateAuthority),
      extKeyUsage(OID.codeSigning, false),
      basicConstraints({ cA: true, pathLenConstraint: 0 }),
      subjectKeyIdentifier(spki),
      authorityKeyIdentifier(spkiOf(root.privateKey)),
    ],
  })
  return signWith(certificate, root.privateKey)
}

/** The certificate of a timestamp authority: critical timeStamping and no other purpose (RFC 3161 §2.3). */
export function issueTimestampSigner(options: AuthorityOptions, root: Issuer): Certificate {
  const spki = spkiOf(options.key)
  const certificate = draft({
    ...options,
    subject: authorityName(options),
    issuer: root.certificate.subject,
    spki,
    extensions: [
      keyUsage(KEY_USAGE.digitalSignature),
      extKeyUsage(OID.timeStamping, true),
      basicConstraints({ cA: false }),
      subjectKeyIdentifier(spki),
      authorityKeyIdentifier(spkiOf(root.privateKey)),
    ],
  })
  return signWith(certificate, root.privateKey)
}

export interface LeafOptions {
  /** The subject's SubjectPublicKeyInfo in DER. */
  readonly spki: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  /** SubjectAltName first, then the claims (1.3.6.1.4.1.57264.1.*). */
  readonly names: readonly ExtensionValue[]
}

/**
 * A code-signing certificate with an empty subject and a signed certificate timestamp in it, in DER.
 *
 * @param timestamp called with the TBSCertificate that the log commits to (RFC 6962 §3.2: without the list of
 *   timestamps); it returns the value of that extension
 */
export async function issueLeaf(
  options: LeafOptions,
  issuer: Issuer,
  timestamp: (tbsCertificate: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const certificate = draft({
    ...options,
    subject: name(),
    issuer: issuer.certificate.subject,
    extensions: [
      keyUsage(KEY_USAGE.digitalSignature),
      extKeyUsage(OID.codeSigning, false),
      subjectKeyIdentifier(options.spki),
      authorityKeyIdentifier(spkiOf(issuer.privateKey)),
      ...options.names,
    ],
  })
  const value = await timestamp(tbsOf(certificate))
  certificate.extensions?.push(toExtension({ id: OID.sctList, critical: false, value }))
  return encodeCertificate(signWith(certificate, issuer.privateKey))
}

/** The issuer's name and serial number of a certificate, as ESSCertIDv2 names it (RFC 5035 §4). */
export function issuerSerial(certificate: Certificate): Sequence {
  return new Sequence({
    value: [
      new GeneralNames({ names: [new GeneralName({ type: 4, value: certificate.issuer })] }).toSchema(),
      certificate.serialNumber,
    ],
  })
}
