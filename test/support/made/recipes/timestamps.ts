/**
 * Made fixtures about RFC 3161 timestamps.
 *
 * @module
 */

import { generateKeyPairSync } from "node:crypto"
import { algorithm, integer, nothing } from "../asn1.ts"
import { EXTENSIONS, KEYS, name, OIDS, seconds, tsaCertificate } from "../certificates.ts"
import { freshKey, spkiOf } from "../keys.ts"
import { offline, type Recipe, trustedChains } from "../recipe.ts"
import { attribute, type Session, session, timestampAttribute } from "../signatures.ts"
import { type TimestampOptions, timeStampToken } from "../timestamps.ts"

type Line = readonly [string, Recipe["expect"], string]

const tsaLeaf = (): Buffer => trustedChains().tsa[0] ?? Buffer.alloc(0)

const token = (over: Uint8Array, options: Partial<TimestampOptions> = {}): Buffer =>
  timeStampToken(over, { certificate: tsaLeaf(), ...options })

/** A commit in offline mode with a timestamp as told. */
const stamped = (line: Line, make: (one: Session) => Uint8Array, fields: Recipe["fields"] = {}): Recipe =>
  offline(line, { attributes: (one) => [timestampAttribute(make(one))] }, fields)

const with_ = (line: Line, options: () => Partial<TimestampOptions>): Recipe =>
  stamped(line, (one) => token(one.signature, options()))

const pem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`

/** An authority with an RSA key, which has a trust file of its own. */
const rsa = (): Recipe => ({
  kind: "commits",
  name: "timestamp-rsa",
  expect: "verified",
  comment: "a timestamp authority with an RSA key that signs with SHA-384",
  fields: { "timestamp-cert-chain": "made-rsa-tsa.pem" },
  files: () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
    const certificate = tsaCertificate({ spki: spkiOf(privateKey), serial: Buffer.from("0b", "hex") })
    const { files } = stamped(["", "verified", ""], (one) =>
      token(one.signature, {
        certificate,
        key: privateKey,
        hash: "sha384",
        signatureAlgorithm: algorithm("1.2.840.113549.1.1.1", nothing),
      }),
    )
    const [, root] = trustedChains().tsa
    return { ...files(), "../../trust/made-rsa-tsa.pem": pem(certificate) + pem(root ?? Buffer.alloc(0)) }
  },
})

export const TIMESTAMPS: readonly Recipe[] = [
  with_(["timestamp", "verified", "with a timestamp"], () => ({})),
  with_(["timestamp-fraction", "verified", "a timestamp with a fraction of a second"], () => ({ fraction: ".25" })),
  with_(["timestamp-sha512", "verified", "a timestamp whose imprint is SHA-512"], () => ({ sha512: true })),
  with_(["timestamp-without-certificate", "verified", "a timestamp that leaves its signer's certificate out"], () => ({
    embedded: [],
  })),
  with_(["timestamp-with-root", "verified", "a timestamp that carries its whole trusted chain"], () => ({
    embedded: trustedChains().tsa,
  })),
  rsa(),

  stamped(["timestamp-over-other", "ERR_TIMESTAMP", "the timestamp is over another signature"], () =>
    token(session().signature),
  ),
  with_(["timestamp-by-stranger", "ERR_TIMESTAMP", "signed by an authority that nobody trusts"], () => {
    const key = freshKey()
    const certificate = tsaCertificate({ spki: spkiOf(key), issuer: name("other root"), signer: KEYS.stranger })
    return { certificate, key }
  }),
  with_(
    ["timestamp-by-other-key", "ERR_TIMESTAMP", "names the trusted authority, and is signed with another key"],
    () => ({
      key: freshKey(),
    }),
  ),
  with_(["timestamp-by-leaf", "ERR_TIMESTAMP", "signed with a code-signing certificate"], () => {
    const { key, leaf } = session()
    return { certificate: leaf, key }
  }),
  with_(["timestamp-signer-usage", "ERR_TIMESTAMP", "the signer's certificate is for timestamps and more"], () => {
    const key = freshKey()
    const certificate = tsaCertificate({
      spki: spkiOf(key),
      serial: Buffer.from("0c", "hex"),
      extensions: [EXTENSIONS.keyUsage(0x80, 7), EXTENSIONS.extKeyUsage(OIDS.timeStamping)],
    })
    return { certificate, key }
  }),
  with_(
    [
      "timestamp-signer-not-issued",
      "ERR_TIMESTAMP",
      "the signer's certificate names the trusted root, which did not issue it",
    ],
    () => {
      const key = freshKey()
      return {
        certificate: tsaCertificate({ spki: spkiOf(key), serial: Buffer.from("0d", "hex"), signer: KEYS.stranger }),
        key,
      }
    },
  ),
  with_(["timestamp-algorithm", "ERR_TIMESTAMP", "the signature algorithm says RSA, the key is ECDSA"], () => ({
    signatureAlgorithm: algorithm("1.2.840.113549.1.1.1", nothing),
  })),
  with_(["timestamp-digest-algorithm", "ERR_TIMESTAMP", "the SignedData states another hash than the signer"], () => ({
    statedHash: "sha512",
  })),
  with_(["timestamp-content-type", "ERR_TIMESTAMP", "what was signed says that it is data, not a timestamp"], () => ({
    contentType: "1.2.840.113549.1.7.1",
  })),
  with_(["timestamp-extra-certificate", "ERR_TIMESTAMP", "a certificate in the token that nobody trusts"], () => ({
    embedded: [tsaLeaf(), session().leaf],
  })),
  with_(["timestamp-unsigned-attribute", "ERR_TIMESTAMP", "an unsigned attribute in the token"], () => ({
    unsignedAttrs: [attribute("1.2.840.113549.1.9.13", integer(1))],
  })),
  with_(["timestamp-too-early", "ERR_TIMESTAMP_TIME", "timestamped before the certificate was valid"], () => ({
    time: seconds(-1),
  })),
  with_(["timestamp-too-late", "ERR_TIMESTAMP_TIME", "timestamped after the certificate had expired"], () => ({
    time: seconds(601),
  })),
  with_(["timestamp-authority-not-in-use", "ERR_TIMESTAMP", "timestamped before the authority was in use"], () => ({
    time: new Date("2025-06-01T00:00:00Z"),
  })),
  offline(["timestamp-twice", "ERR_CMS", "two timestamps in one attribute"], {
    attributes: (one) => [timestampAttribute(token(one.signature), token(one.signature))],
  }),
  stamped(["timestamp-trailing", "ERR_DER", "bytes after the token inside its SEQUENCE"], (one) => {
    const good = token(one.signature)
    const longer = Buffer.concat([good, Buffer.of(5, 0)])
    longer.writeUInt16BE(good.readUInt16BE(2) + 2, 2)
    return longer
  }),
  stamped(["timestamp-null", "ERR_DER", "a NULL in place of the token"], () => nothing),
]
