/**
 * Identity tokens for the tests (RFC 7519): well-formed, signed by nobody that matters.
 *
 * @module
 */

import { secret } from "../support/secrets.ts"

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")

/** A token with these claims over usual ones, valid for ten minutes around `now`; undefined removes a claim. */
export function testToken(claims: Record<string, unknown> = {}, now: Date = new Date()): string {
  const seconds = Math.floor(now.getTime() / 1000)
  const usual = {
    iss: "https://issuer.example.com",
    sub: "subject-1",
    aud: "sigstore",
    iat: seconds,
    nbf: seconds,
    exp: seconds + 600,
    email: "dev@example.com",
    email_verified: true,
  }
  return secret(`${part({ alg: "ES256", typ: "JWT" })}.${part({ ...usual, ...claims })}.${"A".repeat(86)}`)
}
