/**
 * Refresh tokens (RFC 6749 section 1.5) in the keyring, and nowhere else.
 *
 * @module
 */

import type { Keyring } from "./keyring.ts"

/** A refresh token, and what it takes to use it or to revoke it. */
export interface StoredRefreshToken {
  readonly refreshToken: string
  /** The issuer's URL. */
  readonly issuer: string
  /** The client that it was given to. */
  readonly clientID: string
}

/** Accounts of refresh tokens are `refresh:` and the digest that the caller makes of what the login depends on. */
const PREFIX = "refresh:"
const VERSION = 1

/**
 * The refresh token of an account. One that cannot be read is removed.
 *
 * The caller MUST send it to its issuer only, and save what it gets instead.
 *
 * @throws KeyringUnavailable
 */
export async function loadRefreshToken(keyring: Keyring, account: string): Promise<StoredRefreshToken | undefined> {
  const text = await keyring.get(account)
  if (text === undefined) return undefined
  const stored = decode(text)
  if (stored === undefined) await keyring.delete(account)
  return stored
}

/**
 * Stores a refresh token, in place of the one that is there.
 *
 * @throws KeyringUnavailable
 */
export async function saveRefreshToken(keyring: Keyring, account: string, stored: StoredRefreshToken): Promise<void> {
  const { refreshToken, issuer, clientID } = stored
  await keyring.set(account, JSON.stringify({ version: VERSION, refreshToken, issuer, clientID }))
}

/**
 * Removes all refresh tokens and returns those that were there, for the caller to revoke.
 *
 * @throws KeyringUnavailable
 */
export async function forgetRefreshTokens(keyring: Keyring): Promise<readonly StoredRefreshToken[]> {
  const forgotten: StoredRefreshToken[] = []
  for (const { account, secret } of await keyring.accounts()) {
    if (!account.startsWith(PREFIX)) continue
    await keyring.delete(account)
    const stored = decode(secret)
    if (stored !== undefined) forgotten.push(stored)
  }
  return forgotten
}

/** Undefined for anything that {@link saveRefreshToken} would not have written. */
function decode(text: string): StoredRefreshToken | undefined {
  try {
    const { version, refreshToken, issuer, clientID }: Record<string, unknown> = Object(JSON.parse(text))
    if (version !== VERSION || typeof refreshToken !== "string" || refreshToken === "") return undefined
    return typeof issuer === "string" && typeof clientID === "string" ? { refreshToken, issuer, clientID } : undefined
  } catch {
    return undefined
  }
}
