/**
 * Where the identity token comes from: the surroundings when they have one, else a login.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../../errors.ts"
import { printable } from "../answer.ts"
import type { HttpClient } from "../http.ts"
import {
  type AmbientProvider,
  ambientSources,
  canonicalProvider,
  detect,
  type Surroundings,
  TOKEN_PROVIDERS,
} from "./ambient.ts"
import { buildkiteToken } from "./buildkite.ts"
import { environmentToken, isGithubJob } from "./environment.ts"
import { DEFAULT_TOKEN_FILE, filesystemToken } from "./filesystem.ts"
import { githubActionsToken, noPermission } from "./github-actions.ts"
import { gitlabToken } from "./gitlab.ts"
import { type IdentityTokenClaims, parseIdentityToken } from "./token.ts"
import { checkIdentityToken } from "./token-check.ts"

/** Environment variables, as the caller has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The names `gitsign.tokenProvider` may have; the Go program's names, and gitsign's own `exec`, `gitlab`, `circleci` and `device`. */
export type TokenProvider =
  | "exec"
  | "buildkite-agent"
  | "envvar"
  | "filesystem"
  | "github-actions"
  | "google-workload-identity"
  | "google-impersonation"
  | "spiffe"
  | "gitlab"
  | "circleci"
  | "interactive"
  | "device"

/** A finished login of a person. */
export interface LoggedIn {
  readonly token: string
  readonly provider: "interactive" | "device"
  /** Whether the person has agreed, on the page, to what will be published. */
  readonly agreed: boolean
  /** Only where it was asked for and the issuer gives one. */
  readonly refreshToken?: string | undefined
}

/** What is told to a person who logs in of what a signature publishes. */
export interface Publication {
  /** As `describeIdentity` gives it: `dev@example.com (GitHub)`. */
  readonly who: string
  /** The host of the log. */
  readonly log: string
  /** Sentences that deserve a look, such as a user.email that does not match. */
  readonly remarks: readonly string[]
  /** False when the person has agreed before, or settings say always. */
  readonly needsConsent: boolean
}

/** What every conversation with an issuer needs. */
export interface OpenidOptions {
  readonly http: HttpClient
  /** `gitsign.issuer`, such as https://oauth2.sigstore.dev/auth. */
  readonly issuer: string
  /** `gitsign.clientID`; `sigstore` almost everywhere. */
  readonly clientID: string
  readonly clientSecret?: string | undefined
  /** `gitsign.connectorID`: the login page to go to directly. */
  readonly connectorID?: string | undefined
  /** Whether to ask for a refresh token (scope offline_access). */
  readonly wantsRefresh?: boolean | undefined
  /** How long to wait for the login, in milliseconds; 120 000 when undefined. */
  readonly loginTimeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface IdentityTokenOptions {
  readonly env: Environment
  readonly http: HttpClient
  readonly now: () => Date
  /** `gitsign.tokenProvider`; undefined or "" to choose. */
  readonly tokenProvider?: string | undefined
  /** Where the `filesystem` provider looks; the place of the Sigstore set-ups for Kubernetes when undefined. */
  readonly tokenFile?: string | undefined
  /** The words of the command that prints a token, for the `exec` provider. */
  readonly tokenCommand?: readonly string[] | undefined
  /** The directory that commands run in; this process's own when undefined. */
  readonly cwd?: string | undefined
  /** `gitsign.clientID`: the audience that tokens are asked for and must have. */
  readonly clientID: string
  /** Has a person log in: "auto" chooses the way. */
  readonly logIn: (kind: "auto" | "interactive" | "device") => Promise<LoggedIn>
  /** Gives also a token that fails a check, with the failure as its `problem`. */
  readonly unchecked?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** A token that is well-formed and passes {@link checkIdentityToken}; whether it is genuine is for Fulcio to say. */
export interface IdentityToken {
  readonly token: string
  readonly claims: IdentityTokenClaims
  readonly provider: TokenProvider
  /** Whether a person has agreed to the publication at the login; true of every token that no person was asked for. */
  readonly agreed: boolean
  /** Only where a login was asked for one and the issuer gives it. */
  readonly refreshToken?: string | undefined
  /** Why the token MUST NOT be used; only where an unchecked one was asked for. */
  readonly problem?: GitsignError | undefined
}

/**
 * Gets an identity token: from the provider that is configured, else from the first that applies here and has one, else from a login.
 * A provider that applies and turns out to have none (ERR_NO_TOKEN) is passed over, unless it is configured; every other failure ends
 * the search, so that nobody signs as somebody else because a service was down.
 *
 * @throws ERR_NO_TOKEN when there is no token and nobody to log in; ERR_TOKEN, ERR_TOKEN_EXPIRED when there is one that cannot be used
 * @throws ERR_CONFIG when the provider or an address is not one gitsign can use
 * @throws ERR_OIDC, ERR_NETWORK, ERR_CANCELLED, ERR_IO when getting it failed; whatever `logIn` throws
 */
export async function getIdentityToken(options: IdentityTokenOptions): Promise<IdentityToken> {
  const found = await findToken(options)
  const claims = parseIdentityToken(found.token)
  const { env, clientID } = options
  try {
    checkIdentityToken(claims, { env, clientID, provider: found.provider, now: options.now() })
    return { ...found, claims }
  } catch (error) {
    if (!options.unchecked || !isGitsignError(error)) throw error
    return { ...found, claims, problem: error }
  }
}

type Found = Omit<IdentityToken, "claims" | "problem">

async function findToken(options: IdentityTokenOptions): Promise<Found> {
  const surroundings: Surroundings = { ...options, audience: options.clientID }
  const configured = canonicalProvider(options.tokenProvider ?? "")
  if (configured !== "") return configuredToken(configured, surroundings, options)
  let explained: GitsignError | undefined
  for (const { provider, token } of ambientSources(surroundings)) {
    try {
      return { token: token ?? (await askFor(provider, surroundings, options)), provider, agreed: true }
    } catch (error) {
      if (!hasNoToken(error)) throw error
      explained ??= error
    }
  }
  try {
    return await options.logIn("auto")
  } catch (error) {
    if (!hasNoToken(error)) throw error
    // In a job, what it lacks is the news, and not that it has no terminal.
    const better = explained ?? (isGithubJob(options.env) ? noPermission(options.env) : undefined)
    throw better === undefined
      ? error
      : new GitsignError("ERR_NO_TOKEN", better.message, { cause: error, ...hintOf(better) })
  }
}

const hasNoToken = (error: unknown): error is GitsignError => isGitsignError(error) && error.code === "ERR_NO_TOKEN"

const hintOf = ({ hint }: GitsignError): { hint?: string } => (hint === undefined ? {} : { hint })

async function configuredToken(
  provider: string,
  surroundings: Surroundings,
  options: IdentityTokenOptions,
): Promise<Found> {
  if (!isTokenProvider(provider)) {
    throw new GitsignError("ERR_CONFIG", `the token provider "${printable(provider)}" is not known`, {
      hint: `set gitsign.tokenProvider to one of ${TOKEN_PROVIDERS.join(", ")}, or to auto`,
    })
  }
  if (provider === "interactive" || provider === "device") return options.logIn(provider)
  try {
    const atHand = detect(provider, surroundings)?.token
    return { token: atHand ?? (await askFor(provider, surroundings, options)), provider, agreed: true }
  } catch (error) {
    if (!hasNoToken(error)) throw error
    // No other way is looked at, so that what helps elsewhere, such as a terminal, is no help here.
    throw new GitsignError("ERR_NO_TOKEN", `${error.message}, and gitsign.tokenProvider is ${provider}`, {
      cause: error,
      hint: `${error.hint}; or unset gitsign.tokenProvider (GITSIGN_TOKEN_PROVIDER)`,
    })
  }
}

const isTokenProvider = (name: string): name is TokenProvider => TOKEN_PROVIDERS.some((known) => known === name)

/** Takes the token of one provider; those with libraries are loaded for it. */
async function askFor(
  provider: AmbientProvider,
  surroundings: Surroundings,
  { cwd, http, signal }: IdentityTokenOptions,
): Promise<string> {
  const { env, audience, tokenFile, tokenCommand } = surroundings
  const request = { env, audience, http, signal }
  switch (provider) {
    case "exec":
      return (await import("./exec.ts")).execToken({ command: tokenCommand ?? [], env, cwd, signal })
    case "buildkite-agent":
      return buildkiteToken(request)
    case "envvar":
      return environmentToken(env) ?? missing("SIGSTORE_ID_TOKEN is not set", "set it to an identity token")
    case "filesystem":
      return filesystemToken(tokenFile) ?? missingIn(tokenFile ?? DEFAULT_TOKEN_FILE)
    case "github-actions":
      return githubActionsToken(request)
    case "google-impersonation":
      return (await import("./google.ts")).googleImpersonationToken(request)
    case "google-workload-identity":
      return (await import("./google.ts")).googleWorkloadToken(request)
    case "spiffe":
      return (await import("./spiffe.ts")).spiffeToken(request)
    case "gitlab":
      return gitlabToken(surroundings)
    case "circleci":
      return (await import("./circleci.ts")).circleciToken({ env, audience, cwd, signal })
  }
}

const missingIn = (file: string): never =>
  missing(`there is no token in ${file}`, "have one put there, or name another file in gitsign.tokenFile")

const missing = (message: string, hint: string): never => {
  throw new GitsignError("ERR_NO_TOKEN", message, { hint })
}
