/**
 * Made fixtures about the DER and CMS around a signature, whose bytes no signature covers.
 *
 * @module
 */

import { sign } from "node:crypto"
import { algorithm, context, integer, nothing, octets, oid, seq, set, tlv } from "../asn1.ts"
import { leafCertificate, name, OIDS } from "../certificates.ts"
import { freshKey, sha256 } from "../keys.ts"
import { offline, type Recipe, trustedChains } from "../recipe.ts"
import {
  armor,
  attribute,
  children,
  cms,
  ENTRY_ATTRIBUTE,
  entryAttribute,
  entryOf,
  issuerAndSerial,
  PAYLOAD,
  SHA256,
  session,
  signedAttrsOf,
  signerInfo,
  timestampAttribute,
} from "../signatures.ts"
import { timeStampToken } from "../timestamps.ts"

const UNREAD = { identity: undefined, issuer: undefined }

/** A SET OF's members in ascending order. */
const sorted = (...values: Buffer[]): Buffer[] => values.sort(Buffer.compare)

/** The outer SEQUENCE with its length in one octet more than needed. */
const longLength = (der: Buffer): Buffer => Buffer.concat([Buffer.of(0x30, 0x83, 0), der.subarray(2)])

/** The outer SEQUENCE with an indefinite length (X.690 §8.1.3.6). */
const indefinite = (der: Buffer): Buffer => Buffer.concat([Buffer.of(0x30, 0x80), ...children(der), Buffer.of(0, 0)])

/** SignedData taken apart and put together again. */
const reassemble = (der: Buffer, change: (fields: Buffer[]) => Buffer[]): Buffer => {
  const signedData = children(children(der)[1] ?? der)[0] ?? der
  return seq(oid("1.2.840.113549.1.7.2"), context(0, seq(...change(children(signedData)))))
}

const attached: Recipe[] = [
  {
    kind: "signatures",
    name: "attached",
    expect: "verified",
    comment: "the payload is in the signature and nowhere else",
    files: () => {
      const one = session()
      return { signature: armor(cms(one, [entryAttribute(entryOf(one))], { eContent: one.payload })) }
    },
  },
  {
    kind: "signatures",
    name: "attached-other",
    expect: "ERR_CONTENT",
    comment: "the signature carries another payload than the one it is verified against",
    files: () => {
      const one = session()
      const signature = armor(cms(one, [entryAttribute(entryOf(one))], { eContent: one.payload }))
      return { signature, payload: Buffer.from("another payload\n") }
    },
  },
  {
    kind: "signatures",
    name: "attached-beside",
    expect: "ERR_CONTENT",
    comment: "the payload is the signed one, and the signature carries another that nobody signed",
    files: () => {
      const one = session()
      const eContent = Buffer.from("words that nobody signed\n")
      return { signature: armor(cms(one, [entryAttribute(entryOf(one))], { eContent })), payload: one.payload }
    },
  },
  {
    kind: "signatures",
    name: "attached-changed",
    expect: "ERR_CONTENT",
    comment: "the payload in the signature was changed",
    files: () => {
      const one = session()
      const eContent = Buffer.from(one.payload.toString().replace("A commit", "B commit"))
      return { signature: armor(cms(one, [entryAttribute(entryOf(one))], { eContent })) }
    },
  },
  {
    kind: "signatures",
    name: "detached-without-payload",
    expect: "ERR_CONTENT",
    comment: "a detached signature, and nothing to verify it against",
    files: () => {
      const one = session()
      return { signature: armor(cms(one, [entryAttribute(entryOf(one))])) }
    },
  },
  {
    kind: "signatures",
    name: "der",
    expect: "verified",
    comment: "DER without armor",
    files: () => {
      const one = session()
      return { payload: one.payload, signature: cms(one, [entryAttribute(entryOf(one))]) }
    },
  },
]

/** ECDSA-Sig-Value with its numbers as told. */
const withNumbers = (signature: Buffer, change: (r: Buffer, s: Buffer) => Buffer[]): Buffer => {
  const [r, s] = children(signature)
  return seq(...change(r ?? signature, s ?? signature))
}

export const FORMS: readonly Recipe[] = [
  ...attached,
  offline(
    ["der-trailing", "ERR_DER", "a byte after the DER"],
    { der: (der) => Buffer.concat([der, Buffer.of(0)]) },
    UNREAD,
  ),
  offline(["ber-length", "ERR_DER", "a length in one octet more than needed"], { der: longLength }, UNREAD),
  offline(["ber-indefinite", "ERR_DER", "an indefinite length"], { der: indefinite }, UNREAD),
  offline(
    ["ber-constructed-string", "ERR_DER", "the signature as a constructed OCTET STRING"],
    {
      der: (der, one) => {
        const primitive = octets(one.signature)
        const info = children(children(children(children(der)[1] ?? der)[0] ?? der)[4] ?? der)[0] ?? der
        const fields = children(info).map((field) => (field.equals(primitive) ? tlv(0x24, primitive) : field))
        return reassemble(der, ([version, digests, content, certificates]) =>
          [version, digests, content, certificates, set(seq(...fields))].map((field) => field ?? der),
        )
      },
    },
    UNREAD,
  ),
  offline(
    ["algorithm-null", "ERR_DER", "the signature algorithm with a NULL that gitsign does not write"],
    { cms: () => ({ signatureAlgorithm: algorithm(OIDS.ecdsaSha256, nothing) }) },
    UNREAD,
  ),
  offline(
    ["algorithm-other", "ERR_CMS", "the signature algorithm says SHA-384"],
    { cms: () => ({ signatureAlgorithm: algorithm(OIDS.ecdsaSha384) }) },
    UNREAD,
  ),
  offline(
    ["digest-algorithm-other", "ERR_CMS", "the signer's digest algorithm says SHA-512"],
    { cms: () => ({ digestAlgorithm: algorithm("2.16.840.1.101.3.4.2.3") }) },
    UNREAD,
  ),
  offline(
    ["digest-algorithms-two", "ERR_DER", "a further digest algorithm in the SignedData"],
    {
      der: (der) =>
        reassemble(der, ([version, , ...rest]) => [
          version ?? der,
          set(algorithm(SHA256), algorithm("2.16.840.1.101.3.4.2.3")),
          ...rest,
        ]),
    },
    UNREAD,
  ),
  offline(["version-3", "ERR_CMS", "SignedData version 3"], { cms: () => ({ version: 3 }) }, UNREAD),
  offline(
    ["content-type-other", "ERR_CMS", "the content says it is SignedData"],
    {
      der: (der) =>
        reassemble(der, ([version, digests, , ...rest]) => [
          version ?? der,
          digests ?? der,
          seq(oid("1.2.840.113549.1.7.2")),
          ...rest,
        ]),
    },
    UNREAD,
  ),
  offline(
    ["crls", "ERR_DER", "an empty list of revocations"],
    {
      der: (der) => reassemble(der, (fields) => [...fields.slice(0, 4), context(1), ...fields.slice(4)]),
    },
    UNREAD,
  ),
  offline(
    ["two-signers", "ERR_DER", "two SignerInfos, both good"],
    {
      cms: (one) => {
        const other = session()
        return {
          certificates: sorted(one.leaf, other.leaf),
          signers: [signerInfo(other, [entryAttribute(entryOf(other))])],
        }
      },
    },
    UNREAD,
  ),
  offline(
    ["unsigned-attribute", "ERR_CMS", "a further unsigned attribute"],
    { attributes: () => [attribute("1.2.840.113549.1.9.13", tlv(0x0c, Buffer.from("hello")))] },
    UNREAD,
  ),
  offline(
    ["prototype-attribute", "ERR_CMS", "an attribute of the prototype of 2023 beside a log entry of today"],
    { attributes: () => [attribute("1.3.6.1.4.1.57264.3.7", integer(13))] },
    UNREAD,
  ),
  offline(
    ["unsigned-attributes-unsorted", "ERR_CMS", "the timestamp before the log entry, which is not DER's order"],
    {
      entry: (entry, one) => {
        const certificate = trustedChains().tsa[0] ?? one.leaf
        const both = [entryAttribute(entry), timestampAttribute(timeStampToken(one.signature, { certificate }))]
        return both.sort(Buffer.compare).reverse()
      },
      cms: () => ({ unsorted: true }),
    },
    UNREAD,
  ),
  offline(
    ["unsigned-attributes-empty", "ERR_CMS", "an empty SET of unsigned attributes"],
    {
      entry: () => [],
      der: (der) => {
        const fields = children(children(children(der)[1] ?? der)[0] ?? der)
        const info = children(fields[4] ?? der)[0] ?? der
        return reassemble(der, () => [...fields.slice(0, 4), set(seq(...children(info), context(1)))])
      },
    },
    UNREAD,
  ),
  offline(
    ["entry-twice", "ERR_CMS", "two values of the log entry attribute"],
    {
      entry: (entry) => {
        const value = children(children(entryAttribute(entry))[1] ?? Buffer.alloc(0))[0] ?? Buffer.alloc(0)
        return [attribute(ENTRY_ATTRIBUTE, value, value)]
      },
    },
    UNREAD,
  ),
  offline(
    ["entry-attribute-twice", "ERR_CMS", "two log entry attributes, of this signature and of another"],
    { entry: (entry) => [entryAttribute(entry), entryAttribute(entryOf(session()))] },
    UNREAD,
  ),
  offline(
    ["signed-attribute", "ERR_CMS", "a further signed attribute"],
    {
      session: () =>
        session({
          signedAttrs: signedAttrsOf(PAYLOAD, attribute("1.2.840.113549.1.9.13", tlv(0x0c, Buffer.from("hello")))),
        }),
    },
    UNREAD,
  ),
  offline(
    ["signed-attributes-missing", "ERR_DER", "the signature is over the payload itself"],
    {
      cms: (one) => ({ signature: sign("sha256", one.payload, one.key) }),
      der: (der) => {
        const fields = children(children(children(der)[1] ?? der)[0] ?? der)
        const info = children(children(fields[4] ?? der)[0] ?? der).filter((field) => field[0] !== 0xa0)
        return reassemble(der, () => [...fields.slice(0, 4), set(seq(...info))])
      },
    },
    UNREAD,
  ),
  offline(
    ["content-type-attribute", "ERR_CMS", "the contentType attribute is not id-data"],
    {
      session: () =>
        session({
          signedAttrs: set(
            attribute("1.2.840.113549.1.9.3", oid("1.2.840.113549.1.7.2")),
            attribute("1.2.840.113549.1.9.4", octets(sha256(PAYLOAD))),
          ),
        }),
    },
    UNREAD,
  ),

  offline(
    ["two-certificates", "verified", "the trusted intermediate is in the signature too, and sorts before the leaf"],
    { cms: (one) => ({ certificates: sorted(one.leaf, trustedChains().fulcio[0] ?? one.leaf) }) },
  ),
  offline(
    ["two-certificates-unsorted", "ERR_CMS", "two certificates in another order than DER's"],
    { cms: (one) => ({ certificates: sorted(one.leaf, trustedChains().fulcio[0] ?? one.leaf).reverse() }) },
    UNREAD,
  ),
  offline(
    ["certificate-of-stranger", "ERR_CERT_CHAIN", "a further certificate that nobody trusts"],
    { cms: (one) => ({ certificates: sorted(one.leaf, session().leaf) }) },
    UNREAD,
  ),
  offline(
    ["two-matching-certificates", "ERR_SIGNER", "two certificates with the signer's issuer and serial number"],
    {
      session: () => session({ leaf: { serial: Buffer.from("41", "hex") } }),
      cms: (one) => ({
        certificates: sorted(one.leaf, leafCertificate({ key: freshKey(), serial: Buffer.from("41", "hex") })),
      }),
    },
    UNREAD,
  ),
  offline(
    ["other-serial", "ERR_SIGNER", "the signer names another serial number"],
    { cms: () => ({ sid: seq(name("fulcio intermediate"), integer(7)) }) },
    UNREAD,
  ),
  offline(
    ["other-issuer", "ERR_SIGNER", "the signer names another issuer"],
    { cms: (one) => ({ sid: seq(name("another authority"), children(issuerAndSerial(one.leaf))[1] ?? one.leaf) }) },
    UNREAD,
  ),
  offline(["other-key", "ERR_SIGNATURE", "signed with another key than the certificate's"], {
    cms: (one) => ({ signature: sign("sha256", one.signedAttrs, freshKey()) }),
  }),
  offline(["signature-zero", "ERR_SIGNATURE", "r and s are 0"], {
    cms: () => ({ signature: seq(integer(0), integer(0)) }),
  }),
  offline(["signature-padded", "ERR_SIGNATURE", "r with a leading zero octet that DER leaves out"], {
    cms: (one) => ({
      signature: withNumbers(one.signature, (r, s) => [tlv(2, Buffer.alloc(r[2] === 0 ? 1 : 2), r.subarray(2)), s]),
    }),
  }),
  offline(["signature-trailing", "ERR_SIGNATURE", "a third number in the ECDSA signature"], {
    cms: (one) => ({ signature: withNumbers(one.signature, (r, s) => [r, s, integer(0)]) }),
  }),
]
