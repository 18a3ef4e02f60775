/**
 * Refresh tokens in the system's keyring: whoever asks for it logs in once, and the issuer vouches for them again without a person.
 *
 * @module
 */

import { messageOf } from "../errors.ts"
import { isKeyringUnavailable, openKeyring } from "../keyring/keyring.ts"
import { loadRefreshToken, saveRefreshToken } from "../keyring/refresh-tokens.ts"
import type { LoggedIn, OpenidOptions } from "../services/oidc/provider.ts"
import { refreshedToken } from "../services/oidc/refresh.ts"
import type { LoginTools } from "./login.ts"
import { sha256 } from "./sha256.ts"

/** The account that a refresh token is kept under: what it is good for. */
function accountOf({ config }: LoginTools): string {
  const { issuer, clientID, connectorID } = config
  const digest = sha256(Buffer.from(JSON.stringify([issuer, clientID, connectorID ?? ""]), "utf8")).toString("hex")
  return `refresh:${digest}`
}

/**
 * A login with the token that is kept; undefined when there is none, it is not good any more, or the keyring or the issuer fails: then
 * the person logs in.
 */
export async function loginFromRefreshToken(openid: OpenidOptions, tools: LoginTools): Promise<LoggedIn | undefined> {
  try {
    const keyring = await openKeyring()
    const account = accountOf(tools)
    const stored = await loadRefreshToken(keyring, account)
    if (stored === undefined) return undefined
    // An entry that somebody has changed must not decide who gets the token and the client's secret.
    const isOurs = stored.issuer === openid.issuer && stored.clientID === openid.clientID
    const fresh = isOurs ? await refreshedToken({ ...openid, refreshToken: stored.refreshToken }) : undefined
    if (fresh === undefined) {
      await keyring.delete(account)
      return undefined
    }
    // Most issuers take a refresh token once, and give the next one with the answer.
    if (fresh.refreshToken !== undefined) {
      await saveRefreshToken(keyring, account, { ...stored, refreshToken: fresh.refreshToken })
    }
    return { token: fresh.token, provider: "interactive", agreed: false }
  } catch (error) {
    tools.person.tell(`the login cannot be refreshed: ${messageOf(error)}`)
    return undefined
  }
}

/** Keeps a refresh token; where that is not possible, it is told and the next login needs a person. */
export async function keepRefreshToken(refreshToken: string, tools: LoginTools): Promise<void> {
  try {
    const { issuer, clientID } = tools.config
    await saveRefreshToken(await openKeyring(), accountOf(tools), { refreshToken, issuer, clientID })
  } catch (error) {
    if (!isKeyringUnavailable(error)) throw error
    tools.person.tell(`${error.message}; the next login is not kept`)
  }
}
