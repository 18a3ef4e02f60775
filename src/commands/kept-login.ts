/**
 * The credential in the system's keyring (gitsign.credentialCacheMode `system`), under the key that the agent would keep it under.
 *
 * @module
 */

import { keyId } from "../../cache-daemon/store.ts"
import type { Config } from "../config.ts"
import { GitsignError, messageOf } from "../errors.ts"
import { forgetLogins, listLogins, loadLogin, saveLogin } from "../keyring/credentials.ts"
import { isKeyringUnavailable, type Keyring, openKeyring } from "../keyring/keyring.ts"
import { forgetRefreshTokens } from "../keyring/refresh-tokens.ts"
import { createFulcioClient } from "../services/fulcio.ts"
import {
  type Credential,
  checkCommitter,
  createKeptCredential,
  type KeptCredential,
  restoreCredential,
} from "../sign/sign.ts"
import { credentialKeyOf } from "./agent-key.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { httpClientOf } from "./network.ts"
import type { Person } from "./person.ts"
import { sha256 } from "./sha256.ts"

/** What is kept with a credential. */
export interface Kept {
  readonly credential: Credential
  readonly kept: KeptCredential
  readonly identity: string
  /** When its login was, in milliseconds since 1970. */
  readonly begun: number
  signatures: number
}

/** The keyring's place for the credential of this run. */
export interface KeptLogin {
  /** The credential that is kept and still good; undefined when there is none. */
  load(): Promise<Kept | undefined>
  /** Keeps one; where that fails it is told, and the next signature needs a login. */
  save(login: Kept): Promise<void>
}

/** The account in the keyring of what a run with these settings signs with. @throws as `credentialKeyOf` */
export async function loginAccountOf(config: Config, io: CommandIo): Promise<string> {
  return `login:${sha256(Buffer.from(keyId(await credentialKeyOf(config, io)), "utf8")).toString("hex")}`
}

/** Opens the keyring; undefined, with one line to the person, where there is none or it is locked: then nothing is kept. */
export async function openKeptLogin(config: Config, io: CommandIo, person: Person): Promise<KeptLogin | undefined> {
  const account = await loginAccountOf(config, io)
  /** One line is enough, whatever else fails. */
  let told = false
  const orNothing = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      if (!isKeyringUnavailable(error)) throw error
      if (!told) person.tell(`${error.message}; this login is not kept`)
      told = true
      return undefined
    }
  }
  const slowly = <T>(work: Promise<T>): Promise<T> => person.tellWhenSlow("waiting for the system's keyring", work)
  const keyring: Keyring | undefined = await orNothing(() => slowly(openKeyring()))
  if (keyring === undefined) return undefined
  return {
    load: () =>
      orNothing(async () => {
        const stored = await slowly(loadLogin(keyring, account, new Date()))
        if (stored === undefined) return undefined
        const { kept, begun, signatures } = stored
        const credential = await restored(kept, config)
        if (credential === undefined) {
          await keyring.delete(account)
          return undefined
        }
        // What a person is told of it is what others will read.
        const { identity } = credential.signer
        return { credential, kept, identity, begun: begun.getTime(), signatures }
      }),
    save: async ({ credential, kept, identity, begun, signatures }) => {
      if (told) return
      const { signer, certificate } = credential
      const { tokenProvider } = await credentialKeyOf(config, io)
      await orNothing(async () => {
        await slowly(
          saveLogin(keyring, account, {
            kept,
            identity,
            issuer: signer.issuer,
            begun: new Date(begun),
            notAfter: certificate.notAfter,
            signatures,
            tokenProvider,
          }),
        )
        // A new one has cost a login; the ones that have ended go with it, whatever they were for.
        if (signatures === 1) await listLogins(keyring, new Date())
      })
    },
  }
}

/** The credential, if its parts belong together and it names whom gitsign.matchCommitter asks for. */
async function restored(kept: KeptCredential, config: Config): Promise<Credential | undefined> {
  try {
    const credential = await restoreCredential(kept)
    if (config.matchCommitter) checkCommitter(credential.signer, config.committer)
    return credential
  } catch {
    return undefined
  }
}

/** Whom the login in the keyring names, and when it ends, in seconds since 1970. */
export interface KeptIdentity {
  readonly identity: string
  readonly issuer: string
  readonly expires: number
}

/**
 * The login that the keyring keeps for this run; undefined when there is none.
 *
 * @throws ERR_KEYRING when the keyring cannot be asked
 */
export async function findInKeyring(config: Config, io: CommandIo): Promise<KeptIdentity | undefined> {
  const account = await loginAccountOf(config, io)
  return inKeyring(async (keyring) => {
    const stored = await loadLogin(keyring, account, new Date())
    return stored && viewOf(stored.identity, stored.issuer, stored.notAfter)
  })
}

/**
 * Has the keyring hold a login for this run: the one that is there, or a new one.
 *
 * @throws ERR_KEYRING when there is no keyring; whatever the login and Fulcio throw; ERR_COMMITTER
 */
export async function warmKeyring(config: Config, io: CommandIo, person: Person): Promise<KeptIdentity> {
  const account = await loginAccountOf(config, io)
  return inKeyring(async (keyring) => {
    const stored = await loadLogin(keyring, account, new Date())
    if (stored !== undefined) return viewOf(stored.identity, stored.issuer, stored.notAfter)
    const { agreedToken } = await import("./login.ts")
    const { token, provider } = await agreedToken({ config, io, person })
    const issue = createFulcioClient({ url: config.fulcio, http: httpClientOf(io.env), now: () => new Date() })
    const { credential, kept } = await createKeptCredential(token, issue)
    const { signer, certificate } = credential
    if (config.matchCommitter) checkCommitter(signer, config.committer)
    const { identity, issuer } = signer
    const { notAfter } = certificate
    await saveLogin(keyring, account, {
      kept,
      identity,
      issuer,
      begun: new Date(),
      notAfter,
      signatures: 0,
      tokenProvider: provider,
    })
    return viewOf(identity, issuer, notAfter)
  })
}

/**
 * Removes every login and refresh token, and has the issuer forget the latter. Returns how many there were.
 *
 * @throws ERR_KEYRING when the keyring cannot be asked
 */
export function forgetKeyring(
  config: Config,
  io: CommandIo,
  messages: Messages,
): Promise<{ logins: number; refreshTokens: number }> {
  return inKeyring(async (keyring) => {
    const logins = await forgetLogins(keyring)
    const tokens = await forgetRefreshTokens(keyring)
    if (tokens.length > 0) {
      const { revokeRefreshToken } = await import("../services/oidc/refresh.ts")
      for (const stored of tokens) {
        // Whoever can write to the keyring does not say who is sent a token.
        if (stored.issuer !== config.issuer || stored.clientID !== config.clientID) continue
        await revokeRefreshToken({ http: httpClientOf(io.env), ...stored }).catch((error: unknown) =>
          messages.say(`${new URL(stored.issuer).host} was not told of the logout: ${messageOf(error)}`),
        )
      }
    }
    return { logins, refreshTokens: tokens.length }
  })
}

const viewOf = (identity: string, issuer: string, notAfter: Date): KeptIdentity => ({
  identity,
  issuer,
  expires: Math.floor(notAfter.getTime() / 1000),
})

async function inKeyring<T>(work: (keyring: Keyring) => Promise<T>): Promise<T> {
  try {
    return await work(await openKeyring())
  } catch (error) {
    if (!isKeyringUnavailable(error)) throw error
    throw new GitsignError("ERR_KEYRING", error.message, { cause: error })
  }
}
