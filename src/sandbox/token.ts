/**
 * The sandbox's identity tokens: JSON Web Tokens (RFC 7519) signed with ES256 (RFC 7518 §3.4), as OpenID Connect Core
 * 1.0 §2 and GitHub Actions fill them.
 *
 * @module
 */

import { createHash, createPublicKey, type JsonWebKey, type KeyObject, sign, verify } from "node:crypto"

/** The audience that Fulcio asks for, and the id of the one client. */
export const AUDIENCE = "sigstore"

/** What a token is to say. Everything has a default that Fulcio accepts. */
export interface TokenOptions {
  /** The e-mail address; `dev@example.com` when neither it nor `github` nor `subject` is given. */
  readonly email?: string
  /** Whether the address counts as verified; true when absent. */
  readonly emailVerified?: boolean
  /** How long the token lasts, in seconds; 3600 when absent. Negative: it expired so long ago. */
  readonly ttlSeconds?: number
  /** Another audience than `sigstore`. */
  readonly audience?: string
  /** The `sub` claim. A URI without an e-mail address becomes the certificate's URI. */
  readonly subject?: string
  /** OWNER/NAME of a repository: the token is then one that a GitHub Actions job gets. */
  readonly github?: string
  /** More claims, or other values for the ones above. */
  readonly claims?: Readonly<Record<string, unknown>>
}

/** The claims of a verified token. */
export type Claims = Readonly<Record<string, unknown>>

/** The `sub` of an account. It is not the address, so that whoever signs the wrong one of the two is found out. */
export const subjectOf = (email: string): string => `sandbox-${Buffer.from(email).toString("base64url")}`

/** The address of the account with this `sub`. */
export const emailOf = (subject: string): string =>
  Buffer.from(subject.replace(/^sandbox-/, ""), "base64url").toString("utf8")

/** The public half of the signing key as a JSON Web Key. */
function publicJwk(key: KeyObject): JsonWebKey & { kid: string } {
  const jwk = createPublicKey(key).export({ format: "jwk" })
  return { ...jwk, alg: "ES256", use: "sig", kid: keyId(jwk) }
}

/** The private half, for the OpenID provider. It MUST NOT leave the process. */
export function privateJwk(key: KeyObject): JsonWebKey & { kid: string } {
  const jwk = key.export({ format: "jwk" })
  return { ...jwk, alg: "ES256", use: "sig", kid: keyId(jwk) }
}

/** The JWK thumbprint (RFC 7638). */
const keyId = ({ crv, kty, x, y }: JsonWebKey): string =>
  createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url")

/** Makes a token of `issuer`. The caller MUST treat it as a secret until it expires. */
export function mintToken(key: KeyObject, issuer: string, options: TokenOptions, now: Date): string {
  const seconds = Math.floor(now.getTime() / 1000)
  const expires = seconds + (options.ttlSeconds ?? 3600)
  const claims = {
    iss: issuer,
    aud: options.audience ?? AUDIENCE,
    // A token that expired in the past was issued before that.
    iat: Math.min(seconds, expires - 60),
    exp: expires,
    ...identityClaims(options),
    ...options.claims,
  }
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")
  const input = `${encode({ alg: "ES256", typ: "JWT", kid: publicJwk(key).kid })}.${encode(claims)}`
  const signature = sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" })
  return `${input}.${signature.toString("base64url")}`
}

function identityClaims(options: TokenOptions): Claims {
  if (options.github !== undefined) return githubClaims(options.github, options.subject)
  if (options.email === undefined && options.subject !== undefined) return { sub: options.subject }
  const email = options.email ?? "dev@example.com"
  return { sub: options.subject ?? subjectOf(email), email, email_verified: options.emailVerified ?? true }
}

/** The claims of a job that a push to the main branch of `repository` started (docs.github.com, "OpenID Connect"). */
function githubClaims(repository: string, subject?: string): Claims {
  const [owner = repository] = repository.split("/")
  const number = (text: string): string => String(createHash("sha256").update(text).digest().readUInt32BE())
  const sha = createHash("sha1").update(repository).digest("hex")
  const ref = "refs/heads/main"
  const workflowRef = `${repository}/.github/workflows/release.yml@${ref}`
  return {
    sub: subject ?? `repo:${repository}:ref:${ref}`,
    repository,
    repository_id: number(repository),
    repository_owner: owner,
    repository_owner_id: number(owner),
    repository_visibility: "public",
    ref,
    ref_type: "branch",
    sha,
    workflow: "release",
    workflow_ref: workflowRef,
    workflow_sha: sha,
    job_workflow_ref: workflowRef,
    job_workflow_sha: sha,
    event_name: "push",
    runner_environment: "github-hosted",
    run_id: number(workflowRef),
    run_number: "1",
    run_attempt: "1",
    actor: owner,
  }
}

/**
 * Verifies a token as Fulcio does: signature, issuer, audience, and that it has not expired.
 *
 * @returns its claims
 * @throws Error with the reason, which holds nothing of the token
 */
export function verifyToken(token: string, key: KeyObject, issuer: string, now: Date): Claims {
  const parts = token.split(".")
  const [header, payload, signature] = parts
  if (parts.length !== 3 || !header || !payload || !signature) throw new Error("malformed token")
  const { alg, kid } = decodePart(header)
  if (alg !== "ES256" || kid !== publicJwk(key).kid) throw new Error("token signed with another key")
  const input = Buffer.from(`${header}.${payload}`)
  const verifier = { key: createPublicKey(key), dsaEncoding: "ieee-p1363" } as const
  if (!verify("sha256", input, verifier, Buffer.from(signature, "base64url"))) throw new Error("wrong token signature")
  const claims = decodePart(payload)
  if (claims.iss !== issuer) throw new Error("token of another issuer")
  const audience = claims.aud
  if (audience !== AUDIENCE && !(Array.isArray(audience) && audience.includes(AUDIENCE))) {
    throw new Error("token for another audience")
  }
  const seconds = now.getTime() / 1000
  if (typeof claims.exp !== "number" || claims.exp < seconds) throw new Error("token expired")
  // Five minutes for clocks that differ, as Fulcio's OpenID library allows.
  if (typeof claims.nbf === "number" && claims.nbf > seconds + 300) throw new Error("token not valid yet")
  return claims
}

function decodePart(part: string): Claims {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"))
    if (typeof value === "object" && value !== null) return value as Claims
  } catch {
    // reported below
  }
  throw new Error("malformed token")
}
