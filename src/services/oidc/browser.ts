/**
 * Login in the browser: OpenID Connect authorization code flow with PKCE (RFC 7636, S256) and a loopback redirect (RFC 8252).
 *
 * @module
 */

import { GitsignError, isGitsignError, messageOf } from "../../errors.ts"
import { printable } from "../answer.ts"
import { type HttpClient, parseServiceUrl } from "../http.ts"
import { type Callback, startCallbackServer } from "./callback-server.ts"

type OpenidClient = typeof import("openid-client")

/** What a login needs; see {@link IdentityTokenOptions} for the members. */
export interface BrowserOptions {
  readonly http: HttpClient
  readonly issuer: string
  readonly clientID: string
  readonly clientSecret?: string | undefined
  readonly connectorID?: string | undefined
  readonly redirectURL?: string | undefined
  readonly notify: (loginUrl: string) => void
  readonly openBrowser?: ((loginUrl: string) => Promise<void>) | undefined
  readonly loginTimeoutMs?: number | undefined
  readonly autocloseSeconds?: number | undefined
  /** Whether nobody will see the address, so that a browser which cannot be opened ends the login. */
  readonly unattended?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Has somebody log in and returns the identity token that the issuer gave for it: its issuer, audience, times and nonce have been
 * checked. The web server on this machine is closed in every case.
 *
 * @throws ERR_OIDC when the issuer refuses, answers something wrong, or nobody logs in in time
 * @throws ERR_NO_TOKEN when no browser could be opened and nobody sees the address
 * @throws ERR_CANCELLED when the signal says so; ERR_NETWORK when the issuer does not answer; ERR_CONFIG for a bad address
 */
export async function browserToken(options: BrowserOptions): Promise<string> {
  const deadlineMs = options.loginTimeoutMs ?? 120_000
  const controller = new AbortController()
  const cancel = (): void => controller.abort(new GitsignError("ERR_CANCELLED", "the login was cancelled"))
  const timer = setTimeout(() => {
    const message = `nobody logged in within ${deadlineMs / 1000} s`
    controller.abort(
      new GitsignError("ERR_OIDC", message, { hint: "run the command again and log in at the address it shows" }),
    )
  }, deadlineMs)
  options.signal?.addEventListener("abort", cancel, { once: true })
  if (options.signal?.aborted) cancel()
  try {
    return await login(options, controller)
  } catch (error) {
    // A request that was ended by the deadline reports a cancellation; the reason is the deadline.
    throw controller.signal.aborted ? controller.signal.reason : error
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener("abort", cancel)
  }
}

async function login(options: BrowserOptions, controller: AbortController): Promise<string> {
  const { signal } = controller
  const issuer = parseServiceUrl(options.issuer)
  signal.throwIfAborted()
  const openid = await import("openid-client")
  const config = await guard(issuer, () => discover(openid, issuer, options, signal))
  const verifier = openid.randomPKCECodeVerifier()
  const [state, nonce] = [openid.randomState(), openid.randomNonce()]
  const redirectURL = options.redirectURL || undefined
  const server = await startCallbackServer({ redirectURL, state, autocloseSeconds: options.autocloseSeconds })
  try {
    const loginUrl = openid.buildAuthorizationUrl(config, {
      redirect_uri: server.redirectUrl.href,
      scope: "openid email",
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
      ...(options.connectorID ? { connector_id: options.connectorID } : {}),
    })
    options.notify(loginUrl.href)
    const failed = (cause: unknown): void => {
      if (!options.unattended) return
      controller.abort(new GitsignError("ERR_NO_TOKEN", "no browser could be opened for the login", { cause }))
    }
    // Not awaited: an opener that hangs or fails leaves the address that has been shown.
    ;(options.openBrowser?.(loginUrl.href) ?? openDefaultBrowser(loginUrl.href, failed)).catch(failed)
    const callback = await orAborted(server.callback, signal)
    return await finish(callback, () =>
      guard(issuer, async () => {
        const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
        const tokens = await orAborted(openid.authorizationCodeGrant(config, callback.url, checks), signal)
        return tokens.id_token ?? fail(issuer, "answered without an identity token")
      }),
    )
  } finally {
    server.close()
  }
}

async function discover(openid: OpenidClient, issuer: URL, options: BrowserOptions, signal: AbortSignal) {
  const { ClientSecretBasic, ClientSecretPost, None } = openid
  const { clientSecret } = options
  const authenticate: import("openid-client").ClientAuth = (server, ...rest) => {
    if (clientSecret === undefined) return None()(server, ...rest)
    // OpenID Connect Discovery §3: basic is what a server that does not say takes.
    const post = server.token_endpoint_auth_methods_supported?.includes("client_secret_post") ?? false
    return (post ? ClientSecretPost : ClientSecretBasic)(clientSecret)(server, ...rest)
  }
  const config = await openid.discovery(issuer, options.clientID, { [openid.clockTolerance]: 60 }, authenticate, {
    [openid.customFetch]: fetchThrough(options.http, signal),
    // parseServiceUrl has allowed plain http for this machine only, and the HTTP client allows no other request.
    execute: issuer.protocol === "http:" ? [openid.allowInsecureRequests] : [],
  })
  const methods = config.serverMetadata().code_challenge_methods_supported
  if (methods !== undefined && !methods.includes("S256")) fail(issuer, "does not support PKCE with S256")
  return config
}

/** The `fetch` that openid-client gets, so that proxies, private authorities, sizes and deadlines hold there too. */
function fetchThrough(http: HttpClient, signal: AbortSignal): import("openid-client").CustomFetch {
  return async (url, init) => {
    const body = init.body instanceof URLSearchParams ? init.body.toString() : (init.body ?? undefined)
    if (body !== undefined && typeof body !== "string" && !(body instanceof Uint8Array)) {
      throw new GitsignError("ERR_BUG", "openid-client sent a body of an unexpected type")
    }
    const method = init.method === "POST" ? "POST" : "GET"
    const response = await http.request({ url, method, headers: init.headers, body, signal })
    const empty = response.status === 204 || response.status === 205 || response.status === 304
    return new Response(empty ? null : response.body, { status: response.status, headers: response.headers })
  }
}

/** Shows in the browser how it ended, the true reason included. */
async function finish(callback: Callback, exchange: () => Promise<string>): Promise<string> {
  try {
    const token = await exchange()
    await callback.answer(200, "gitsign has your identity. You can close this page and go back to the terminal.")
    return token
  } catch (error) {
    await callback.answer(400, `${messageOf(error)}. Go back to the terminal.`)
    throw error
  }
}

/** Runs a step of the protocol; whatever goes wrong in the library becomes ERR_OIDC, in the issuer's own words if it has any. */
async function guard<T>(issuer: URL, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    const own = ownError(error)
    if (own !== undefined) throw own
    const { error: name, error_description: description } = (error ?? {}) as Record<string, unknown>
    if (typeof name === "string") {
      const why = typeof description === "string" ? `${name}, ${description}` : name
      const hint = name === "access_denied" ? { hint: "nothing was signed; run the command again" } : {}
      throw new GitsignError("ERR_OIDC", `${issuer.host} refused the login: ${printable(why)}`, {
        cause: error,
        ...hint,
      })
    }
    const detail = [messageOf(error), error instanceof Error ? causeText(error.cause) : ""].filter(
      (text) => text !== "",
    )
    throw new GitsignError("ERR_OIDC", `the login at ${issuer.host} went wrong: ${printable(detail.join(": "))}`, {
      cause: error,
    })
  }
}

/** The HTTP client's own error, which the library wraps. */
function ownError(error: unknown): GitsignError | undefined {
  for (let inner = error, depth = 0; inner instanceof Error && depth < 5; inner = inner.cause, depth++) {
    if (isGitsignError(inner)) return inner
  }
  return undefined
}

function causeText(cause: unknown): string {
  if (cause instanceof Error) return cause.message
  return cause instanceof Response ? `status ${cause.status}` : ""
}

const fail = (issuer: URL, message: string): never => {
  throw new GitsignError("ERR_OIDC", `${issuer.host} ${message}`)
}

async function openDefaultBrowser(loginUrl: string, failed: (cause: unknown) => void): Promise<void> {
  const { default: open } = await import("open")
  const browser = await open(loginUrl)
  browser.on("error", failed)
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener("abort", onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort))
  })
}
