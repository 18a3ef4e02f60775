/**
 * An OpenID provider for the tests (OpenID Connect Core 1.0 §3.1): everybody is logged in at once, PKCE is checked.
 *
 * @module
 */

import { createHash, randomBytes } from "node:crypto"
import { setTimeout as delay } from "node:timers/promises"
import { type Answer, httpServer, json, type TestServer } from "../loopback.ts"
import { testToken } from "../tokens.ts"

/** What a test changes about the provider. */
export interface IssuerChanges {
  /** Members of the discovery document. */
  readonly discovery?: Record<string, unknown>
  /** Claims of the identity token; undefined removes one. */
  readonly claims?: Record<string, unknown>
  /** Parameters of the redirect back. */
  readonly callback?: Record<string, string>
  /** The answer of the token endpoint, instead of a token. */
  readonly tokenAnswer?: Answer
  /** How long the token endpoint takes, in milliseconds. */
  readonly tokenDelayMs?: number
}

export interface TestIssuer extends TestServer {
  /** The parameters of the last authorization request. */
  readonly authorization: () => URLSearchParams
  /** The body of the last token request. */
  readonly tokenRequest: () => { parameters: URLSearchParams; authorization: string | undefined }
}

export async function startIssuer(changes: IssuerChanges = {}): Promise<TestIssuer> {
  const logins = new Map<string, URLSearchParams>()
  let authorization = new URLSearchParams()
  let tokenRequest: { parameters: URLSearchParams; authorization: string | undefined } | undefined

  const server = await httpServer(async ({ path, body, headers }) => {
    const url = new URL(path, server.url)
    if (url.pathname === "/.well-known/openid-configuration") {
      return json({
        issuer: server.url,
        authorization_endpoint: `${server.url}/auth`,
        token_endpoint: `${server.url}/token`,
        jwks_uri: `${server.url}/keys`,
        id_token_signing_alg_values_supported: ["ES256"],
        code_challenge_methods_supported: ["S256"],
        ...changes.discovery,
      })
    }
    if (url.pathname === "/auth") {
      authorization = url.searchParams
      const code = randomBytes(8).toString("hex")
      logins.set(code, authorization)
      const back = new URL(authorization.get("redirect_uri") ?? "")
      const parameters = { code, state: authorization.get("state") ?? "", ...changes.callback }
      for (const [name, value] of Object.entries(parameters)) back.searchParams.set(name, value)
      return { status: 302, headers: { location: back.href } }
    }
    if (url.pathname === "/token") {
      const parameters = new URLSearchParams(body.toString())
      await delay(changes.tokenDelayMs ?? 0)
      tokenRequest = { parameters, authorization: headers.authorization }
      if (changes.tokenAnswer !== undefined) return changes.tokenAnswer
      const login = logins.get(parameters.get("code") ?? "")
      logins.delete(parameters.get("code") ?? "")
      const challenge = createHash("sha256")
        .update(parameters.get("code_verifier") ?? "")
        .digest("base64url")
      if (login?.get("code_challenge") !== challenge) return json({ error: "invalid_grant" }, 400)
      const claims = { iss: server.url, aud: login.get("client_id"), nonce: login.get("nonce"), ...changes.claims }
      return json({ access_token: "access", token_type: "Bearer", id_token: testToken(claims) })
    }
    return { status: 404 }
  })
  return {
    ...server,
    authorization: () => authorization,
    tokenRequest: () => tokenRequest ?? { parameters: new URLSearchParams(), authorization: undefined },
  }
}
