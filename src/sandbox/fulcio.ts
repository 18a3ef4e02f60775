/**
 * The sandbox's Fulcio: the v2 and the older v1 API (fulcio.proto, fulcio_legacy.proto), with Fulcio's own error texts.
 *
 * @module
 */

import { createPublicKey, type KeyObject, verify } from "node:crypto"
import { messageOf } from "../errors.ts"
import { readAll } from "../formats/der.ts"
import { encodePem } from "../formats/pem.ts"
import { issueLeaf, spkiOf } from "./certificates.ts"
import type { CtLog } from "./ct-log.ts"
import { json, type Reply, type Route, type SandboxRequest } from "./http-server.ts"
import { decodePem } from "./pem.ts"
import { type Principal, principalOf } from "./principal.ts"
import type { SandboxState } from "./state.ts"
import { AUDIENCE, verifyToken } from "./token.ts"

const LIFETIME_MS = 600_000

/** Fulcio's texts. What exactly was wrong with a token goes into the sandbox's log, as with the real service. */
const INVALID = {
  token: "There was an error processing the identity token",
  publicKey: "The public key supplied in the request could not be parsed",
  weakKey: "The public key supplied in the request is insecure",
  csr: "The certificate signing request could not be parsed",
  proof: "The signature supplied in the request could not be verified",
} as const

/** A refusal: the text for the client, the reason for the log. */
class Refusal extends Error {
  readonly reason: string

  constructor(message: string, reason: string) {
    super(message)
    this.reason = reason
  }
}

/** gRPC's INVALID_ARGUMENT as its HTTP gateway writes it. */
const invalidArgument = (message: string, reason: string): Reply => ({
  ...json(400, { code: 3, message, details: [] }),
  reason: reason === message ? message : `${message}: ${reason}`,
})

export interface FulcioOptions {
  readonly state: SandboxState
  readonly issuer: string
  readonly ctLog: CtLog
}

/** The routes of the certificate authority. */
export function fulcioRoutes({ state, issuer, ctLog }: FulcioOptions): Route[] {
  const chain = state.chains.fulcio
  const chainPem = chain.map((der) => encodePem("CERTIFICATE", der))
  const issuerSpki = spkiOf(state.keys.fulcio)

  const authenticate = (token: string): Principal => {
    try {
      return principalOf(verifyToken(token, state.keys.openid, issuer, new Date()))
    } catch (error) {
      throw new Refusal(INVALID.token, messageOf(error))
    }
  }

  /** The certificate in PEM. */
  const issue = async (principal: Principal, publicKey: KeyObject): Promise<string> => {
    const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000)
    const notAfter = new Date(notBefore.getTime() + LIFETIME_MS)
    const leaf = { spki: spkiOf(publicKey), notBefore, notAfter, names: principal.extensions }
    const der = await issueLeaf(leaf, state.fulcioIssuer, (tbs) => ctLog.submit(tbs, issuerSpki, chain))
    return encodePem("CERTIFICATE", der)
  }

  const create = async (request: SigningRequest): Promise<string[]> => {
    const principal = authenticate(request.token)
    const publicKey = request.csr === undefined ? provenKey(request, principal.challenge) : keyOfCsr(request.csr)
    return [await issue(principal, publicKey), ...chainPem]
  }

  const answer = async (read: () => SigningRequest, reply: (chain: readonly string[]) => Reply): Promise<Reply> => {
    try {
      return reply(await create(read()))
    } catch (error) {
      if (error instanceof Refusal) return invalidArgument(error.message, error.reason)
      throw error
    }
  }

  const createV2 = (request: SandboxRequest): Promise<Reply> =>
    answer(
      () => readV2(request),
      (certificates) => json(200, { signedCertificateEmbeddedSct: { chain: { certificates } } }),
    )
  const createV1 = (request: SandboxRequest): Promise<Reply> =>
    answer(
      () => readV1(request),
      (certificates) => ({
        status: 201,
        headers: { "content-type": "application/pem-certificate-chain" },
        body: certificates.join("").trimEnd(),
      }),
    )
  const configuration = {
    issuers: [
      {
        issuerUrl: issuer,
        audience: AUDIENCE,
        challengeClaim: "email",
        spiffeTrustDomain: "",
        issuerType: "email",
        subjectDomain: "",
        skipEmailVerification: false,
      },
    ],
  }
  const pemChain: Reply = {
    status: 200,
    headers: { "content-type": "application/pem-certificate-chain" },
    body: chainPem.join(""),
  }
  return [
    { method: "POST", path: "/api/v2/signingCert", handle: createV2 },
    { method: "POST", path: "/api/v1/signingCert", handle: createV1 },
    { method: "GET", path: "/api/v2/trustBundle", handle: () => json(200, { chains: [{ certificates: chainPem }] }) },
    { method: "GET", path: "/api/v2/configuration", handle: () => json(200, configuration) },
    { method: "GET", path: "/api/v1/rootCert", handle: () => pemChain },
  ]
}

/** Either a key with a proof of its possession, or a certificate signing request. */
interface SigningRequest {
  readonly token: string
  /** PEM or DER. */
  readonly publicKey: Buffer
  readonly proof: Buffer
  /** PEM. */
  readonly csr: Buffer | undefined
}

function readV2(request: SandboxRequest): SigningRequest {
  const message = parseObject(request.body)
  const key = member(message, "publicKeyRequest")
  const token = member(message, "credentials").oidcIdentityToken
  return {
    token: typeof token === "string" && token !== "" ? token : bearerToken(request),
    // The text of a PEM file, unlike the two byte strings.
    publicKey: Buffer.from(stringOf(member(key, "publicKey").content)),
    proof: bytesOf(key.proofOfPossession),
    csr: optionalBytes(message.certificateSigningRequest),
  }
}

function readV1(request: SandboxRequest): SigningRequest {
  const message = parseObject(request.body)
  return {
    token: bearerToken(request),
    publicKey: bytesOf(member(message, "publicKey").content),
    proof: bytesOf(message.signedEmailAddress),
    csr: optionalBytes(message.certificateSigningRequest),
  }
}

const bearerToken = (request: SandboxRequest): string =>
  /^Bearer\s+(.+)$/i.exec(request.headers.authorization ?? "")?.[1]?.trim() ?? ""

type JsonObject = Readonly<Record<string, unknown>>

function parseObject(body: Buffer): JsonObject {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"))
    if (typeof value === "object" && value !== null) return value as JsonObject
  } catch (error) {
    throw new Refusal(messageOf(error), "not JSON")
  }
  throw new Refusal("the request is not a JSON object", "not a JSON object")
}

const member = (object: JsonObject, name: string): JsonObject => {
  const value = object[name]
  return typeof value === "object" && value !== null ? (value as JsonObject) : {}
}

const stringOf = (value: unknown): string => (typeof value === "string" ? value : "")

/** A protobuf `bytes` field: base64, standard or URL-safe, padded or not. */
const bytesOf = (value: unknown): Buffer => Buffer.from(stringOf(value), "base64")

const optionalBytes = (value: unknown): Buffer | undefined => {
  const bytes = bytesOf(value)
  return bytes.length > 0 ? bytes : undefined
}

/** The key of the request, once the proof of possession over `challenge` has been verified. */
function provenKey(request: SigningRequest, challenge: string): KeyObject {
  const key = checkKey(parsePublicKey(request.publicKey))
  const hash = key.asymmetricKeyType === "ed25519" ? null : hashFor(key)
  if (!verifies(hash, Buffer.from(challenge), key, request.proof)) {
    throw new Refusal(INVALID.proof, "the proof of possession does not verify over the e-mail address or subject")
  }
  return key
}

function parsePublicKey(content: Buffer): KeyObject {
  const [block] = decodePem(content.toString("latin1"))
  const der = block?.der ?? content
  try {
    if (der.length > 0) return createPublicKey({ key: der, format: "der", type: "spki" })
  } catch {
    // reported below
  }
  throw new Refusal(INVALID.publicKey, "neither PEM nor DER of a public key")
}

/** The kinds of keys that Fulcio takes: ECDSA on a NIST curve, RSA of 2048, 3072 or 4096 bits, Ed25519. */
function checkKey(key: KeyObject): KeyObject {
  const { namedCurve, modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {}
  const good =
    key.asymmetricKeyType === "ed25519" ||
    (key.asymmetricKeyType === "ec" && ["prime256v1", "secp384r1", "secp521r1"].includes(namedCurve ?? "")) ||
    (key.asymmetricKeyType === "rsa" && [2048, 3072, 4096].includes(modulusLength ?? 0) && publicExponent === 65537n)
  if (!good) throw new Refusal(INVALID.weakKey, `${key.asymmetricKeyType} key`)
  return key
}

/** The hash that goes with a key: as long as its curve, SHA-256 for RSA. */
function hashFor(key: KeyObject): string {
  switch (key.asymmetricKeyDetails?.namedCurve) {
    case "secp384r1":
      return "sha384"
    case "secp521r1":
      return "sha512"
    default:
      return "sha256"
  }
}

const verifies = (hash: string | null, data: Uint8Array, key: KeyObject, signature: Uint8Array): boolean => {
  try {
    return verify(hash, data, key, signature)
  } catch {
    return false
  }
}

/** Signature algorithms of a certificate signing request, by OID: the hash, or null where the algorithm has its own. */
const CSR_HASHES: Readonly<Record<string, string | null>> = {
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.3.101.112": null,
}

/** The key of a PKCS #10 request (RFC 2986 §4), once its own signature has been verified. */
function keyOfCsr(pem: Buffer): KeyObject {
  const { info, spki, algorithm, signature } = parseCsr(pem)
  const hash = CSR_HASHES[algorithm]
  if (hash === undefined) throw new Refusal(INVALID.csr, `signature algorithm ${algorithm}`)
  const key = checkKey(parsePublicKey(Buffer.from(spki)))
  if (!verifies(hash, info, key, signature))
    throw new Refusal(INVALID.proof, "the request's own signature does not verify")
  return key
}

function parseCsr(pem: Buffer): { info: Uint8Array; spki: Uint8Array; algorithm: string; signature: Uint8Array } {
  const block = decodePem(pem.toString("latin1")).find(({ label }) => /^(NEW )?CERTIFICATE REQUEST$/.test(label))
  try {
    if (block === undefined) throw new Error("no PEM block CERTIFICATE REQUEST")
    return readAll(block.der, "CertificationRequest", (outer) =>
      outer.sequence("CertificationRequest", (request) => {
        const info = request.any()
        const spki = readAll(info.content, "CertificationRequestInfo", (fields) => {
          fields.smallInteger("version")
          fields.any()
          const key = fields.any()
          if (!fields.atEnd) fields.any()
          return key.raw
        })
        const algorithm = request.sequence("signatureAlgorithm", (fields) => {
          const oid = fields.oid("algorithm")
          if (!fields.atEnd) fields.any()
          return oid
        })
        return { info: info.raw, spki, algorithm, signature: request.bitStringOctets("signature") }
      }),
    )
  } catch (error) {
    throw new Refusal(INVALID.csr, messageOf(error))
  }
}
