/**
 * Login without anybody: an identity token for a refresh token (RFC 6749 §6, OpenID Connect Core 1.0 §12), and its end (RFC 7009).
 *
 * @module
 */

import { GitsignError, messageOf } from "../../errors.ts"
import { discover, guard, orAborted, withDeadline } from "./openid.ts"
import type { OpenidOptions } from "./provider.ts"

/** What a conversation about a refresh token needs; nobody is waited for, so `loginTimeoutMs` means nothing. */
export interface RefreshOptions extends OpenidOptions {
  /** A secret that is as good as a login; no message shows it. */
  readonly refreshToken: string
}

/** What a refresh token was good for. */
export interface Refreshed {
  /** Its issuer, audience and times have been checked; the caller MUST check that it names the person it was kept for. */
  readonly token: string
  /** The refresh token that replaces the one that was used; the caller MUST keep it, for the old one may be worth nothing now. */
  readonly refreshToken?: string
}

/** The longest for everything together, in milliseconds. */
const TIMEOUT_MS = 20_000

/**
 * What an issuer answers when the token is used up, revoked or expired: RFC 6749 §5.2 says the first, Dex the second.
 */
const NOT_VALID: ReadonlySet<string> = new Set(["invalid_grant", "invalid_request"])

/**
 * Gets an identity token for a refresh token.
 *
 * @returns undefined when the refresh token is not valid any more, or gives no identity token: the caller MUST forget it
 * @throws ERR_OIDC when the issuer refuses for another reason or answers something wrong; ERR_NETWORK when it does not answer
 * within 20 s; ERR_CANCELLED when the signal says so; ERR_CONFIG for a bad address
 */
export const refreshedToken = (options: RefreshOptions): Promise<Refreshed | undefined> =>
  briefly(options, async (signal) => {
    const { openid, config, issuer } = await discover(options, signal)
    try {
      const { id_token: token, refresh_token: next } = await guard(issuer, () =>
        orAborted(openid.refreshTokenGrant(config, options.refreshToken), signal),
      )
      if (token === undefined) return undefined
      return { token, ...(next === undefined ? {} : { refreshToken: next }) }
    } catch (error) {
      const cause = error instanceof GitsignError ? error.cause : undefined
      if (cause instanceof openid.ResponseBodyError && NOT_VALID.has(cause.error)) return undefined
      throw error
    }
  })

/**
 * Tells the issuer that a refresh token is not to be used any more; resolves without asking when the issuer has no way to be told.
 *
 * @throws ERR_OIDC when the issuer refuses; ERR_NETWORK when it does not answer within 20 s; ERR_CANCELLED when the signal says so;
 * ERR_CONFIG for a bad address
 */
export const revokeRefreshToken = (options: RefreshOptions): Promise<void> =>
  briefly(options, async (signal) => {
    const { openid, config, issuer } = await discover(options, signal)
    if (config.serverMetadata().revocation_endpoint === undefined) return
    const hint = { token_type_hint: "refresh_token" }
    try {
      await guard(issuer, () => orAborted(openid.tokenRevocation(config, options.refreshToken, hint), signal))
    } catch (error) {
      if (!(error instanceof GitsignError) || error.code !== "ERR_OIDC") throw error
      throw new GitsignError("ERR_OIDC", `${issuer.host} did not revoke the refresh token (${messageOf(error)})`, {
        cause: error,
        hint: "it is not kept here any more; it can also be revoked at the issuer, in the settings of the account",
      })
    }
  })

/** The bound of it all, in words for something that waits for a machine only. */
const briefly = <T>(options: RefreshOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
  withDeadline(options, ({ signal, extend }) => {
    extend(TIMEOUT_MS, () => {
      const message = `${new URL(options.issuer).host} did not answer within ${TIMEOUT_MS / 1000} s`
      return new GitsignError("ERR_NETWORK", message)
    })
    return work(signal)
  })
