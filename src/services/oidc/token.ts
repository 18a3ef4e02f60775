/**
 * OpenID identity tokens (OpenID Connect Core 1.0 §2, RFC 7519), read without verifying them: Fulcio does that.
 *
 * @module
 */

import { GitsignError } from "../../errors.ts"

/** The claims gitsign looks at. They prove nothing: the signature of the token has not been checked. */
export interface IdentityTokenClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: readonly string[]
  readonly email?: string | undefined
  /** False also when the claim is absent. */
  readonly emailVerified: boolean
  /** Whether the issuer itself says that the address is not verified. */
  readonly emailUnverified: boolean
  readonly expiresAt: Date
  readonly notBefore?: Date | undefined
  /** The issuer behind a federating one such as oauth2.sigstore.dev (`federated_claims.connector_id`). */
  readonly connectorId?: string | undefined
  /** GitHub Actions: the workflow that becomes the certificate's identity. */
  readonly jobWorkflowRef?: string | undefined
  /** GitLab, Buildkite, CircleCI, Kubernetes: the address of the pipeline or account that becomes the certificate's identity. */
  readonly workloadUri?: string | undefined
}

const ISSUER_NAMES: Readonly<Record<string, string>> = {
  "https://github.com/login/oauth": "GitHub",
  "https://accounts.google.com": "Google",
  "https://login.microsoftonline.com": "Microsoft",
  "https://token.actions.githubusercontent.com": "GitHub Actions",
  "https://gitlab.com": "GitLab",
  "https://agent.buildkite.com": "Buildkite",
}

/** Clocks of two machines may differ by this much; in milliseconds. */
const CLOCK_TOLERANCE_MS = 60_000

const fail = (message: string): never => {
  throw new GitsignError("ERR_TOKEN", `the identity token ${message}`)
}

/**
 * Reads the claims of an identity token.
 *
 * @throws ERR_TOKEN when it is not a JSON Web Token with `iss`, `sub`, `aud` and `exp`; no message shows the token
 */
export function parseIdentityToken(token: string): IdentityTokenClaims {
  if (token.length > 65_536) return fail("is larger than 64 KiB")
  const [header, payload, signature, ...more] = token.split(".")
  if (signature === undefined || more.length > 0)
    return fail("is not a JSON Web Token (three parts with dots between them)")
  decodePart(header ?? "")
  if (!/^[\w-]+$/.test(signature)) return fail("has no signature")
  const claims = decodePart(payload ?? "")
  const federated = claims.federated_claims
  return {
    iss: text(claims, "iss") ?? fail('has no "iss" claim'),
    sub: text(claims, "sub") ?? fail('has no "sub" claim'),
    aud: audience(claims.aud),
    email: text(claims, "email"),
    // Some issuers send the string.
    emailVerified: claims.email_verified === true || claims.email_verified === "true",
    expiresAt: time(claims, "exp") ?? fail('has no "exp" claim'),
    notBefore: time(claims, "nbf"),
    connectorId: isRecord(federated) ? text(federated, "connector_id") : undefined,
    emailUnverified: claims.email_verified === false || claims.email_verified === "false",
    jobWorkflowRef: text(claims, "job_workflow_ref"),
    workloadUri: workloadUri(claims),
  }
}

/** As the templates of Fulcio's configuration make it (fulcio config/identity/config.yaml, pkg/identity/kubernetes). */
function workloadUri(claims: Record<string, unknown>): string | undefined {
  const gitlab = text(claims, "ci_config_ref_uri")
  if (gitlab !== undefined) return `https://${gitlab}`
  const issuer = text(claims, "iss") ?? ""
  const [organization, pipeline] = [text(claims, "organization_slug"), text(claims, "pipeline_slug")]
  if (isBuildkite(issuer) && organization !== undefined && pipeline !== undefined) {
    return `https://buildkite.com/${organization}/${pipeline}`
  }
  const project = text(claims, "oidc.circleci.com/project-id")
  const definition = text(claims, "oidc.circleci.com/pipeline-definition-id")
  if (isCircleci(issuer) && project !== undefined && definition !== undefined) {
    return `https://circleci.com/api/v2/projects/${project}/pipeline-definitions/${definition}`
  }
  const kubernetes = claims["kubernetes.io"]
  if (!isRecord(kubernetes) || !isRecord(kubernetes.serviceaccount)) return undefined
  const [namespace, account] = [text(kubernetes, "namespace"), text(kubernetes.serviceaccount, "name")]
  if (namespace === undefined || account === undefined) return undefined
  return `https://kubernetes.io/namespaces/${namespace}/serviceaccounts/${account}`
}

/**
 * Checks that a token is valid at `now`, give or take a minute.
 *
 * @throws ERR_TOKEN_EXPIRED when it is not valid any more; ERR_TOKEN when it is not valid yet
 */
export function checkTokenTime(claims: IdentityTokenClaims, now: Date): void {
  if (claims.expiresAt.getTime() + CLOCK_TOLERANCE_MS <= now.getTime()) throw expiredToken(claims)
  if (claims.notBefore !== undefined && claims.notBefore.getTime() - CLOCK_TOLERANCE_MS > now.getTime()) {
    const [start, clock] = [moment(claims.notBefore), moment(now)]
    throw new GitsignError("ERR_TOKEN", `the identity token is not valid before ${start}, and it is ${clock} here`, {
      hint: "check this machine's clock",
    })
  }
}

/** The error for a token that is not valid any more. */
export const expiredToken = (claims: IdentityTokenClaims): GitsignError =>
  new GitsignError("ERR_TOKEN_EXPIRED", `the identity token expired at ${moment(claims.expiresAt)}`)

/** What Fulcio wants to see signed as proof of possession of the key: the verified address, else the subject. */
export const proofOfPossessionSubject = (claims: IdentityTokenClaims): string =>
  claims.email !== undefined && claims.emailVerified ? claims.email : claims.sub

/** The issuer as the certificate will name it: behind a federating issuer, the one the person logged in with. */
export const issuerOf = (claims: IdentityTokenClaims): string => claims.connectorId ?? claims.iss

/**
 * The identity as the certificate will name it, where {@link isExactIdentity} says so; else what the token tells of it.
 */
export function identityOf(claims: IdentityTokenClaims): string {
  const server = claims.jobWorkflowRef === undefined ? undefined : githubServerOf(claims.iss)
  if (server !== undefined) return `${server}/${claims.jobWorkflowRef}`
  return claims.workloadUri ?? proofOfPossessionSubject(claims)
}

/**
 * Whether {@link identityOf} is known to be what the certificate will name. For the jobs of other issuers, and for subjects that are no
 * address, Fulcio makes the name from other claims, by what is configured there for the issuer.
 */
export function isExactIdentity({ iss, sub, email, emailVerified, ...job }: IdentityTokenClaims): boolean {
  // An enterprise's jobs are named by what is configured as its address.
  if (job.jobWorkflowRef !== undefined) return isOrBelow(iss, GITHUB_ISSUER)
  if (job.workloadUri !== undefined) {
    return job.workloadUri.startsWith(`${iss}/`) || FIXED_WORKLOADS.test(job.workloadUri)
  }
  return (email !== undefined && emailVerified) || /^[a-z][a-z\d+.-]*:\/\//i.test(sub)
}

/** What has one form whoever the issuer is, or is read for its own issuer only; a GitLab job has its GitLab's address. */
const FIXED_WORKLOADS = /^https:\/\/(buildkite\.com|circleci\.com|kubernetes\.io)\//

const GITHUB_ISSUER = "https://token.actions.githubusercontent.com"

/** The web address of the GitHub whose jobs an issuer gives tokens to; undefined when it is another kind of issuer. */
function githubServerOf(issuer: string): string | undefined {
  // The issuer of an enterprise has its name behind it.
  if (isOrBelow(issuer, GITHUB_ISSUER)) return "https://github.com"
  // GitHub Enterprise Server, and GitHub Enterprise Cloud with data residency.
  const [, server] = /^(https?:\/\/[^/]+)\/_services\/token(\/|$)/.exec(issuer) ?? []
  if (server !== undefined) return server
  const [, host] = /^https:\/\/token\.actions\.([^/]+\.ghe\.com)(\/|$)/.exec(issuer) ?? []
  return host === undefined ? undefined : `https://${host}`
}

/** The name people know an issuer by, or its address without the scheme. */
export function issuerName(issuer: string): string {
  if (isCircleci(issuer)) return "CircleCI"
  return ISSUER_NAMES[issuer] ?? issuer.replace(/^https?:\/\//, "")
}

/** Whether an issuer is this one or one that it keeps under its own address, as for each organization. */
export const isOrBelow = (issuer: string, base: string): boolean => issuer === base || issuer.startsWith(`${base}/`)

const isBuildkite = (issuer: string): boolean => issuer === "https://agent.buildkite.com"
const isCircleci = (issuer: string): boolean => isOrBelow(issuer, "https://oidc.circleci.com")

/** Who will sign, for people: `dev@example.com (GitHub)`. */
export const describeIdentity = (claims: IdentityTokenClaims): string =>
  `${identityOf(claims)} (${issuerName(issuerOf(claims))})`

function decodePart(part: string): Record<string, unknown> {
  let value: unknown
  try {
    if (!/^[\w-]+$/.test(part)) throw new Error("not base64url")
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(part, "base64url")))
  } catch {
    // No cause: the message of a JSON error quotes the text, and this text is a secret.
    return fail("is not a JSON Web Token (base64url of JSON)")
  }
  return isRecord(value) ? value : fail("is not a JSON Web Token (a part is not an object)")
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

function text(claims: Record<string, unknown>, name: string): string | undefined {
  const value = claims[name]
  if (value === undefined || value === null || value === "") return undefined
  // The terminal shows these before anything is signed; a line feed in one would forge that line.
  if (typeof value !== "string" || /\p{C}/u.test(value)) return fail(`has a "${name}" claim that is not plain text`)
  return value
}

function audience(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? value : [value]
  const texts = list.filter((item) => typeof item === "string" && item !== "" && !/\p{C}/u.test(item))
  return texts.length > 0 && texts.length === list.length ? texts : fail('has no "aud" claim')
}

function time(claims: Record<string, unknown>, name: string): Date | undefined {
  const value = claims[name]
  if (value === undefined || value === null) return undefined
  // RFC 7519 §2 allows fractions of a second; Date ends at 8.64e15 ms.
  if (typeof value !== "number" || !(value >= 0 && value < 8.64e12))
    return fail(`has a "${name}" claim that is not a time`)
  return new Date(value * 1000)
}

const moment = (date: Date): string => `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`
