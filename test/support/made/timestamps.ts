/**
 * The timestamp authority of the made-up Sigstore instance (RFC 3161), each part open to being made wrong.
 *
 * @module
 */

import { createHash, type KeyObject, sign } from "node:crypto"
import { algorithm, boolean, context, generalizedTime, integer, octets, oid, seq, set, setOf } from "./asn1.ts"
import { KEYS, OIDS, seconds } from "./certificates.ts"
import { sha256 } from "./keys.ts"
import { issuerAndSerial } from "./signatures.ts"

const HASHES = {
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
} as const
const TST_INFO = "1.2.840.113549.1.9.16.1.4"

export interface TimestampOptions {
  /** The signer's certificate, which the token names. */
  readonly certificate: Uint8Array
  /** The certificates in the token; the signer's when left out. */
  readonly embedded?: readonly Uint8Array[]
  readonly key?: KeyObject
  readonly time?: Date
  /** Such as `.5`. */
  readonly fraction?: string
  readonly sha512?: boolean
  /** What the signer hashes with; SHA-256 unless told. */
  readonly hash?: keyof typeof HASHES
  /** The hash in the SignedData, where it is to be another. */
  readonly statedHash?: keyof typeof HASHES
  /** The contentType attribute. */
  readonly contentType?: string
  /** The AlgorithmIdentifier of the signature, as stated. */
  readonly signatureAlgorithm?: Uint8Array
  readonly unsignedAttrs?: readonly Uint8Array[]
}

const attribute = (id: string, value: Uint8Array): Buffer => seq(oid(id), set(value))

/** A TimeStampToken over these octets. */
export function timeStampToken(over: Uint8Array, options: TimestampOptions): Buffer {
  const { certificate, key = KEYS.tsa, time = seconds(3), hash = "sha256" } = options
  const imprint = options.sha512 === true ? "sha512" : "sha256"
  const digest = createHash(imprint).update(over).digest()
  const tstInfo = seq(
    integer(1),
    oid("1.3.6.1.4.1.57264.2"),
    seq(algorithm(HASHES[imprint]), octets(digest)),
    integer(7),
    generalizedTime(time, options.fraction),
    seq(integer(1)),
    boolean(true),
    integer(0x0123456789abcdefn),
  )
  const signedAttrs = setOf(
    attribute("1.2.840.113549.1.9.3", oid(options.contentType ?? TST_INFO)),
    attribute("1.2.840.113549.1.9.4", octets(createHash(hash).update(tstInfo).digest())),
    // ESSCertIDv2 (RFC 5035): which certificate is meant, under the signature.
    attribute("1.2.840.113549.1.9.16.2.47", seq(seq(seq(octets(sha256(certificate)))))),
  )
  const untagged = Buffer.from(signedAttrs)
  untagged[0] = 0xa0
  const embedded = options.embedded ?? [certificate]
  return seq(
    oid("1.2.840.113549.1.7.2"),
    context(
      0,
      seq(
        integer(3),
        set(algorithm(HASHES[options.statedHash ?? hash])),
        seq(oid(TST_INFO), context(0, octets(tstInfo))),
        ...(embedded.length === 0 ? [] : [context(0, ...embedded)]),
        set(
          seq(
            integer(1),
            issuerAndSerial(certificate),
            algorithm(HASHES[hash]),
            untagged,
            options.signatureAlgorithm ?? algorithm(OIDS.ecdsaSha256),
            octets(sign(hash, signedAttrs, key)),
            ...(options.unsignedAttrs === undefined ? [] : [context(1, ...options.unsignedAttrs)]),
          ),
        ),
      ),
    ),
  )
}
