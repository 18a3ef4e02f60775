/**
 * An OpenID provider for the tests of logins on another device (RFC 8628) and of refresh tokens (RFC 6749 §6, RFC 7009).
 *
 * @module
 */

import { createHash } from "node:crypto"
import { type Answer, httpServer, json, type TestServer } from "../loopback.ts"
import { testToken } from "../tokens.ts"

/** What a test changes about the provider. */
export interface DeviceIssuerChanges {
  /** Members of the discovery document; undefined removes one. */
  readonly discovery?: Record<string, unknown>
  /** Members of the answer that holds the code; undefined removes one. */
  readonly device?: Record<string, unknown>
  /** That answer itself. */
  readonly deviceAnswer?: Answer
  /** What the token endpoint answers, one after the other, before it gives tokens: the name of an error, or an answer. */
  readonly before?: readonly (string | Answer)[]
  /** Claims of the identity token; undefined removes one. */
  readonly claims?: Record<string, unknown>
  /** Members of the answer that holds the tokens; undefined removes one. */
  readonly tokens?: Record<string, unknown>
  readonly revocationAnswer?: Answer
}

export interface DeviceIssuer extends TestServer {
  /** The bodies of the requests to one path, in order. */
  readonly bodies: (path: string) => URLSearchParams[]
  /** When the token endpoint was asked, in milliseconds of {@link performance}. */
  readonly asked: readonly number[]
}

const oauthError = (error: string): Answer => json({ error }, error === "authorization_pending" ? 401 : 400)

/** Starts one; it is closed when the test ends. */
export async function startDeviceIssuer(changes: DeviceIssuerChanges = {}): Promise<DeviceIssuer> {
  const asked: number[] = []
  const before = [...(changes.before ?? [])]
  let challenge: string | null = null
  const server = await httpServer(({ path, body }) => {
    const parameters = new URLSearchParams(body.toString())
    switch (path) {
      case "/.well-known/openid-configuration":
        return json({
          issuer: server.url,
          authorization_endpoint: `${server.url}/auth`,
          token_endpoint: `${server.url}/token`,
          jwks_uri: `${server.url}/keys`,
          device_authorization_endpoint: `${server.url}/device/code`,
          revocation_endpoint: `${server.url}/revoke`,
          id_token_signing_alg_values_supported: ["ES256"],
          ...changes.discovery,
        })
      case "/device/code":
        challenge = parameters.get("code_challenge")
        if (changes.deviceAnswer !== undefined) return changes.deviceAnswer
        return json({
          device_code: "the-device-code",
          user_code: "WDJB-MJHT",
          verification_uri: `${server.url}/device`,
          verification_uri_complete: `${server.url}/device?user_code=WDJB-MJHT`,
          expires_in: 300,
          interval: 0.2,
          ...changes.device,
        })
      case "/token": {
        asked.push(performance.now())
        const next = before.shift()
        if (next !== undefined) return typeof next === "string" ? oauthError(next) : next
        const verifier = createHash("sha256").update(parameters.get("code_verifier") ?? "")
        if (challenge !== null && verifier.digest("base64url") !== challenge) return oauthError("invalid_grant")
        const token = testToken({ iss: server.url, aud: parameters.get("client_id"), ...changes.claims })
        return json({ access_token: "access", token_type: "Bearer", id_token: token, ...changes.tokens })
      }
      case "/revoke":
        return changes.revocationAnswer ?? { status: 200 }
      default:
        return { status: 404 }
    }
  })
  const bodies = (path: string): URLSearchParams[] =>
    server.seen.filter((request) => request.path === path).map(({ body }) => new URLSearchParams(body.toString()))
  return { ...server, bodies, asked }
}
