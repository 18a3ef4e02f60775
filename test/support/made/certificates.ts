/**
 * Certificates of the made-up Sigstore instance (RFC 5280), each part open to being made wrong.
 *
 * @module
 */

import { createHash, type KeyObject, randomBytes, sign } from "node:crypto"
import { algorithm, bits, boolean, context, ia5, integer, octets, oid, seq, set, tlv, utcTime, utf8 } from "./asn1.ts"
import { namedKey, sha256, spkiOf } from "./keys.ts"

export const OIDS = {
  codeSigning: "1.3.6.1.5.5.7.3.3",
  timeStamping: "1.3.6.1.5.5.7.3.8",
  sctList: "1.3.6.1.4.1.11129.2.4.2",
  fulcio: "1.3.6.1.4.1.57264.1",
  ecdsaSha256: "1.2.840.10045.4.3.2",
  ecdsaSha384: "1.2.840.10045.4.3.3",
} as const

/** When the made-up world exists. */
export const NOW = new Date("2026-03-01T12:00:00Z")
export const seconds = (after: number): Date => new Date(NOW.getTime() + after * 1000)

export const KEYS = {
  root: namedKey("fulcio root", "P-384"),
  intermediate: namedKey("fulcio intermediate", "P-384"),
  ctLog: namedKey("ct log"),
  rekor: namedKey("rekor"),
  tsaRoot: namedKey("tsa root", "P-384"),
  tsa: namedKey("tsa"),
  stranger: namedKey("stranger", "P-384"),
} as const

/** O=fixtures.example, CN=commonName; the empty name without one. */
export const name = (commonName?: string): Buffer =>
  commonName === undefined
    ? seq()
    : seq(
        set(seq(oid("2.5.4.10"), tlv(0x13, Buffer.from("fixtures.example")))),
        set(seq(oid("2.5.4.3"), tlv(0x13, Buffer.from(commonName)))),
      )

export const extension = (id: string, value: Uint8Array, critical = false): Buffer =>
  critical ? seq(oid(id), boolean(true), octets(value)) : seq(oid(id), octets(value))

const keyIdentifier = (spki: Uint8Array): Buffer => createHash("sha1").update(spki).digest()

export const EXTENSIONS = {
  keyUsage: (octet: number, unused: number) => extension("2.5.29.15", bits(Buffer.of(octet), unused), true),
  extKeyUsage: (purpose: string, critical = false) => extension("2.5.29.37", seq(oid(purpose)), critical),
  basicConstraints: (isCa: boolean) => extension("2.5.29.19", isCa ? seq(boolean(true)) : seq(), true),
  subjectKeyIdentifier: (spki: Uint8Array) => extension("2.5.29.14", octets(keyIdentifier(spki))),
  authorityKeyIdentifier: (spki: Uint8Array) => extension("2.5.29.35", seq(tlv(0x80, keyIdentifier(spki)))),
  subjectAltName: (...names: readonly Uint8Array[]) => extension("2.5.29.17", seq(...names), true),
} as const

export const email = (address: string): Buffer => ia5(0x81, address)
export const uri = (text: string): Buffer => ia5(0x86, text)

export interface CertificateParts {
  readonly serial?: Buffer
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  readonly spki: Uint8Array
  readonly extensions: readonly Uint8Array[]
  readonly signer: KeyObject
  /** The algorithm inside and outside of what is signed. */
  readonly algorithms?: readonly [Uint8Array, Uint8Array]
}

const randomSerial = (): Buffer => {
  const serial = randomBytes(20)
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return serial
}

/** The TBSCertificate. */
const tbsCertificate = (parts: CertificateParts & { readonly serial: Buffer }): Buffer =>
  seq(
    context(0, integer(2)),
    tlv(0x02, parts.serial),
    parts.algorithms?.[0] ?? algorithm(OIDS.ecdsaSha384),
    parts.issuer,
    seq(utcTime(parts.notBefore), utcTime(parts.notAfter)),
    parts.subject,
    parts.spki,
    context(3, seq(...parts.extensions)),
  )

/** A signed certificate, DER. */
function certificate(parts: CertificateParts): Buffer {
  const tbs = tbsCertificate({ ...parts, serial: parts.serial ?? randomSerial() })
  return seq(tbs, parts.algorithms?.[1] ?? algorithm(OIDS.ecdsaSha384), bits(sign("sha384", tbs, parts.signer)))
}

const YEARS = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2036-01-01T00:00:00Z") }

/** The chains of the trusted root, most specific certificate first. Signatures differ from call to call. */
export function chains(): { fulcio: Buffer[]; tsa: Buffer[] } {
  const ca = (commonName: string, issuer: string, key: KeyObject, signer: KeyObject): Buffer =>
    certificate({
      ...YEARS,
      issuer: name(issuer),
      subject: name(commonName),
      spki: spkiOf(key),
      signer,
      extensions: [
        EXTENSIONS.keyUsage(0x06, 1),
        EXTENSIONS.basicConstraints(true),
        EXTENSIONS.subjectKeyIdentifier(spkiOf(key)),
        EXTENSIONS.authorityKeyIdentifier(spkiOf(signer)),
      ],
    })
  return {
    fulcio: [
      ca("fulcio intermediate", "fulcio root", KEYS.intermediate, KEYS.root),
      ca("fulcio root", "fulcio root", KEYS.root, KEYS.root),
    ],
    tsa: [tsaCertificate(), ca("tsa root", "tsa root", KEYS.tsaRoot, KEYS.tsaRoot)],
  }
}

/** A timestamp authority's certificate. */
export const tsaCertificate = (changes: Partial<CertificateParts> = {}): Buffer =>
  certificate({
    ...YEARS,
    issuer: name("tsa root"),
    subject: name("tsa"),
    serial: Buffer.from("0a", "hex"),
    spki: spkiOf(KEYS.tsa),
    signer: KEYS.tsaRoot,
    extensions: [EXTENSIONS.keyUsage(0x80, 7), EXTENSIONS.extKeyUsage(OIDS.timeStamping, true)],
    ...changes,
  })

export interface LeafOptions {
  readonly key: KeyObject
  readonly spki?: Uint8Array
  readonly serial?: Buffer
  readonly notBefore?: Date
  readonly issuer?: Uint8Array
  readonly signer?: KeyObject
  readonly algorithms?: readonly [Uint8Array, Uint8Array]
  /** Replaces the extension of this name; an empty list leaves it out. */
  readonly keyUsage?: readonly Uint8Array[]
  readonly extKeyUsage?: readonly Uint8Array[]
  readonly subjectAltName?: readonly Uint8Array[]
  readonly claims?: readonly Uint8Array[]
  readonly more?: readonly Uint8Array[]
  /** The signed certificate timestamps: their list by default one of the trusted log. */
  readonly scts?: (tbs: Uint8Array) => readonly Uint8Array[]
}

export const IDENTITY = "alice@fixtures.example"
export const ISSUER = "https://issuer.fixtures.example"

/** Fulcio's claims under 57264.1: before 8 raw bytes, from 8 on a UTF8String. */
export const claim = (arc: number, value: string): Buffer =>
  extension(`${OIDS.fulcio}.${arc}`, arc < 8 ? Buffer.from(value, "utf8") : utf8(value))

/** A code-signing certificate as Fulcio issues it, or as told. */
export function leafCertificate(options: LeafOptions): Buffer {
  const spki = options.spki ?? spkiOf(options.key)
  const notBefore = options.notBefore ?? NOW
  const signer = options.signer ?? KEYS.intermediate
  const parts = {
    serial: options.serial ?? randomSerial(),
    issuer: options.issuer ?? name("fulcio intermediate"),
    subject: name(),
    notBefore,
    notAfter: new Date(notBefore.getTime() + 600_000),
    spki,
    signer,
    ...(options.algorithms === undefined ? {} : { algorithms: options.algorithms }),
    extensions: [
      ...(options.keyUsage ?? [EXTENSIONS.keyUsage(0x80, 7)]),
      ...(options.extKeyUsage ?? [EXTENSIONS.extKeyUsage(OIDS.codeSigning)]),
      EXTENSIONS.subjectKeyIdentifier(spki),
      EXTENSIONS.authorityKeyIdentifier(spkiOf(signer)),
      ...(options.subjectAltName ?? [EXTENSIONS.subjectAltName(email(IDENTITY))]),
      ...(options.claims ?? [claim(1, ISSUER), claim(8, ISSUER)]),
      ...(options.more ?? []),
    ],
  }
  const scts = (options.scts ?? ((tbs) => [signedCertificateTimestamp(tbs)]))(tbsCertificate(parts))
  if (scts.length === 0) return certificate(parts)
  const list = extension(OIDS.sctList, octets(vector(2, ...scts.map((sct) => vector(2, sct)))))
  return certificate({ ...parts, extensions: [...parts.extensions, list] })
}

/** A TLS vector with a length of `size` octets (RFC 8446 §3.4). */
const vector = (size: number, ...contents: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(contents)
  const length = Buffer.alloc(size)
  length.writeUIntBE(content.length, 0, size)
  return Buffer.concat([length, content])
}

/** An SCT over a precertificate (RFC 6962 §3.2). */
export function signedCertificateTimestamp(
  tbs: Uint8Array,
  { key = KEYS.ctLog, time = NOW }: { key?: KeyObject; time?: Date } = {},
): Buffer {
  const timestamp = Buffer.alloc(8)
  timestamp.writeBigUInt64BE(BigInt(time.getTime()))
  const issuerKeyHash = sha256(spkiOf(KEYS.intermediate))
  const signed = Buffer.concat([Buffer.of(0, 0), timestamp, Buffer.of(0, 1), issuerKeyHash, vector(3, tbs), vector(2)])
  const signature = Buffer.concat([Buffer.of(4, 3), vector(2, sign("sha256", signed, key))])
  return Buffer.concat([Buffer.of(0), sha256(spkiOf(key)), timestamp, vector(2), signature])
}
