/**
 * Where the identity token comes from: the surroundings when they have one, else a login in the browser.
 *
 * @module
 */

import { GitsignError } from "../../errors.ts"
import type { HttpClient } from "../http.ts"
import { tokenSource } from "./ambient.ts"
import { githubActionsToken } from "./github-actions.ts"
import { checkTokenTime, type IdentityTokenClaims, parseIdentityToken } from "./token.ts"

/** Environment variables, as the caller has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The names `gitsign.tokenProvider` may have; the Go program's names. */
export type TokenProvider = "interactive" | "envvar" | "filesystem" | "github-actions"

export interface IdentityTokenOptions {
  readonly env: Environment
  readonly http: HttpClient
  readonly now: () => Date
  /** `gitsign.tokenProvider`; undefined or "" to choose. */
  readonly tokenProvider?: string | undefined
  /** Whether somebody is there to log in: a terminal, and a browser or a person who can open one. */
  readonly interactive: boolean
  /** `gitsign.issuer`, such as https://oauth2.sigstore.dev/auth. */
  readonly issuer: string
  /** `gitsign.clientID`, also the audience that is asked for; `sigstore` almost everywhere. */
  readonly clientID: string
  readonly clientSecret?: string | undefined
  /** `gitsign.connectorID`: the login page to go to directly. */
  readonly connectorID?: string | undefined
  /** `gitsign.redirectURL`: an http address of this machine; any free port when undefined or "". */
  readonly redirectURL?: string | undefined
  /** Shows the address to log in at. */
  readonly notify: (loginUrl: string) => void
  /** Opens a browser; the platform's default one when undefined. It may fail: the address has been shown. */
  readonly openBrowser?: ((loginUrl: string) => Promise<void>) | undefined
  /** How long to wait for the login, in milliseconds; 120 000 when undefined. */
  readonly loginTimeoutMs?: number | undefined
  /** Whether nobody will see the address, so that a browser which cannot be opened ends the login. */
  readonly unattended?: boolean | undefined
  /** After how many seconds the page of a finished login closes itself; never when undefined. */
  readonly autocloseSeconds?: number | undefined
  /** Where the `filesystem` provider looks; {@link DEFAULT_TOKEN_FILE} when undefined. */
  readonly tokenFile?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** A token that is well-formed and valid now by this machine's clock; whether it is genuine is for Fulcio to say. */
export interface IdentityToken {
  readonly token: string
  readonly claims: IdentityTokenClaims
  readonly provider: TokenProvider
}

const UNSUPPORTED: ReadonlySet<string> = new Set([
  "spiffe",
  "google-workload-identity",
  "google-impersonation",
  "buildkite-agent",
  "device",
])

/**
 * Gets an identity token: from the provider that is configured, else from the first that has one of SIGSTORE_ID_TOKEN, the GitHub
 * Actions job and the token file, else from a login in the browser.
 *
 * @throws ERR_NO_TOKEN when there is no token and nobody to log in
 * @throws ERR_TOKEN, ERR_TOKEN_EXPIRED when there is one that cannot be used
 * @throws ERR_CONFIG when the provider or an address is not one gitsign can use
 * @throws ERR_OIDC, ERR_NETWORK, ERR_CANCELLED, ERR_IO when getting it failed
 */
export async function getIdentityToken(options: IdentityTokenOptions): Promise<IdentityToken> {
  const { token, provider } = await rawToken(options)
  const claims = parseIdentityToken(token)
  checkTokenTime(claims, options.now())
  return { token, claims, provider }
}

interface RawToken {
  readonly token: string
  readonly provider: TokenProvider
}

async function rawToken(options: IdentityTokenOptions): Promise<RawToken> {
  const { provider, token } = tokenSource(options.env, options.tokenProvider, options.tokenFile)
  switch (provider) {
    case "interactive":
      return fromBrowser(options)
    case "envvar":
      return { token: token ?? missing("SIGSTORE_ID_TOKEN is not set"), provider }
    case "filesystem":
      return { token: token ?? missing("there is no identity token file"), provider }
    case "github-actions":
      return { token: await fromGithubActions(options), provider }
    default: {
      const state = UNSUPPORTED.has(provider) ? "is not supported yet" : "is not known"
      throw new GitsignError("ERR_CONFIG", `the token provider "${provider}" ${state}`, {
        hint: "set gitsign.tokenProvider to interactive, envvar, filesystem or github-actions, or leave it unset",
      })
    }
  }
}

const missing = (message: string): never => {
  throw new GitsignError("ERR_NO_TOKEN", `${message}, and gitsign.tokenProvider asks for it`)
}

const fromGithubActions = (options: IdentityTokenOptions): Promise<string> =>
  githubActionsToken({ env: options.env, audience: options.clientID, http: options.http, signal: options.signal })

async function fromBrowser(options: IdentityTokenOptions): Promise<RawToken> {
  if (!options.interactive) {
    throw new GitsignError("ERR_NO_TOKEN", "there is no identity token, and no terminal to ask for a login", {
      hint: "set SIGSTORE_ID_TOKEN; in GitHub Actions add permissions: id-token: write; or run git in a terminal",
    })
  }
  const { browserToken } = await import("./browser.ts")
  return { token: await browserToken(options), provider: "interactive" }
}
