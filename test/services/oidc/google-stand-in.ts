/**
 * Stand-ins for Google: a metadata server, and the token service, the token exchange and the IAM credentials API behind a proxy.
 *
 * @module
 */

import { createPublicKey, generateKeyPairSync, randomBytes, verify } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { HttpClient } from "../../../src/services/http.ts"
import { tlsIdentity } from "../certificates.ts"
import { httpsBehindProxy } from "../https-proxy.ts"
import { type Answer, httpServer, json, type TestServer, testClient } from "../loopback.ts"
import { testToken } from "../tokens.ts"

export const ISSUER = "https://accounts.google.com"
export const MACHINE_ACCOUNT = "machine@project.iam.gserviceaccount.com"
export const SIGNER = "signer@project.iam.gserviceaccount.com"
const MACHINE_ACCESS_TOKEN = "ya29.machine-access-token"

/** What a Google machine's metadata server says of its default service account; `answer` may replace any of it. */
export function metadataServer(answer: (path: string) => Answer | undefined = () => undefined): Promise<TestServer> {
  const flavor = { "metadata-flavor": "Google", server: "Metadata Server for VM" }
  return httpServer(({ method, path, headers }) => {
    if (headers["metadata-flavor"] !== "Google") return { status: 403, headers: flavor, body: "Missing header" }
    if (method !== "GET") return { status: 405, headers: flavor }
    const given = answer(path)
    if (given !== undefined) return { ...given, headers: { ...flavor, ...given.headers } }
    const url = new URL(path, "http://metadata.google.internal")
    switch (url.pathname) {
      case "/computeMetadata/v1/instance/service-accounts/default/identity": {
        const full = url.searchParams.get("format") === "full"
        const email = full ? { email: MACHINE_ACCOUNT, email_verified: true } : { email: undefined }
        const aud = url.searchParams.get("audience") ?? undefined
        return { headers: flavor, body: testToken({ iss: ISSUER, sub: "1234", aud, ...email }) }
      }
      case "/computeMetadata/v1/instance/service-accounts/default/token":
        return {
          headers: { ...flavor, "content-type": "application/json" },
          body: JSON.stringify({ access_token: MACHINE_ACCESS_TOKEN, expires_in: 3000, token_type: "Bearer" }),
        }
      default:
        return { status: 404, headers: flavor, body: "<html>not found</html>" }
    }
  })
}

/** A service account's key, as the console gives it out. */
export interface ServiceAccountKey {
  readonly type: "service_account"
  readonly client_email: string
  readonly private_key: string
}

export function serviceAccountKey(email: string): ServiceAccountKey {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  return { type: "service_account", client_email: email, private_key: pem }
}

export const AUTHORIZED_USER = {
  type: "authorized_user",
  client_id: "client.apps.googleusercontent.com",
  client_secret: "the-client-secret",
  refresh_token: "1//the-refresh-token",
} as const

export interface StandIn {
  readonly http: HttpClient
  /** Host and path of each request. */
  readonly asked: string[]
  /** The bodies of the requests to the IAM credentials API. */
  readonly bodies: unknown[]
  /** Every access token and key-like text that must not be shown. */
  readonly secrets: string[]
}

export interface StandInOptions {
  readonly keys?: readonly ServiceAccountKey[]
  /** Replaces the answer to a request; undefined leaves it. */
  readonly answer?: (address: string) => Answer | undefined
}

/** The APIs of Google, reached only through a CONNECT proxy; the client trusts the stand-in's authority and no other name. */
export async function standInGoogle({ keys = [], answer }: StandInOptions = {}): Promise<StandIn> {
  const identity = await tlsIdentity("*.googleapis.com")
  const asked: string[] = []
  const bodies: unknown[] = []
  const issued = new Set([MACHINE_ACCESS_TOKEN])
  const secrets = [MACHINE_ACCESS_TOKEN, AUTHORIZED_USER.refresh_token, AUTHORIZED_USER.client_secret]

  const accessToken = (): Answer => {
    const token = `ya29.${randomBytes(16).toString("hex")}`
    issued.add(token)
    secrets.push(token)
    return json({ access_token: token, expires_in: 3599, token_type: "Bearer" })
  }

  const respond = async (request: IncomingMessage, body: string): Promise<Answer> => {
    const address = `${request.headers.host}${request.url}`
    asked.push(address)
    const given = answer?.(address)
    if (given !== undefined) return given
    if (address === "oauth2.googleapis.com/token") return tokenService(new URLSearchParams(body))
    if (address === "sts.googleapis.com/v1/token") {
      const form = new URLSearchParams(body)
      const right = form.get("subject_token") === "the-subject-token" && form.get("audience")?.startsWith("//iam.")
      return right ? { ...accessToken() } : json({ error: "invalid_request" }, 400)
    }
    const api = /^iamcredentials\.googleapis\.com\/v1\/projects\/-\/serviceAccounts\/(.+):(generate\w+)$/.exec(address)
    if (api === null) return { status: 404, body: "<html>404</html>" }
    const bearer = request.headers.authorization?.replace(/^Bearer /, "") ?? ""
    if (!issued.has(bearer)) return apiError(401, "Request had invalid authentication credentials.")
    const value = JSON.parse(body)
    bodies.push(value)
    if (api[2] === "generateAccessToken") {
      const token = `ya29.${randomBytes(16).toString("hex")}`
      issued.add(token)
      secrets.push(token)
      return json({ accessToken: token, expireTime: new Date(Date.now() + 3_600_000).toISOString() })
    }
    const email = value.includeEmail ? { email: api[1], email_verified: true } : { email: undefined }
    return json({ token: testToken({ iss: ISSUER, aud: value.audience, sub: "5678", ...email }) })
  }

  const tokenService = (form: URLSearchParams): Answer => {
    if (form.get("grant_type") === "refresh_token") {
      const { client_id, client_secret, refresh_token } = AUTHORIZED_USER
      const sent = [form.get("client_id"), form.get("client_secret"), form.get("refresh_token")]
      const right = JSON.stringify(sent) === JSON.stringify([client_id, client_secret, refresh_token])
      return right ? accessToken() : json({ error: "invalid_grant", error_description: "Bad Request" }, 400)
    }
    const [header = "", payload = "", signature = ""] = (form.get("assertion") ?? "").split(".")
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString() || "{}")
    const key = keys.find(({ client_email }) => client_email === claims.iss)
    const genuine =
      key !== undefined &&
      verify(
        "RSA-SHA256",
        Buffer.from(`${header}.${payload}`),
        createPublicKey(key.private_key),
        Buffer.from(signature, "base64url"),
      )
    if (!genuine) return json({ error: "invalid_grant", error_description: "Invalid JWT Signature." }, 400)
    if (claims.target_audience === undefined) return accessToken()
    return json({
      id_token: testToken({ iss: ISSUER, aud: claims.target_audience, email: claims.iss, email_verified: true }),
    })
  }

  const { proxy } = await httpsBehindProxy(identity, async (request, response) => {
    let body = ""
    for await (const chunk of request) body += chunk
    const { status = 200, headers = {}, body: text = "" } = await respond(request, body)
    response.writeHead(status, headers).end(text)
  })
  const http = testClient({ proxy: { httpsProxy: `http://${proxy}` }, extraCa: identity.cert })
  return { http, asked, bodies, secrets }
}

/** An error as Google's APIs give it (AIP-193). */
export const apiError = (code: number, message: string): Answer =>
  json({ error: { code, message, status: "PERMISSION_DENIED" } }, code)
