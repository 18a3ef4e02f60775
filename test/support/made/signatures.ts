/**
 * Git signatures and objects of the made-up Sigstore instance (RFC 5652, git's object format), each part open to being made
 * wrong.
 *
 * @module
 */

import { type KeyObject, sign } from "node:crypto"
import { algorithm, context, integer, octets, oid, seq, set, setOf, utcTime } from "./asn1.ts"
import { type LeafOptions, leafCertificate, OIDS, seconds } from "./certificates.ts"
import { freshKey, sha256 } from "./keys.ts"
import { type Entry, encodeEntry, logEntry, REKOR, rekordBody } from "./log.ts"

export const SHA256 = "2.16.840.1.101.3.4.2.1"
const DATA = "1.2.840.113549.1.7.1"
export const ENTRY_ATTRIBUTE = "1.3.6.1.4.1.57264.3.1"
const TIMESTAMP_ATTRIBUTE = "1.2.840.113549.1.9.16.2.14"

/** One Attribute; several values make it malformed for every attribute here. */
export const attribute = (id: string, ...values: readonly Uint8Array[]): Buffer => seq(oid(id), set(...values))

/** IssuerAndSerialNumber of a certificate, found by walking its TBSCertificate. */
export function issuerAndSerial(certificate: Uint8Array): Buffer {
  const tbs = children(children(certificate)[0] ?? Buffer.alloc(0))
  return seq(tbs[3] ?? Buffer.alloc(0), tbs[1] ?? Buffer.alloc(0))
}

/** The values in a constructed value. */
export function children(der: Uint8Array): Buffer[] {
  const values: Buffer[] = []
  const bytes = Buffer.from(der)
  const { end, start } = span(bytes, 0)
  for (let offset = start; offset < end; ) {
    const next = span(bytes, offset).end
    values.push(bytes.subarray(offset, next))
    offset = next
  }
  return values
}

function span(bytes: Buffer, offset: number): { start: number; end: number } {
  const first = bytes[offset + 1] ?? 0
  if (first < 0x80) return { start: offset + 2, end: offset + 2 + first }
  const count = first & 0x7f
  const start = offset + 2 + count
  return { start, end: start + bytes.readUIntBE(offset + 2, count) }
}

/** A key, its certificate, and a signature over a payload. */
export interface Session {
  readonly key: KeyObject
  readonly leaf: Buffer
  readonly payload: Buffer
  /** As they are signed, with the SET OF tag. */
  readonly signedAttrs: Buffer
  readonly signature: Buffer
}

export const PAYLOAD = Buffer.from(
  "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n" +
    "author Alice <alice@fixtures.example> 1772366400 +0000\n" +
    "committer Alice <alice@fixtures.example> 1772366400 +0000\n" +
    "\n" +
    "A commit\n",
)

/** The signed attributes of a payload, 107 bytes. */
export const signedAttrsOf = (payload: Uint8Array, ...more: readonly Uint8Array[]): Buffer =>
  setOf(
    attribute("1.2.840.113549.1.9.3", oid(DATA)),
    attribute("1.2.840.113549.1.9.5", utcTime(seconds(1))),
    attribute("1.2.840.113549.1.9.4", octets(sha256(payload))),
    ...more,
  )

/** Signs a payload with a fresh key. */
export function session(
  options: { readonly payload?: Buffer; readonly leaf?: Partial<LeafOptions>; readonly signedAttrs?: Buffer } = {},
): Session {
  const key = options.leaf?.key ?? freshKey()
  const payload = options.payload ?? PAYLOAD
  const signedAttrs = options.signedAttrs ?? signedAttrsOf(payload)
  const leaf = leafCertificate({ ...options.leaf, key })
  return { key, leaf, payload, signedAttrs, signature: sign("sha256", signedAttrs, key) }
}

/** The log entry of a session's signature. */
export const entryOf = (one: Session, options: Parameters<typeof logEntry>[1] = {}): Entry =>
  logEntry(rekordBody(sha256(one.signedAttrs), one.signature, one.leaf, options.log ?? REKOR), options)

export const entryAttribute = (entry: Entry): Buffer => attribute(ENTRY_ATTRIBUTE, octets(encodeEntry(entry)))
export const timestampAttribute = (...tokens: readonly Uint8Array[]): Buffer =>
  attribute(TIMESTAMP_ATTRIBUTE, ...tokens)

/** What of a SignedData is other than gitsign writes it. */
export interface CmsChanges {
  readonly version?: number
  readonly certificates?: readonly Uint8Array[]
  readonly eContent?: Uint8Array
  readonly sid?: Uint8Array
  readonly signature?: Uint8Array
  readonly signatureAlgorithm?: Uint8Array
  readonly digestAlgorithm?: Uint8Array
  /** More SignerInfos. */
  readonly signers?: readonly Uint8Array[]
  /** Keeps unsigned attributes in the given order. */
  readonly unsorted?: boolean
}

/** One SignerInfo. */
export function signerInfo(one: Session, unsignedAttrs: readonly Uint8Array[], changes: CmsChanges = {}): Buffer {
  const retagged = Buffer.from(one.signedAttrs)
  retagged[0] = 0xa0
  const sorted = changes.unsorted === true ? unsignedAttrs : [...unsignedAttrs].sort(Buffer.compare)
  return seq(
    integer(1),
    changes.sid ?? issuerAndSerial(one.leaf),
    changes.digestAlgorithm ?? algorithm(SHA256),
    retagged,
    changes.signatureAlgorithm ?? algorithm(OIDS.ecdsaSha256),
    octets(changes.signature ?? one.signature),
    ...(sorted.length === 0 ? [] : [context(1, ...sorted)]),
  )
}

/** The CMS of a session, DER. */
export const cms = (one: Session, unsignedAttrs: readonly Uint8Array[], changes: CmsChanges = {}): Buffer =>
  seq(
    oid("1.2.840.113549.1.7.2"),
    context(
      0,
      seq(
        integer(changes.version ?? 1),
        set(algorithm(SHA256)),
        changes.eContent === undefined ? seq(oid(DATA)) : seq(oid(DATA), context(0, octets(changes.eContent))),
        context(0, ...(changes.certificates ?? [one.leaf])),
        set(signerInfo(one, unsignedAttrs, changes), ...(changes.signers ?? [])),
      ),
    ),
  )

/** PEM SIGNED MESSAGE. */
export const armor = (der: Uint8Array, label = "SIGNED MESSAGE"): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n")}\n-----END ${label}-----\n`

/** The commit with a signature header. */
export function commit(payload: Uint8Array, signature: string, header = "gpgsig"): Buffer {
  const text = Buffer.from(payload).toString("latin1")
  const blank = text.indexOf("\n\n") + 1
  const folded = signature.replace(/\n$/, "").replaceAll("\n", "\n ")
  return Buffer.from(`${text.slice(0, blank)}${header} ${folded}\n${text.slice(blank)}`, "latin1")
}
