/**
 * What every conversation with an OpenID issuer needs: discovery (OpenID Connect Discovery 1.0 §4), client authentication, a
 * deadline, and errors that people understand.
 *
 * @module
 */

import { GitsignError, isGitsignError, messageOf } from "../../errors.ts"
import { printable } from "../answer.ts"
import { type HttpClient, parseServiceUrl } from "../http.ts"
import type { OpenidOptions } from "./provider.ts"

/** The library, which is loaded when somebody logs in and not before. */
export type OpenidClient = typeof import("openid-client")

/** An issuer that has answered, and the library to talk to it with. */
export interface Discovered {
  readonly openid: OpenidClient
  readonly config: import("openid-client").Configuration
  readonly issuer: URL
}

/** How long a login waits for a person, in milliseconds, when nothing else is asked for. */
export const LOGIN_TIMEOUT_MS = 120_000

/**
 * Asks the issuer for its endpoints. Every later request of the library goes through the same HTTP client and ends with the signal.
 *
 * @throws ERR_CONFIG for an address that gitsign does not talk to; ERR_OIDC for an answer that is wrong; ERR_NETWORK without one;
 * whatever the signal was ended with
 */
export async function discover(options: OpenidOptions, signal: AbortSignal): Promise<Discovered> {
  const issuer = parseServiceUrl(options.issuer)
  signal.throwIfAborted()
  const openid = await import("openid-client")
  const { ClientSecretBasic, ClientSecretPost, None } = openid
  const { clientSecret } = options
  const authenticate: import("openid-client").ClientAuth = (server, ...rest) => {
    if (clientSecret === undefined) return None()(server, ...rest)
    // OpenID Connect Discovery §3: basic is what a server that does not say takes.
    const post = server.token_endpoint_auth_methods_supported?.includes("client_secret_post") ?? false
    return (post ? ClientSecretPost : ClientSecretBasic)(clientSecret)(server, ...rest)
  }
  const config = await guard(issuer, () =>
    openid.discovery(issuer, options.clientID, { [openid.clockTolerance]: 60 }, authenticate, {
      [openid.customFetch]: fetchThrough(options.http, signal),
      // parseServiceUrl has allowed plain http for this machine only, and the HTTP client allows no other request.
      execute: issuer.protocol === "http:" ? [openid.allowInsecureRequests] : [],
    }),
  )
  return { openid, config, issuer }
}

/**
 * The scopes to ask for: the identity with its address, and a refresh token where one is wanted.
 */
export const scopeOf = (options: OpenidOptions): string =>
  options.wantsRefresh ? "openid email offline_access" : "openid email"

/**
 * Checks that the issuer takes a PKCE challenge of the kind S256 (RFC 7636), as far as it says.
 *
 * @throws ERR_OIDC when it says that it does not
 */
export function requirePkce({ config, issuer }: Discovered): void {
  const methods = config.serverMetadata().code_challenge_methods_supported
  if (methods !== undefined && !methods.includes("S256")) failAt(issuer, "does not support PKCE with S256")
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

const HINTS: ReadonlyMap<string, string> = new Map([
  ["access_denied", "nothing was signed; run the command again"],
  ["invalid_grant", "a code can be used once and for a short time only; run the command again"],
  ["invalid_client", "check gitsign.clientID, and gitsign.clientSecretFile where the issuer wants a secret"],
  ["unauthorized_client", "check gitsign.clientID: the issuer does not let this client log people in like this"],
])

/**
 * Runs a step of the protocol.
 *
 * @throws ERR_OIDC for whatever goes wrong in the library, in the issuer's own words if it has any; gitsign's own errors as they are
 */
export async function guard<T>(issuer: URL, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    const own = ownError(error)
    if (own !== undefined) throw own
    const { error: name, error_description: description } = (error ?? {}) as Record<string, unknown>
    if (typeof name === "string") {
      const why = typeof description === "string" ? `${name}, ${description}` : name
      const hint = HINTS.get(name)
      throw new GitsignError("ERR_OIDC", `${issuer.host} refused the login: ${printable(why)}`, {
        cause: error,
        ...(hint === undefined ? {} : { hint }),
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

/** @throws ERR_OIDC always, with the issuer's host before the message */
export const failAt = (issuer: URL, message: string): never => {
  throw new GitsignError("ERR_OIDC", `${issuer.host} ${message}`)
}

/** The bound of a whole login. */
export interface Deadline {
  readonly signal: AbortSignal
  /** Ends the login with this error, if nothing has ended it yet. */
  readonly end: (reason: unknown) => void
  /** Begins the time anew, because the person has come to the next step; `reason` is what is thrown when it passes. */
  readonly extend: (milliseconds: number, reason: () => GitsignError) => void
}

/**
 * Runs a login that MUST look at the deadline's signal in every wait. Whatever it fails with after the signal has ended becomes
 * the reason of that end.
 *
 * @throws ERR_OIDC when the time has passed; ERR_CANCELLED when the caller's signal says so; whatever `work` throws
 */
export async function withDeadline<T>(
  options: Pick<OpenidOptions, "loginTimeoutMs" | "signal">,
  work: (deadline: Deadline) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const cancel = (): void => controller.abort(new GitsignError("ERR_CANCELLED", "the login was cancelled"))
  let timer: NodeJS.Timeout | undefined
  const extend = (milliseconds: number, reason: () => GitsignError): void => {
    clearTimeout(timer)
    timer = setTimeout(() => controller.abort(reason()), milliseconds)
  }
  const timeoutMs = options.loginTimeoutMs ?? LOGIN_TIMEOUT_MS
  extend(timeoutMs, () => {
    const hint = "run the command again and log in at the address it shows"
    return new GitsignError("ERR_OIDC", `nobody logged in within ${timeoutMs / 1000} s`, { hint })
  })
  options.signal?.addEventListener("abort", cancel, { once: true })
  if (options.signal?.aborted) cancel()
  try {
    return await work({ signal: controller.signal, end: (reason) => controller.abort(reason), extend })
  } catch (error) {
    // A request that was ended by the deadline reports a cancellation; the reason is the deadline.
    throw controller.signal.aborted ? controller.signal.reason : error
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener("abort", cancel)
  }
}

/** The promise's own outcome, or the signal's reason as soon as the signal ends. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener("abort", onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort))
  })
}
