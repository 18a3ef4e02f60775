/**
 * Login in the browser: OpenID Connect authorization code flow with PKCE (RFC 7636, S256) and a loopback redirect (RFC 8252), or with
 * a code that the person pastes.
 *
 * @module
 */

import { GitsignError, isGitsignError, messageOf } from "../../errors.ts"
import { type Callback, startCallbackServer } from "./callback-server.ts"
import { failurePage, loggedInPage, questionPage, refusedPage } from "./login-page.ts"
import {
  type Deadline,
  type Discovered,
  discover,
  failAt,
  guard,
  LOGIN_TIMEOUT_MS,
  orAborted,
  requirePkce,
  scopeOf,
  withDeadline,
} from "./openid.ts"
import { readPastedCode } from "./pasted-code.ts"
import type { LoggedIn, OpenidOptions, Publication } from "./provider.ts"
import { type IdentityTokenClaims, parseIdentityToken } from "./token.ts"

/** What a login in the browser needs beyond the issuer. */
export interface BrowserOptions extends OpenidOptions {
  /** `gitsign.redirectURL`: an http address of this machine, or {@link OUT_OF_BAND}; any free port when undefined or "". */
  readonly redirectURL?: string | undefined
  /** After how many seconds the page of a finished login closes itself; never when undefined. */
  readonly autocloseSeconds?: number | undefined
  /** Opens the address; undefined when the person has to. Rejects when it cannot. */
  readonly openBrowser: ((loginUrl: string) => Promise<void>) | undefined
  /** Shows the address. `opening` is false when the person has to open it. */
  readonly notify: (loginUrl: string, opening: boolean) => void
  /** Told why the address could not be opened, so that the person has to. What it throws ends the login. */
  readonly openFailed?: ((cause: unknown) => void) | undefined
  /** Reads what the person pastes at the terminal; undefined where there is none. Resolves undefined at the end of input. */
  readonly readPaste?: ((prompt: string, signal: AbortSignal) => Promise<string | undefined>) | undefined
  /** What becomes public with these claims. What it throws ends the login, and the page shows it. */
  readonly publication: (claims: IdentityTokenClaims) => Publication
}

/** The redirect address of an issuer that shows the code for the person to paste. */
export const OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"

/**
 * Has somebody log in and returns the identity token that the issuer gave for it: its issuer, audience, times and nonce have been
 * checked. `agreed` is true only when the person was asked on the page and said yes; after a paste there is no page, so the caller
 * MUST ask. The web server on this machine is closed in every case, a second after the end at the latest.
 *
 * @throws ERR_OIDC when the issuer refuses, answers something wrong, or nobody logs in in time
 * @throws ERR_CONSENT when the person says no to the publication, or nothing in time
 * @throws ERR_NO_TOKEN when a code cannot be pasted anywhere; whatever `openFailed` throws
 * @throws ERR_CANCELLED when the signal says so; ERR_NETWORK when the issuer does not answer; ERR_CONFIG for a bad address
 */
export const browserToken = (options: BrowserOptions): Promise<LoggedIn> =>
  withDeadline(options, async (deadline) => {
    const found = await discover(options, deadline.signal)
    requirePkce(found)
    const begun = await begin(found)
    return options.redirectURL === OUT_OF_BAND ? byPaste(options, deadline, begun) : byServer(options, deadline, begun)
  })

/** A login that has begun, with its secrets. */
interface Begun {
  readonly found: Discovered
  readonly verifier: string
  readonly challenge: string
  readonly state: string
  readonly nonce: string
}

async function begin(found: Discovered): Promise<Begun> {
  const { openid } = found
  const verifier = openid.randomPKCECodeVerifier()
  const challenge = await openid.calculatePKCECodeChallenge(verifier)
  return { found, verifier, challenge, state: openid.randomState(), nonce: openid.randomNonce() }
}

function loginUrlOf(options: BrowserOptions, begun: Begun, redirectUrl: string): string {
  const { found, challenge, state, nonce } = begun
  return found.openid.buildAuthorizationUrl(found.config, {
    redirect_uri: redirectUrl,
    scope: scopeOf(options),
    code_challenge: challenge,
    code_challenge_method: "S256",
    state,
    nonce,
    // OpenID Connect Core §11: a refresh token is given to a person who was asked.
    ...(options.wantsRefresh ? { prompt: "consent" } : {}),
    ...(options.connectorID ? { connector_id: options.connectorID } : {}),
  }).href
}

async function byPaste(options: BrowserOptions, deadline: Deadline, begun: Begun): Promise<LoggedIn> {
  const { readPaste } = options
  if (readPaste === undefined) {
    throw new GitsignError("ERR_NO_TOKEN", "the issuer shows a code, and there is no terminal to paste it at", {
      hint: "run git in a terminal, or unset gitsign.redirectURL",
    })
  }
  const shown = showAndOpen(options, deadline, loginUrlOf(options, begun, OUT_OF_BAND), deadline.signal)
  const pasted = askForPaste(begun, OUT_OF_BAND, readPaste, deadline.signal)
  const url = await Promise.race([pasted, shown.then(() => pasted)])
  if (url === undefined) throw new GitsignError("ERR_CANCELLED", "no code was pasted")
  return finish(options, deadline, begun, url)
}

async function byServer(options: BrowserOptions, deadline: Deadline, begun: Begun): Promise<LoggedIn> {
  const redirectURL = options.redirectURL || undefined
  const server = await startCallbackServer({ redirectURL, state: begun.state })
  // Ends the attempts to have the address opened or a code pasted, and so gives the terminal back.
  const arrival = new AbortController()
  const signal = AbortSignal.any([deadline.signal, arrival.signal])
  try {
    const redirectUrl = server.redirectUrl.href
    const loginUrl = loginUrlOf(options, begun, redirectUrl)
    const pasted = showAndOpen(options, deadline, loginUrl, signal).then(async (opened) => {
      const { readPaste } = options
      const url = opened || !readPaste ? undefined : await askForPaste(begun, redirectUrl, readPaste, signal)
      // After the end of input, the browser can still come.
      return url ?? new Promise<never>(() => undefined)
    })
    const arrived = await orAborted(Promise.race([server.callback, pasted]), deadline.signal)
    arrival.abort()
    if (arrived instanceof URL) return await finish(options, deadline, begun, arrived)
    return await finishInBrowser(options, deadline, begun, arrived)
  } finally {
    arrival.abort()
    server.close()
  }
}

/** Shows the address and tries to open it. Resolves with whether that worked, as far as one can tell; an opener may hang. */
async function showAndOpen(
  options: BrowserOptions,
  deadline: Deadline,
  loginUrl: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { openBrowser, notify } = options
  notify(loginUrl, openBrowser !== undefined)
  let cause: unknown
  try {
    await openBrowser?.(loginUrl)
    if (openBrowser !== undefined) return true
  } catch (error) {
    cause = error
  }
  // An opener can fail after it has worked: nobody wants to hear of it then.
  if (signal.aborted) return true
  try {
    if (openBrowser !== undefined) options.openFailed?.(cause)
  } catch (error) {
    deadline.end(error)
  }
  return false
}

const askForPaste = (
  { found, state }: Begun,
  redirectUrl: string,
  read: NonNullable<BrowserOptions["readPaste"]>,
  signal: AbortSignal,
): Promise<URL | undefined> => {
  const issuer = found.config.serverMetadata().issuer
  const asked = readPastedCode({ redirectUrl, state, issuer, read, signal })
  return orAborted(asked, signal)
}

/** The code for a token, and what the token says. */
async function exchange(options: BrowserOptions, deadline: Deadline, begun: Begun, url: URL) {
  const { openid, config, issuer } = begun.found
  const checks = {
    pkceCodeVerifier: begun.verifier,
    expectedState: begun.state,
    expectedNonce: begun.nonce,
    idTokenExpected: true,
  }
  const tokens = await guard(issuer, () =>
    orAborted(openid.authorizationCodeGrant(config, url, checks), deadline.signal),
  )
  const token = tokens.id_token ?? failAt(issuer, "answered without an identity token")
  const refreshToken = options.wantsRefresh ? tokens.refresh_token : undefined
  return { token, refreshToken, publication: options.publication(parseIdentityToken(token)) }
}

/** Ends a login that no page waits for. */
async function finish(options: BrowserOptions, deadline: Deadline, begun: Begun, url: URL): Promise<LoggedIn> {
  const { token, refreshToken } = await exchange(options, deadline, begun, url)
  return { token, provider: "interactive", agreed: false, refreshToken }
}

/** Ends a login with a page that says how it ended, the true reason included; asks on it where that is needed. */
async function finishInBrowser(
  options: BrowserOptions,
  deadline: Deadline,
  begun: Begun,
  callback: Callback,
): Promise<LoggedIn> {
  try {
    const { token, refreshToken, publication } = await exchange(options, deadline, begun, callback.url)
    const agreed = publication.needsConsent && (await agree(options, deadline, publication, callback))
    await callback.answer(loggedInPage(publication, options.autocloseSeconds))
    return { token, provider: "interactive", agreed, refreshToken }
  } catch (error) {
    const reason: unknown = deadline.signal.aborted ? deadline.signal.reason : error
    const hint = isGitsignError(reason) ? reason.hint : undefined
    const isRefusal = isGitsignError(reason) && reason.code === "ERR_CONSENT"
    await callback.answer(isRefusal ? refusedPage() : failurePage({ message: messageOf(reason), hint }))
    throw reason
  }
}

async function agree(
  options: BrowserOptions,
  deadline: Deadline,
  publication: Publication,
  callback: Callback,
): Promise<true> {
  const timeoutMs = options.loginTimeoutMs ?? LOGIN_TIMEOUT_MS
  deadline.extend(timeoutMs, () => {
    const message = `nobody agreed to the publication within ${timeoutMs / 1000} s`
    return new GitsignError("ERR_CONSENT", message)
  })
  const answer = callback.ask((action) => questionPage(publication, action))
  if (await orAborted(answer, deadline.signal)) return true
  throw new GitsignError("ERR_CONSENT", "the publication was not agreed to")
}
