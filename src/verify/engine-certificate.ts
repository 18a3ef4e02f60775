/**
 * Certificates in the form of @sigstore/core, made so that its lenient ASN.1 gives back the bytes it read (X.690 §10.1), and
 * so that what cannot change is worked out once: a rebase signs every commit with the same certificate.
 *
 * Remembered are octets that were read, and which certificate's key verified which certificate's signature. No time, no SCT
 * and no verdict is: the engine asks all its questions each time.
 *
 * @module
 */

import { ASN1Obj, X509Certificate } from "@sigstore/core"
import { latin1 } from "../formats/der.ts"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import { OID } from "../formats/x509.ts"

/**
 * Makes the engine's tree re-encode to the bytes that it was read from, as it does before it checks any signature.
 *
 * The engine tries to read ASN.1 inside every OCTET STRING. Where random octets (a key identifier, a digest) happen to
 * parse in a longer form than DER allows, it refuses a valid certificate; one of 45 real ones is such a case.
 *
 * @returns how many octets the value's DER has
 */
export function makeExact(node: ASN1Obj): number {
  const size = node.subs.reduce((sum, sub) => sum + makeExact(sub), 0)
  // Encoding again can only shorten, where a length was not minimal: as many octets are the same octets.
  if (node.tag.isOctetString() && node.subs.length > 0 && size !== node.value.length) node.subs.length = 0
  const length = node.subs.length > 0 ? size : node.value.length
  return 2 + (length < 0x80 ? 0 : Math.ceil(length.toString(16).length / 2)) + length
}

/** Its place in a TBSCertificate of version 3 (RFC 5280 §4.1), counted from 0. */
const SUBJECT_PUBLIC_KEY_INFO = 6

/** Reads a certificate that stays as it is: the engine would spend half of its time encoding it again. */
function parseFixed(der: Uint8Array): X509Certificate {
  const bytes = Buffer.from(der)
  const certificate = X509Certificate.parse(Buffer.from(der))
  makeExact(certificate.root)
  const fix = (node: ASN1Obj | undefined, start: number): void => {
    if (node === undefined) return
    const encoded = bytes.subarray(start, start + makeExact(node))
    node.toDER = () => encoded
  }
  const { root, tbsCertificate: tbs } = certificate
  const contentStart = (node: ASN1Obj, start: number): number => start + makeExact(node) - node.value.length
  const tbsStart = contentStart(root, 0)
  const fields = tbs.subs.slice(0, SUBJECT_PUBLIC_KEY_INFO)
  const keyStart = fields.reduce((offset, field) => offset + makeExact(field), contentStart(tbs, tbsStart))
  fix(root, 0)
  fix(tbs, tbsStart)
  fix(tbs.subs[SUBJECT_PUBLIC_KEY_INFO], keyStart)
  rememberVerified(certificate)
  freeze(root)
  return certificate
}

/** Many verifications use one tree: one that changed it would decide what the next one sees. */
function freeze(node: ASN1Obj): void {
  for (const sub of node.subs) freeze(sub)
  Object.freeze(node.subs)
  Object.freeze(node.tag)
  Object.freeze(node)
}

/**
 * Remembers which certificates verified this one's signature: neither can change. A refusal is not remembered, since
 * the engine calls it one when its cryptography library has run out of memory.
 */
function rememberVerified(certificate: X509Certificate): void {
  const verify = certificate.verify.bind(certificate)
  const verifiedBy = new WeakSet<X509Certificate>()
  certificate.verify = (issuer = certificate) => {
    if (verifiedBy.has(issuer)) return true
    const verified = verify(issuer)
    if (verified) verifiedBy.add(issuer)
    return verified
  }
}

/** Parsed trust anchors by their bytes: parsing a P-384 certificate costs more than verifying with it. */
const trusted = new WeakMap<Uint8Array, X509Certificate>()

/**
 * A certificate of a trusted authority, the same object for the same array, whose octets MUST NOT change.
 *
 * @throws plain errors of the engine when it cannot be read
 */
export function trustedCertificate(der: Uint8Array): X509Certificate {
  const certificate = trusted.get(der) ?? parseFixed(der)
  trusted.set(der, certificate)
  return certificate
}

/** How many signers' certificates are remembered for one trusted root. An agent has one or a few at a time. */
const MAX_LEAVES = 8

/** By all that decides what they are: their octets, and whether their SCTs are looked at. The last one used is last. */
const leaves = new WeakMap<TrustedRoot, Map<string, X509Certificate>>()

/** Whose certificate is to be verified, by what. */
export interface LeafRequest {
  readonly trustedRoot: TrustedRoot
  readonly certificate: { readonly der: Uint8Array }
  readonly requireSct: boolean
}

/**
 * Hands the signer's certificate to `verify`, and remembers it when that returns: what fails leaves nothing behind.
 *
 * @throws what `verify` throws; plain errors of the engine when the certificate cannot be read
 */
export function withLeaf(request: LeafRequest, verify: (leaf: X509Certificate) => void): void {
  const { trustedRoot, certificate, requireSct } = request
  const known = leaves.get(trustedRoot) ?? new Map<string, X509Certificate>()
  const key = `${requireSct} ${latin1(certificate.der)}`
  const leaf = known.get(key) ?? parseLeaf(certificate.der, requireSct)
  verify(leaf)
  known.delete(key)
  known.set(key, leaf)
  for (const [oldest] of known) {
    if (known.size <= MAX_LEAVES) break
    known.delete(oldest)
  }
  leaves.set(trustedRoot, known)
}

/**
 * The signer's certificate. The engine takes the SCT out of a copy that it makes for that purpose alone, and checks
 * every SCT it finds there, whatever the threshold; where SCTs are not to be checked, the copy has none.
 */
function parseLeaf(der: Uint8Array, requireSct: boolean): X509Certificate {
  const leaf = parseFixed(der)
  const copyOf = copier(leaf)
  leaf.clone = () => {
    const copy = copyOf()
    if (!requireSct) {
      const index = copy.extensions.findIndex(({ subs }) => subs[0]?.toOID() === OID.signedCertificateTimestampList)
      if (index >= 0) copy.extensions.splice(index, 1)
    }
    return copy
  }
  return leaf
}

/** Makes copies of a certificate whose list of extensions can be changed. They share the rest, which is not encoded again. */
function copier({ root, tbsCertificate: tbs }: X509Certificate): () => X509Certificate {
  const extensions = tbs.subs.find(({ tag }) => tag.isContextSpecific(3))
  const open = new Set([root, tbs, extensions, extensions?.subs[0]])
  const closed = new Map<ASN1Obj, ASN1Obj>()
  const copy = (node: ASN1Obj): ASN1Obj => {
    if (open.has(node)) return new ASN1Obj(node.tag, node.value, node.subs.map(copy))
    let same = closed.get(node)
    if (same === undefined) {
      const encoded = octetsOf(node)
      same = new ASN1Obj(node.tag, node.value, node.subs)
      same.toDER = () => encoded
      closed.set(node, same)
    }
    return same
  }
  return () => new X509Certificate(copy(root))
}

/**
 * The octets that a value was read from: the engine leaves its content where it was read. Where a length is not minimal they
 * are cut, as in `parseFixed`, and no signature is over them.
 */
function octetsOf(node: ASN1Obj): Buffer {
  const { buffer, byteOffset, length } = node.value
  const size = makeExact(node)
  return Buffer.from(buffer, byteOffset + length - size, size)
}
