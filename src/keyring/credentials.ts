/**
 * Logins in the keyring: the key and the certificate of the ten minutes after a login, as versioned JSON.
 *
 * @module
 */

import { parseCertificate } from "../formats/x509.ts"
import type { KeptCredential } from "../sign/sign.ts"
import type { Keyring } from "./keyring.ts"

/** A login as it is kept. */
export interface StoredLogin {
  readonly kept: KeptCredential
  readonly identity: string
  readonly issuer: string
  readonly begun: Date
  /** From here on it is removed; never later than the certificate's own end. */
  readonly notAfter: Date
  /** How many signatures it has made. */
  readonly signatures: number
  /** Where the token came from. */
  readonly tokenProvider: string
}

/** Accounts of logins are `login:` and the digest that the caller makes of what the login depends on. */
const PREFIX = "login:"
const VERSION = 1

/**
 * The login of an account, if it is of use at `now`. One that has expired or cannot be read is removed.
 *
 * The caller MUST restore its credential with `restoreCredential`, which checks that the key belongs to the certificate.
 *
 * @throws KeyringUnavailable
 */
export async function loadLogin(keyring: Keyring, account: string, now: Date): Promise<StoredLogin | undefined> {
  const text = await keyring.get(account)
  if (text === undefined) return undefined
  const login = decode(text)
  if (login !== undefined && now < login.notAfter) return login
  // Another process may have put a new one here meanwhile; then that one is lost, and the price is one more login.
  await keyring.delete(account)
  return undefined
}

/**
 * Stores a login, in place of the one that is there.
 *
 * @throws KeyringUnavailable
 */
export async function saveLogin(keyring: Keyring, account: string, login: StoredLogin): Promise<void> {
  const { kept, identity, issuer, begun, notAfter, signatures, tokenProvider } = login
  await keyring.set(
    account,
    JSON.stringify({
      version: VERSION,
      key: Buffer.from(kept.privateKeyPkcs8).toString("base64"),
      certificate: Buffer.from(kept.certificate).toString("base64"),
      identity,
      issuer,
      begun: begun.getTime(),
      notAfter: notAfter.getTime(),
      signatures,
      tokenProvider,
    }),
  )
}

/**
 * All logins that are of use at `now`; the others are removed.
 *
 * @throws KeyringUnavailable
 */
export async function listLogins(
  keyring: Keyring,
  now: Date,
): Promise<readonly { readonly account: string; readonly login: StoredLogin }[]> {
  const found: { account: string; login: StoredLogin }[] = []
  for (const { account, secret } of await keyring.accounts()) {
    if (!account.startsWith(PREFIX)) continue
    const login = decode(secret)
    if (login !== undefined && now < login.notAfter) found.push({ account, login })
    else await keyring.delete(account)
  }
  return found
}

/**
 * Removes all logins, also those that have expired, and says how many there were.
 *
 * @throws KeyringUnavailable
 */
export async function forgetLogins(keyring: Keyring): Promise<number> {
  let count = 0
  for (const { account } of await keyring.accounts()) {
    if (account.startsWith(PREFIX) && (await keyring.delete(account))) count++
  }
  return count
}

/** Undefined for anything that {@link saveLogin} would not have written. */
function decode(text: string): StoredLogin | undefined {
  try {
    const value: Record<string, unknown> = Object(JSON.parse(text))
    const { version, key, certificate, identity, issuer, begun, notAfter, signatures, tokenProvider } = value
    if (version !== VERSION) return undefined
    if (typeof key !== "string" || typeof certificate !== "string") return undefined
    if (typeof identity !== "string" || typeof issuer !== "string" || typeof tokenProvider !== "string")
      return undefined
    if (!isCount(begun) || !isCount(notAfter) || !isCount(signatures)) return undefined
    const der = new Uint8Array(Buffer.from(certificate, "base64"))
    if (notAfter > parseCertificate(der).notAfter.getTime()) return undefined
    const kept = { privateKeyPkcs8: new Uint8Array(Buffer.from(key, "base64")), certificate: der }
    return { kept, identity, issuer, begun: new Date(begun), notAfter: new Date(notAfter), signatures, tokenProvider }
  } catch {
    return undefined
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
