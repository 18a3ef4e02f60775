/**
 * Login on another device: the OAuth 2.0 device authorization grant (RFC 8628), for machines without a browser.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises"
import { GitsignError, isGitsignError } from "../../errors.ts"
import { type HttpClient, parseServiceUrl } from "../http.ts"
import { type Discovered, discover, failAt, guard, orAborted, scopeOf, withDeadline } from "./openid.ts"
import type { LoggedIn, OpenidOptions } from "./provider.ts"

/** What the person needs to log in on any device with a browser. All of it is safe to print. */
export interface DevicePrompt {
  /** Where the code is to be entered. */
  readonly address: string
  /** The same with the code in it, fit for a QR code; not every issuer gives one. */
  readonly addressWithCode?: string
  /** The person MUST see it, also beside {@link addressWithCode}: it is how they know that the page is about this login. */
  readonly userCode: string
  /** When the login is given up. */
  readonly expiresAt: Date
}

/** What a login on another device needs. `loginTimeoutMs` shortens the life of the code; undefined leaves it. */
export interface DeviceOptions extends OpenidOptions {
  /** Shows what to do; called once. */
  readonly show: (prompt: DevicePrompt) => void
}

type Tokens = Awaited<ReturnType<Discovered["openid"]["genericGrantRequest"]>>
type DeviceResponse = Awaited<ReturnType<Discovered["openid"]["initiateDeviceAuthorization"]>>

const GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"

/** The longest that a code is waited for, in milliseconds, whatever the issuer says. */
const MAX_WAIT_MS = 15 * 60_000

/** The waits between two questions, in milliseconds: none shorter, whatever the issuer says, and none longer. */
const [MIN_INTERVAL_MS, MAX_INTERVAL_MS] = [200, 60_000]

/** How often in a row the issuer may give no proper answer; a network that changes or sleeps does not end a login. */
const MAX_FAILURES = 4

/**
 * Has somebody log in on another device and returns the identity token: its issuer, audience and times have been checked.
 * `agreed` is always false: nothing has been said there about what will be published.
 *
 * @returns undefined when the issuer has no such login
 * @throws ERR_OIDC when the issuer or the person refuses, the answer is wrong, or nobody logs in in time
 * @throws ERR_CANCELLED when the signal says so; ERR_NETWORK when the issuer does not answer; ERR_CONFIG for a bad address
 */
export const deviceToken = (options: DeviceOptions): Promise<LoggedIn | undefined> =>
  withDeadline(options, async ({ signal, extend }) => {
    const discovered = await discover({ ...options, http: takingPlainText(options.http) }, signal)
    const { openid, config, issuer } = discovered
    if (config.serverMetadata().device_authorization_endpoint === undefined) return undefined
    // RFC 8628 has no PKCE; Dex, and so Sigstore's issuer, has it, and an issuer that does not know it ignores it.
    const verifier = openid.randomPKCECodeVerifier()
    const parameters = {
      scope: scopeOf(options),
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      ...(options.connectorID ? { connector_id: options.connectorID } : {}),
    }
    const response = await guard(issuer, () =>
      orAborted(openid.initiateDeviceAuthorization(config, parameters), signal),
    )
    const lifeMs = Math.min(response.expires_in * 1000, options.loginTimeoutMs ?? MAX_WAIT_MS, MAX_WAIT_MS)
    extend(lifeMs, () => expired(issuer, lifeMs))
    options.show(promptOf(issuer, response, new Date(Date.now() + lifeMs)))
    const tokens = await poll(discovered, response, verifier, lifeMs, signal)
    return {
      token: tokens.id_token ?? failAt(issuer, "answered without an identity token"),
      provider: "device",
      agreed: false,
      refreshToken: options.wantsRefresh ? tokens.refresh_token : undefined,
    }
  })

/** Asks for the tokens until they are there (RFC 8628 §3.4, §3.5). The library's own loop notices an ended signal late. */
async function poll(
  { openid, config, issuer }: Discovered,
  response: DeviceResponse,
  verifier: string,
  lifeMs: number,
  signal: AbortSignal,
): Promise<Tokens> {
  const bounded = (ms: number): number => Math.min(Math.max(ms, MIN_INTERVAL_MS), MAX_INTERVAL_MS)
  const parameters = { device_code: response.device_code, code_verifier: verifier }
  let interval = bounded((response.interval ?? 5) * 1000)
  for (let failures = 0; ; ) {
    await delay(bounded(interval * 2 ** failures), undefined, { signal })
    try {
      return await guard(issuer, () => orAborted(openid.genericGrantRequest(config, GRANT_TYPE, parameters), signal))
    } catch (error) {
      const cause = error instanceof GitsignError ? error.cause : undefined
      const name = cause instanceof openid.ResponseBodyError ? cause.error : undefined
      if (name === "expired_token") throw expired(issuer, lifeMs, cause)
      if (name === "slow_down") interval = bounded(interval + 5000)
      else if (name !== "authorization_pending" && (!isPassing(error) || ++failures > MAX_FAILURES)) throw error
      if (name !== undefined) failures = 0
    }
  }
}

/** Whether the same question may have an answer later: the network failed, or the service did (RFC 8628 §3.5). */
function isPassing(error: unknown): boolean {
  if (!isGitsignError(error)) return false
  const response = error.cause instanceof Error ? error.cause.cause : undefined
  return error.code === "ERR_NETWORK" || (response instanceof Response && response.status >= 500)
}

const expired = (issuer: URL, lifeMs: number, cause?: unknown): GitsignError =>
  new GitsignError("ERR_OIDC", `the code of ${issuer.host} expired: nobody logged in within ${lifeMs / 1000} s`, {
    cause,
    hint: "run the command again for a new code, and enter it before it expires",
  })

/** What the issuer wants shown is shown only when it cannot forge anything on the terminal. */
function promptOf(issuer: URL, response: DeviceResponse, expiresAt: Date): DevicePrompt {
  const { user_code: userCode, verification_uri: address, verification_uri_complete: complete } = response
  if (!/^[!-~]([ -~]{0,62}[!-~])?$/.test(userCode)) failAt(issuer, "answered with a code that nobody could enter")
  const addressWithCode = addressOf(complete)
  return {
    address: addressOf(address) ?? failAt(issuer, "answered with an address that gitsign does not show"),
    ...(addressWithCode === undefined ? {} : { addressWithCode }),
    userCode,
    expiresAt,
  }
}

function addressOf(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : parseServiceUrl(text).href
  } catch {
    return undefined
  }
}

/** Older versions of Dex answer with JSON and say that it is text. */
const takingPlainText = (http: HttpClient): HttpClient => ({
  ...http,
  request: async (request) => {
    const response = await http.request(request)
    if (!response.headers["content-type"]?.startsWith("text/plain")) return response
    return { ...response, headers: { ...response.headers, "content-type": "application/json" } }
  },
})
