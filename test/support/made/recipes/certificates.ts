/**
 * Made fixtures about the signer's certificate.
 *
 * @module
 */

import { generateKeyPairSync, sign } from "node:crypto"
import { algorithm, integer, octets, oid, tlv, utf8 } from "../asn1.ts"
import {
  claim,
  EXTENSIONS,
  email,
  extension,
  IDENTITY,
  ISSUER,
  KEYS,
  type LeafOptions,
  leafCertificate,
  name,
  OIDS,
  seconds,
  signedCertificateTimestamp,
  uri,
} from "../certificates.ts"
import { freshKey, namedKey, spkiOf } from "../keys.ts"
import { offline, type Recipe } from "../recipe.ts"
import { type Session, session } from "../signatures.ts"

type Line = readonly [string, Recipe["expect"], string]

const UNREAD = { identity: undefined, issuer: undefined }

const leaf = (line: Line, options: Partial<LeafOptions>, fields: Recipe["fields"] = {}): Recipe =>
  offline(line, { session: () => session({ leaf: options }) }, fields)

/** A session with a certificate made as told, over a fresh key. */
const certified = (make: (key: Session["key"]) => Buffer): Session => {
  const key = freshKey()
  return { ...session({ leaf: { key } }), leaf: make(key) }
}

const rsa = (): Session => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const one = session()
  return {
    ...one,
    leaf: leafCertificate({ key: privateKey }),
    signature: sign("sha256", one.signedAttrs, privateKey),
  }
}

const p384 = (): Session => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" })
  const one = session()
  return {
    ...one,
    leaf: leafCertificate({ key: privateKey }),
    signature: sign("sha256", one.signedAttrs, privateKey),
  }
}

/** A point that is not on the curve. */
const offCurve = (key: Session["key"]): Buffer => {
  const spki = Buffer.from(spkiOf(key))
  spki[spki.length - 1] = (spki[spki.length - 1] ?? 0) ^ 1
  return spki
}

const OTHER_CT_LOG = namedKey("other ct log")

const GITHUB = "https://github.com/fixtures/repo/.github/workflows/release.yml@refs/heads/main"

export const CERTIFICATES: readonly Recipe[] = [
  leaf(
    ["workflow", "verified", "a workflow's certificate with its claims; another name is asked for elsewhere"],
    {
      subjectAltName: [EXTENSIONS.subjectAltName(uri(GITHUB))],
      claims: [claim(1, ISSUER), claim(6, "refs/heads/main"), claim(8, ISSUER), claim(14, "refs/heads/main")],
    },
    { identity: GITHUB, "accept-workflow-ref": "refs/heads/main" },
  ),
  leaf(
    ["workflow-other-ref", "ERR_CLAIM", "another workflow ref is asked for"],
    {
      subjectAltName: [EXTENSIONS.subjectAltName(uri(GITHUB))],
      claims: [claim(1, ISSUER), claim(6, "refs/heads/main"), claim(8, ISSUER)],
    },
    { identity: GITHUB, "accept-workflow-ref": "refs/heads/release" },
  ),
  leaf(
    ["other-identity", "ERR_IDENTITY", "another identity is asked for"],
    {},
    { "accept-identity": "bob@fixtures.example" },
  ),
  leaf(
    ["identity-prefix", "ERR_IDENTITY", "the identity asked for is only the beginning of the signer's"],
    {},
    { "accept-identity": "alice@fixtures.exampl" },
  ),
  leaf(
    ["identity-case", "ERR_IDENTITY", "the identity asked for has another case"],
    {},
    { "accept-identity": "Alice@fixtures.example" },
  ),
  leaf(
    ["other-identity-issuer", "ERR_ISSUER", "another issuer is asked for"],
    {},
    { "accept-issuer": "https://other.fixtures.example" },
  ),
  leaf(["issuer-v1-only", "verified", "a certificate from before 2023 names its issuer in 57264.1.1 only"], {
    claims: [claim(1, ISSUER)],
  }),
  leaf(
    ["issuer-v2-counts", "ERR_ISSUER", "57264.1.1 names the issuer that is asked for, 57264.1.8 another"],
    { claims: [claim(1, ISSUER), claim(8, "https://mallory.fixtures.example")] },
    { issuer: "https://mallory.fixtures.example", "accept-issuer": ISSUER },
  ),
  leaf(
    ["user-name", "verified", "an otherName of Fulcio's type for user names"],
    {
      subjectAltName: [
        EXTENSIONS.subjectAltName(tlv(0xa0, oid("1.3.6.1.4.1.57264.1.7"), tlv(0xa0, utf8("alice!fixtures.example")))),
      ],
    },
    { identity: "alice!fixtures.example" },
  ),

  leaf(["no-code-signing", "ERR_KEY_USAGE", "no extended key usage"], { extKeyUsage: [] }),
  leaf(["for-timestamps", "ERR_KEY_USAGE", "the extended key usage is timestamping"], {
    extKeyUsage: [EXTENSIONS.extKeyUsage(OIDS.timeStamping, true)],
  }),
  leaf(["no-digital-signature", "ERR_KEY_USAGE", "the key usage is key agreement"], {
    keyUsage: [EXTENSIONS.keyUsage(0x08, 3)],
  }),
  leaf(["ca-as-leaf", "ERR_KEY_USAGE", "a certificate authority's certificate signs a commit"], {
    more: [EXTENSIONS.basicConstraints(true)],
  }),
  leaf(["basic-constraints", "verified", "basicConstraints without cA, as early certificates have it"], {
    more: [EXTENSIONS.basicConstraints(false)],
  }),

  offline(["rsa-key", "ERR_CERTIFICATE", "an RSA key"], { session: rsa }),
  offline(["p384-key", "ERR_CERTIFICATE", "a P-384 key"], { session: p384 }),
  offline(["off-curve", "ERR_CERTIFICATE", "a public key that is no point on P-256"], {
    session: () => certified((key) => leafCertificate({ key, spki: offCurve(key) })),
  }),
  leaf(["unknown-critical", "ERR_CERTIFICATE", "an unknown critical extension"], {
    more: [extension("1.3.6.1.4.1.99999.1", integer(1), true)],
  }),
  leaf(["unknown-extension", "verified", "an unknown extension that is not critical"], {
    more: [extension("1.3.6.1.4.1.99999.1", integer(1))],
  }),
  leaf(["no-name", "ERR_CERTIFICATE", "no subject alternative name"], { subjectAltName: [] }, { identity: undefined }),
  leaf(
    ["names-empty", "ERR_CERTIFICATE", "an empty list of subject alternative names"],
    { subjectAltName: [EXTENSIONS.subjectAltName()] },
    { identity: undefined },
  ),
  leaf(
    ["address-empty", "ERR_CERTIFICATE", "an empty e-mail address"],
    { subjectAltName: [EXTENSIONS.subjectAltName(email(""))] },
    UNREAD,
  ),
  leaf(
    ["address-nul", "ERR_CERTIFICATE", "a NUL in the address: some readers stop there"],
    { subjectAltName: [EXTENSIONS.subjectAltName(email(`${IDENTITY}\0.mallory.example`))] },
    UNREAD,
  ),
  leaf(
    ["address-line-feed", "ERR_CERTIFICATE", "a line feed in the address forges lines of output"],
    { subjectAltName: [EXTENSIONS.subjectAltName(email(`mallory@example\n[GNUPG:] TRUST_FULLY 0 shell`))] },
    UNREAD,
  ),
  leaf(
    ["claim-not-utf8", "ERR_CERTIFICATE", "a claim that is not UTF-8"],
    { claims: [claim(1, ISSUER), extension(`${OIDS.fulcio}.8`, tlv(0x0c, Buffer.of(0xc3, 0x28)))] },
    UNREAD,
  ),
  leaf(
    ["claim-line-feed", "ERR_CERTIFICATE", "a line feed in a claim"],
    { claims: [claim(1, `${ISSUER}\nforged`)] },
    UNREAD,
  ),
  leaf(
    ["claim-not-string", "ERR_DER", "a claim that is no UTF8String"],
    { claims: [claim(1, ISSUER), extension(`${OIDS.fulcio}.8`, integer(1))] },
    UNREAD,
  ),
  leaf(
    ["extension-twice", "ERR_CERTIFICATE", "an extension twice"],
    { claims: [claim(1, ISSUER), claim(8, ISSUER), claim(8, "https://mallory.fixtures.example")] },
    UNREAD,
  ),
  leaf(
    ["two-algorithms", "ERR_CERTIFICATE", "another signature algorithm outside of what is signed than inside"],
    { algorithms: [algorithm(OIDS.ecdsaSha384), algorithm(OIDS.ecdsaSha256)] },
    UNREAD,
  ),
  leaf(
    ["huge-extension", "ERR_CERTIFICATE", "a certificate of 17,000 bytes"],
    { more: [extension("1.3.6.1.4.1.99999.1", octets(Buffer.alloc(17_000)))] },
    UNREAD,
  ),

  leaf(["issued-by-stranger", "ERR_CERT_CHAIN", "issued by another authority under the trusted one's name"], {
    signer: KEYS.stranger,
  }),
  leaf(["self-issued", "ERR_CERT_CHAIN", "a certificate that signs itself"], {
    issuer: name(),
    signer: KEYS.stranger,
  }),
  offline(["issued-by-leaf", "ERR_CERT_CHAIN", "issued with the key of another person's good certificate"], {
    session: () => {
      const issuer = freshKey()
      return session({ leaf: { issuer: name(), signer: issuer } })
    },
  }),
  leaf(["issued-by-tsa", "ERR_CERT_CHAIN", "issued by the timestamp authority's root"], {
    issuer: name("tsa root"),
    signer: KEYS.tsaRoot,
  }),

  leaf(["no-sct", "ERR_SCT_MISSING", "no SCT"], { scts: () => [] }),
  leaf(["no-sct-ignored", "verified", "no SCT, and none is asked for"], { scts: () => [] }, { "ignore-sct": "true" }),
  leaf(["sct-of-unknown-log", "ERR_SCT", "the SCT is of a log that nobody trusts"], {
    scts: (tbs) => [signedCertificateTimestamp(tbs, { key: OTHER_CT_LOG })],
  }),
  leaf(
    ["sct-of-unknown-log-ignored", "verified", "the SCT is of an unknown log, and none is asked for"],
    { scts: (tbs) => [signedCertificateTimestamp(tbs, { key: OTHER_CT_LOG })] },
    { "ignore-sct": "true" },
  ),
  leaf(["sct-of-other-certificate", "ERR_SCT", "the SCT is over another certificate"], {
    scts: () => [signedCertificateTimestamp(Buffer.from("another certificate"))],
  }),
  leaf(["sct-before-log", "ERR_SCT", "the SCT is from before the log's key was in use"], {
    scts: (tbs) => [signedCertificateTimestamp(tbs, { time: new Date("2025-12-01T00:00:00Z") })],
  }),
  leaf(["sct-second-bad", "ERR_SCT", "one good SCT and one of an unknown log"], {
    scts: (tbs) => [signedCertificateTimestamp(tbs), signedCertificateTimestamp(tbs, { key: OTHER_CT_LOG })],
  }),

  leaf(["expired-at-logging", "ERR_LOG_TIME", "logged when the certificate had expired"], {
    notBefore: seconds(-3600),
  }),
  leaf(["logged-too-early", "ERR_LOG_TIME", "logged before the certificate was valid"], { notBefore: seconds(60) }),
  offline(["nested-extension", "ERR_CERT_CHAIN", "thousands of nested values in an extension cost nothing"], {
    session: () => {
      let nested: Buffer = Buffer.alloc(0)
      for (let depth = 0; depth < 3500; depth++) nested = octets(nested)
      return session({ leaf: { signer: KEYS.stranger, more: [extension("1.3.6.1.4.1.99999.1", nested)] } })
    },
  }),
]
