/**
 * What is checked of an identity token before it is used, so that what Fulcio would refuse without an explanation has one. It proves
 * nothing: the signature of the token is for Fulcio to check.
 *
 * @module
 */

import { GitsignError } from "../../errors.ts"
import { printable } from "../answer.ts"
import { isLoopbackHost } from "../loopback-host.ts"
import { gitlabHint, gitlabIssuer } from "./gitlab.ts"
import type { Environment, TokenProvider } from "./provider.ts"
import { checkTokenTime, type IdentityTokenClaims, isOrBelow } from "./token.ts"

/** What a token is checked against. */
export interface TokenCheck {
  readonly provider: TokenProvider
  readonly env: Environment
  /** `gitsign.clientID`: the audience that the token must have. */
  readonly clientID: string
  readonly now: Date
}

/**
 * Checks the issuer (an https address; the provider's own, where it has one), the audience, the time with a minute of tolerance, and
 * that the issuer does not call the email address unverified.
 *
 * @throws ERR_TOKEN_EXPIRED when it is not valid any more; ERR_TOKEN when it fails another check
 */
export function checkIdentityToken(claims: IdentityTokenClaims, check: TokenCheck): void {
  checkIssuer(claims, check)
  checkAudience(claims, check)
  checkTokenTime(claims, check.now)
  if (claims.email !== undefined && claims.emailUnverified) {
    const message = `the issuer ${printable(claims.iss)} says that the address ${printable(claims.email)} is not verified`
    throw new GitsignError("ERR_TOKEN", message, { hint: "verify the address there, then get a new identity token" })
  }
}

function checkIssuer({ iss }: IdentityTokenClaims, { provider, env }: TokenCheck): void {
  if (!isIssuerAddress(iss)) {
    const message = `the identity token names the issuer "${printable(iss)}", which is not a plain https address`
    throw new GitsignError("ERR_TOKEN", message, {
      hint: "get an identity token from an OpenID issuer with an https address",
    })
  }
  const expected = issuersOf(provider, env)
  if (expected.length === 0 || expected.some((issuer) => isOrBelow(iss, issuer))) return
  const message = `the identity token is one of the issuer ${printable(iss)}, and ${provider} has those of ${expected[0]}`
  throw new GitsignError("ERR_TOKEN", message, {
    hint: `if ${printable(iss)} is right, pass the token in SIGSTORE_ID_TOKEN; else find out who answered in its place`,
  })
}

/** OpenID Connect Core §2: https, and nothing behind the path. Plain http is for this machine only. */
function isIssuerAddress(issuer: string): boolean {
  if (!URL.canParse(issuer) || /[\s?#\\]/.test(issuer)) return false
  const { protocol, username, password, hostname } = new URL(issuer)
  if (username !== "" || password !== "") return false
  return (protocol === "https:" && /^https:\/\//.test(issuer)) || (protocol === "http:" && isLoopbackHost(hostname))
}

/** The issuers a provider's tokens can be of, the usual one first; empty when it can be any. */
function issuersOf(provider: TokenProvider, env: Environment): readonly string[] {
  switch (provider) {
    case "github-actions":
      return githubIssuers(env)
    case "gitlab":
      return [gitlabIssuer(env)]
    case "buildkite-agent":
      return ["https://agent.buildkite.com"]
    case "circleci":
      return ["https://oidc.circleci.com"]
    case "google-impersonation":
    case "google-workload-identity":
      return ["https://accounts.google.com"]
    default:
      return []
  }
}

/** Those of github.com, or of the GitHub Enterprise that runs the job. */
function githubIssuers(env: Environment): readonly string[] {
  const server = env.GITHUB_SERVER_URL?.trim().replace(/\/+$/, "") ?? ""
  if (server === "" || server === "https://github.com" || !URL.canParse(server)) {
    return ["https://token.actions.githubusercontent.com"]
  }
  const { host } = new URL(server)
  return host.endsWith(".ghe.com") ? [`https://token.actions.${host}`] : [`${server}/_services/token`]
}

function checkAudience({ aud }: IdentityTokenClaims, { provider, clientID }: TokenCheck): void {
  if (aud.includes(clientID)) return
  const found = printable(aud.map((audience) => `"${audience}"`).join(", "))
  throw new GitsignError("ERR_TOKEN", `the identity token is for the audience ${found} and not for "${clientID}"`, {
    hint: `${audienceHint(provider, clientID)}, or set gitsign.clientID to the audience that your Fulcio wants`,
  })
}

/** How to get a token for the audience from this provider. */
function audienceHint(provider: TokenProvider, clientID: string): string {
  switch (provider) {
    case "exec":
      return `have the command of gitsign.tokenCommand ask for the audience ${clientID}`
    case "envvar":
      return `ask for the audience ${clientID} where SIGSTORE_ID_TOKEN is made`
    case "filesystem":
      return `ask for the audience ${clientID} where the file is projected (serviceAccountToken: { audience: ${clientID} })`
    case "gitlab":
      return gitlabHint(clientID)
    default:
      return `find out why ${provider}, which was asked for the audience ${clientID}, gave another one`
  }
}
