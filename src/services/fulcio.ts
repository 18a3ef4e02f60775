/**
 * The certificate authority: Fulcio's API v2 (fulcio.proto CreateSigningCertificate), and v1 where a server has only that.
 *
 * @module
 */

import { GitsignError, messageOf } from "../errors.ts"
import { decodeBase64 } from "../formats/base64.ts"
import { decodePemFile } from "../formats/pem.ts"
import { parseCertificate } from "../formats/x509.ts"
import { JsonReader, parseJson } from "./answer.ts"
import { explainRefusal } from "./fulcio-refusal.ts"
import { endpoint, type HttpClient, type HttpResponse } from "./http.ts"
import { checkTokenTime, parseIdentityToken, proofOfPossessionSubject } from "./oidc/token.ts"

/** A key that wants a certificate, and who wants it. */
export interface CertificateRequest {
  readonly identityToken: string
  /** The SubjectPublicKeyInfo of a P-256 key. */
  readonly publicKeyPem: string
  readonly publicKeyDer: Uint8Array
  /** Signs the UTF-8 bytes of the subject: ECDSA over SHA-256, DER. */
  readonly signProofOfPossession: (subject: string) => Uint8Array | Promise<Uint8Array>
}

/** Certificates in DER: the leaf first, then the others as the service sent them. */
export interface IssuedCertificates {
  readonly certificates: readonly Uint8Array[]
}

export interface FulcioClientOptions {
  /** The base address, such as https://fulcio.sigstore.dev. */
  readonly url: string
  readonly http: HttpClient
  readonly now: () => Date
  readonly signal?: AbortSignal | undefined
}

/**
 * Makes the function that asks Fulcio for a certificate. It returns a chain whose leaf is for the key of the request;
 * the caller MUST verify the chain and the SCT against its trusted root.
 *
 * The returned function throws ERR_TOKEN and ERR_TOKEN_EXPIRED for a token that cannot be used, before anything is sent where that
 * is clear from the token itself; ERR_FULCIO when Fulcio refuses or answers something else; ERR_NETWORK when it does not answer.
 */
export function createFulcioClient(
  options: FulcioClientOptions,
): (request: CertificateRequest) => Promise<IssuedCertificates> {
  const { url, http, signal } = options

  return async (request) => {
    const claims = parseIdentityToken(request.identityToken)
    checkTokenTime(claims, options.now())
    const subject = proofOfPossessionSubject(claims)
    const proof = Buffer.from(await request.signProofOfPossession(subject)).toString("base64")
    let response = await postV2(request, proof)
    let readChain = readV2
    // 501 is what the gateway of a v1-only Fulcio says, 404 and 405 what a proxy in front of it may make of that.
    if (response.status === 404 || response.status === 405 || response.status === 501) {
      response = await postV1(request, proof)
      readChain = readV1
    }
    if (response.status !== 200 && response.status !== 201) {
      throw await explainRefusal(response, claims, { url, http, now: options.now(), signal })
    }
    const certificates = readChain(response)
    checkChain(response.peer, certificates, request.publicKeyDer)
    return { certificates }
  }

  function postV2(request: CertificateRequest, proof: string): Promise<HttpResponse> {
    const body = {
      credentials: { oidcIdentityToken: request.identityToken },
      publicKeyRequest: {
        publicKey: { algorithm: "ECDSA", content: request.publicKeyPem },
        proofOfPossession: proof,
      },
    }
    return post("/api/v2/signingCert", body, {})
  }

  function postV1(request: CertificateRequest, proof: string): Promise<HttpResponse> {
    const body = {
      publicKey: { content: Buffer.from(request.publicKeyDer).toString("base64"), algorithm: "ecdsa" },
      signedEmailAddress: proof,
    }
    return post("/api/v1/signingCert", body, { authorization: `Bearer ${request.identityToken}` })
  }

  function post(path: string, body: unknown, headers: Record<string, string>): Promise<HttpResponse> {
    return http.request({
      url: endpoint(url, path),
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      // A second certificate for the same key does no harm: both expire in ten minutes.
      repeatable: true,
      signal,
    })
  }
}

function readV2(response: HttpResponse): Uint8Array[] {
  const what = `${response.peer} answered with something that is not a certificate`
  const answer = new JsonReader(parseJson(response.body, what, "ERR_FULCIO"), what, "ERR_FULCIO")
  const detached = answer.optionalObject("signedCertificateDetachedSct")
  // A Fulcio without a log uses the same field and leaves the timestamp empty.
  if (detached?.optionalString("signedCertificateTimestamp")) throw detachedSct(response)
  const chain = (detached ?? answer.object("signedCertificateEmbeddedSct")).object("chain").strings("certificates")
  return chain.flatMap((text) => parsePemChain(response.peer, text))
}

function readV1(response: HttpResponse): Uint8Array[] {
  if (decodeBase64(response.headers.sct ?? "")?.length !== 0) throw detachedSct(response)
  return parsePemChain(response.peer, response.body.toString("latin1"))
}

const detachedSct = (response: HttpResponse): GitsignError =>
  new GitsignError("ERR_FULCIO", `${response.peer} keeps its certificate timestamp (SCT) outside the certificate`, {
    hint: "a git signature has no place for it; ask the operator to embed SCTs in certificates",
  })

function parsePemChain(peer: string, text: string): Uint8Array[] {
  const blocks = decodePemFile(text, "CERTIFICATE", "ERR_FULCIO")
  const rest = text.replace(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g, "").trim()
  if (rest !== "") {
    throw new GitsignError("ERR_FULCIO", `${peer} answered with something that is not a certificate chain`)
  }
  return blocks
}

function checkChain(peer: string, certificates: readonly Uint8Array[], publicKeyDer: Uint8Array): void {
  const [leaf] = certificates
  if (leaf === undefined) throw new GitsignError("ERR_FULCIO", `${peer} answered with no certificate`)
  if (certificates.length > 10) throw new GitsignError("ERR_FULCIO", `${peer} answered with more than ten certificates`)
  let key: Uint8Array
  try {
    key = parseCertificate(leaf).subjectPublicKeyInfo
  } catch (cause) {
    const message = `${peer} answered with a certificate that cannot be read: ${messageOf(cause)}`
    throw new GitsignError("ERR_FULCIO", message, { cause })
  }
  if (Buffer.compare(key, publicKeyDer) !== 0) {
    throw new GitsignError("ERR_FULCIO", `${peer} answered with a certificate for another key`)
  }
}
