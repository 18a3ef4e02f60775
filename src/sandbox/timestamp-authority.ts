/**
 * The sandbox's timestamp authority (RFC 3161, ESSCertIDv2 of RFC 5816), answering as sigstore/timestamp-authority does.
 *
 * @module
 */

import { createHash, randomBytes, sign } from "node:crypto"
import { Integer, ObjectIdentifier, OctetString, Sequence, UTCTime } from "asn1js"
import {
  AlgorithmIdentifier,
  Attribute,
  ContentInfo,
  EncapsulatedContentInfo,
  GeneralName,
  IssuerAndSerialNumber,
  PKIStatusInfo,
  SignedAndUnsignedAttributes,
  SignedData,
  SignerInfo,
  TimeStampReq,
  TimeStampResp,
  TSTInfo,
} from "pkijs"
import { messageOf } from "../errors.ts"
import { encodePem } from "../formats/pem.ts"
import { encodeCertificate, type Issuer, issuerSerial, OID, toArrayBuffer } from "./certificates.ts"
import { type Reply, type Route, refuse, type SandboxRequest } from "./http-server.ts"

/** Sigstore's policy for timestamps (1.3.6.1.4.1.57264.2). */
const POLICY = "1.3.6.1.4.1.57264.2"

const ID_CT_TST_INFO = "1.2.840.113549.1.9.16.1.4"
const ID_SIGNED_DATA = "1.2.840.113549.1.7.2"
const SHA1 = "1.3.14.3.2.26"
const SHA256 = "2.16.840.1.101.3.4.2.1"

/** Digests that are timestamped, by OID: their length in octets. */
const DIGEST_SIZES: Readonly<Record<string, number>> = {
  [SHA256]: 32,
  "2.16.840.1.101.3.4.2.2": 48,
  "2.16.840.1.101.3.4.2.3": 64,
}

const MEDIA_TYPE = "application/timestamp-query"

/** The routes of the authority. `chain` is DER, the signer's certificate first. */
export function timestampRoutes(signer: Issuer, chain: readonly Uint8Array[]): Route[] {
  const certChain: Reply = {
    status: 200,
    headers: { "content-type": "application/pem-certificate-chain" },
    body: chain.map((der) => encodePem("CERTIFICATE", der)).join(""),
  }
  const issue = (request: SandboxRequest): Reply => {
    const type = request.headers["content-type"] ?? ""
    if (type.split(";", 1)[0]?.trim() !== MEDIA_TYPE) {
      return refuse(415, `unsupported media type ${JSON.stringify(type)}, only [${MEDIA_TYPE}] are allowed`)
    }
    let query: TimeStampReq
    try {
      query = TimeStampReq.fromBER(toArrayBuffer(request.body))
    } catch (error) {
      return refuse(400, "Error generating timestamp response", messageOf(error))
    }
    const objection = checkQuery(query)
    if (objection !== undefined) return refuse(400, objection)
    return {
      status: 200,
      headers: { "content-type": "application/timestamp-reply" },
      body: respond(query, signer, new Date()),
    }
  }
  return [
    { method: "POST", path: "/api/v1/timestamp", handle: issue },
    { method: "GET", path: "/api/v1/timestamp/certchain", handle: () => certChain },
  ]
}

function checkQuery({ version, messageImprint, reqPolicy, extensions }: TimeStampReq): string | undefined {
  const { algorithmId } = messageImprint.hashAlgorithm
  if (algorithmId === SHA1) return "Weak hash algorithm in timestamp request"
  const size = DIGEST_SIZES[algorithmId]
  if (version !== 1 || size === undefined) return "Error generating timestamp response"
  if (messageImprint.hashedMessage.valueBlock.valueHexView.length !== size) {
    return "Message digest has incorrect length for specified algorithm"
  }
  if (reqPolicy !== undefined && reqPolicy !== POLICY) {
    return "unaccepted policy: requested TSA policy is not supported by the TSA"
  }
  if (extensions !== undefined && extensions.length > 0) {
    return "unaccepted extension: requested extensions are not supported by the TSA"
  }
  return undefined
}

/** The DER of a TimeStampResp with status granted. */
function respond(query: TimeStampReq, signer: Issuer, now: Date): Uint8Array {
  const token = timeStampToken(query, signer, new Date(Math.floor(now.getTime() / 1000) * 1000))
  const response = new TimeStampResp({ status: new PKIStatusInfo({ status: 0 }), timeStampToken: token })
  return new Uint8Array(response.toSchema().toBER(false))
}

/** @param genTime in whole seconds */
function timeStampToken(query: TimeStampReq, signer: Issuer, genTime: Date): ContentInfo {
  const serial = randomBytes(20)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const tstInfo = new TSTInfo({
    version: 1,
    policy: POLICY,
    messageImprint: query.messageImprint,
    serialNumber: new Integer({ valueHex: toArrayBuffer(serial) }),
    // No accuracy: the Go gitsign takes it off the time, which then lies before a fresh certificate's notBefore.
    genTime,
    ...(query.nonce === undefined ? {} : { nonce: query.nonce }),
    tsa: new GeneralName({ type: 4, value: signer.certificate.subject }),
  })
  const content = tstInfo.toSchema().toBER(false)
  const sha256 = new AlgorithmIdentifier({ algorithmId: SHA256 })
  const { attributes, signature } = signAttributes(content, signer, genTime)
  const signedData = new SignedData({
    // 3 because the content is not id-data (RFC 5652 §5.1).
    version: 3,
    digestAlgorithms: [sha256],
    encapContentInfo: encapsulate(content),
    ...(query.certReq ? { certificates: [signer.certificate] } : {}),
    signerInfos: [
      new SignerInfo({
        version: 1,
        sid: new IssuerAndSerialNumber({
          issuer: signer.certificate.issuer,
          serialNumber: signer.certificate.serialNumber,
        }),
        digestAlgorithm: sha256,
        signedAttrs: attributes,
        signatureAlgorithm: new AlgorithmIdentifier({ algorithmId: OID.ecdsaWithSha256 }),
        signature: new OctetString({ valueHex: toArrayBuffer(signature) }),
      }),
    ],
  })
  return new ContentInfo({ contentType: ID_SIGNED_DATA, content: signedData.toSchema(true) })
}

/** The signed attributes of RFC 3161 §2.4.2, and the signature over them. */
function signAttributes(
  content: ArrayBuffer,
  signer: Issuer,
  genTime: Date,
): { attributes: SignedAndUnsignedAttributes; signature: Buffer } {
  const sha256 = (data: Uint8Array): Buffer => createHash("sha256").update(data).digest()
  const octets = (data: Uint8Array): OctetString => new OctetString({ valueHex: toArrayBuffer(data) })
  const essCertIdV2 = new Sequence({
    value: [octets(sha256(encodeCertificate(signer.certificate))), issuerSerial(signer.certificate)],
  })
  const signingCertificateV2 = new Sequence({ value: [new Sequence({ value: [essCertIdV2] })] })
  const attributes = new SignedAndUnsignedAttributes({
    type: 0,
    // In the order of their encodings, as the SET OF demands: each is longer than the one before.
    attributes: [
      new Attribute({ type: "1.2.840.113549.1.9.3", values: [new ObjectIdentifier({ value: ID_CT_TST_INFO })] }),
      new Attribute({ type: "1.2.840.113549.1.9.5", values: [new UTCTime({ valueDate: genTime })] }),
      new Attribute({ type: "1.2.840.113549.1.9.4", values: [octets(sha256(new Uint8Array(content)))] }),
      new Attribute({ type: "1.2.840.113549.1.9.16.2.47", values: [signingCertificateV2] }),
    ],
  })
  const encoded = new Uint8Array(attributes.toSchema().toBER(false))
  // What is signed carries the tag of a SET, not the [0] of the SignerInfo (RFC 5652 §5.4).
  encoded[0] = 0x31
  return { attributes, signature: sign("sha256", encoded, signer.privateKey) }
}

/** The constructor would cut the content into pieces, which is BER; what is assigned afterwards stays one DER OCTET STRING. */
function encapsulate(content: ArrayBuffer): EncapsulatedContentInfo {
  const encapsulated = new EncapsulatedContentInfo({ eContentType: ID_CT_TST_INFO })
  encapsulated.eContent = new OctetString({ valueHex: content })
  return encapsulated
}
