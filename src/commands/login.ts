/**
 * Gets the identity token for a signature: what the surroundings have, else a login of the person at the terminal.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import { type Config, URL_PLACEHOLDER } from "../config.ts"
import { GitsignError, messageOf, reasonOf } from "../errors.ts"
import { printable } from "../formats/printable.ts"
import { getIdentityToken, type IdentityToken, type LoggedIn, type OpenidOptions } from "../services/oidc/provider.ts"
import { describeIdentity, type IdentityTokenClaims, parseIdentityToken } from "../services/oidc/token.ts"
import type { CommandIo } from "./io.ts"
import { loginWay } from "./login-choice.ts"
import { httpClientOf } from "./network.ts"
import type { Person } from "./person.ts"
import { askToPublish, publicationOf, rememberConsent } from "./publish-consent.ts"

/** What a login works with. */
export interface LoginTools {
  readonly config: Config
  readonly io: CommandIo
  readonly person: Person
}

/**
 * Gets an identity token, well-formed and valid now by this machine's clock, that its person has agreed to publish, and tells who
 * will become public.
 *
 * @throws whatever {@link obtainToken} throws; ERR_COMMITTER when gitsign.matchCommitter asks for somebody else; ERR_CONSENT
 */
export async function logIn(tools: LoginTools): Promise<string> {
  const { token, claims } = await agreedToken(tools)
  const { host } = new URL(tools.config.rekor)
  // Said before anything is sent: a transparency log forgets nothing.
  tools.person.tell(`signing as ${describeIdentity(claims)}; this identity becomes public in ${host}`)
  return token
}

/**
 * Gets an identity token whose person has agreed to what a signature publishes.
 *
 * @throws as {@link logIn}
 */
export async function agreedToken(tools: LoginTools): Promise<IdentityToken> {
  const { config, io, person } = tools
  const identityToken = await obtainToken(tools)
  const { claims, provider, agreed } = identityToken
  checkMatch(claims, config)
  const publication = publicationOf(claims, config, io)
  // A token that was put here was put here to be used; a person who logs in may not know what comes of it.
  const isPerson = provider === "interactive" || provider === "device"
  if (isPerson && publication.needsConsent) {
    if (!agreed) await askToPublish(publication, person)
    rememberConsent(claims, config, io, person)
  } else for (const remark of publication.remarks) person.tell(`note: ${remark}`)
  // Not before: a login that was refused, or that was only looked at, must not come back by itself.
  if (identityToken.refreshToken !== undefined) {
    const { keepRefreshToken } = await import("./kept-refresh-token.ts")
    await keepRefreshToken(identityToken.refreshToken, tools)
  }
  return identityToken
}

/** gitsign.matchCommitter, as far as a token can say. @throws ERR_COMMITTER */
function checkMatch({ email, emailVerified }: IdentityTokenClaims, { matchCommitter, committer }: Config): void {
  if (!matchCommitter || email === undefined || !emailVerified || email === committer.email) return
  const expected = committer.email ?? "somebody with user.email set"
  const message = `gitsign.matchCommitter asks for ${expected}, and the login is that of ${email}`
  throw new GitsignError("ERR_COMMITTER", message)
}

/**
 * Gets an identity token without doing anything with it.
 *
 * @param how.unchecked gives also one that could not be used, with what is wrong with it as its `problem`
 * @throws whatever `getIdentityToken` throws; ERR_NO_TOKEN when nobody can be asked; ERR_CONFIG when gitsign.clientSecretFile cannot
 * be read
 */
export function obtainToken(tools: LoginTools, how: { unchecked?: boolean } = {}): Promise<IdentityToken> {
  const { config, io } = tools
  return getIdentityToken({
    env: io.env,
    http: httpClientOf(io.env),
    now: () => new Date(),
    tokenProvider: config.tokenProvider,
    tokenFile: config.tokenFile,
    tokenCommand: config.tokenCommand,
    cwd: io.cwd,
    clientID: config.clientID,
    unchecked: how.unchecked,
    logIn: (kind) => personLogin(kind, tools),
  })
}

/** Has the person log in, in whatever way there is. */
async function personLogin(wanted: "auto" | "interactive" | "device", tools: LoginTools): Promise<LoggedIn> {
  const { config, io, person } = tools
  const { env } = io
  const { urlOpener, clientSecretFile } = config
  const hasTerminal = person.isThere
  const hasOpener = urlOpener !== undefined
  const way = loginWay({ env, platform: process.platform, wanted, hasTerminal, hasOpener })
  const openid: OpenidOptions = {
    http: httpClientOf(env),
    issuer: config.issuer,
    clientID: config.clientID,
    clientSecret: clientSecretFile === undefined ? undefined : readSecret(clientSecretFile),
    connectorID: config.connectorID,
    wantsRefresh: keepsRefreshTokens(config),
  }
  const known = keepsRefreshTokens(config) ? await refreshed(openid, tools) : undefined
  if (known !== undefined) return known
  if (way === "nobody") throw nobody(wanted)
  return (
    (way === "device" ? await withDevice(openid, tools, wanted) : undefined) ?? (await withBrowser(openid, tools, way))
  )
}

/** The person logs in with a code, in a browser anywhere; undefined where the issuer has no such login and none was asked for. */
async function withDevice(
  openid: OpenidOptions,
  { person, io }: LoginTools,
  wanted: string,
): Promise<LoggedIn | undefined> {
  const { deviceLogin } = await import("./device-login.ts")
  const done = await deviceLogin(openid, person, io.env)
  if (done !== undefined || wanted !== "device") return done
  throw new GitsignError("ERR_OIDC", `${new URL(openid.issuer).host} has no login for devices (RFC 8628)`, {
    hint: "unset gitsign.tokenProvider, and log in with a browser",
  })
}

/** The person logs in with a browser: one that is opened here, or one wherever they are. */
async function withBrowser(openid: OpenidOptions, tools: LoginTools, way: string): Promise<LoggedIn> {
  const { config, io, person } = tools
  const { urlOpener } = config
  const { browserToken } = await import("../services/oidc/browser.ts")
  const { openDefaultBrowser, openWithCommand, wasStarted } = await import("../services/oidc/opener.ts")
  const { openTerminalInput } = await import("./ask-terminal.ts")
  const input = person.isThere ? openTerminalInput() : undefined
  const opener =
    urlOpener === undefined ? openDefaultBrowser : (address: string) => openWithCommand(commandFor(urlOpener, address))
  try {
    return await browserToken({
      ...openid,
      redirectURL: config.redirectURL,
      // As in the Go program: a login page where one still has to choose must not close itself.
      autocloseSeconds: config.autoclose && config.connectorID !== undefined ? config.autocloseTimeout : undefined,
      openBrowser: way === "browser" ? opener : undefined,
      notify: (address, opening) => {
        const what = opening ? "log in at this address, if no browser opens" : "log in at this address"
        person.show(`gitsign: ${what}:\n  ${address}\n`)
      },
      openFailed: (cause) => {
        // A command of one's own may end with anything; the system's means it.
        const mayHaveWorked = urlOpener !== undefined && wasStarted(cause)
        if (!person.isThere && !mayHaveWorked) throw noBrowser(cause, urlOpener !== undefined)
        person.show(
          `gitsign: no browser could be opened (${printable(messageOf(cause))}); log in at the address above\n`,
        )
      },
      readPaste:
        input &&
        ((prompt, signal) => {
          input.forget()
          person.show(prompt)
          return input.line(PASTE_MS, signal)
        }),
      // Whoever is refused is not asked first.
      publication: (claims: IdentityTokenClaims) => {
        checkMatch(claims, config)
        return publicationOf(claims, config, io)
      },
    })
  } finally {
    input?.close()
  }
}

/** Longer than any login may take: that ends the wait. In milliseconds. */
const PASTE_MS = 600_000

const keepsRefreshTokens = ({ refreshLogin, credentialCacheMode }: Config): boolean =>
  refreshLogin && credentialCacheMode === "system"

/** A login that needs nobody, with what the last one left in the keyring. */
async function refreshed(openid: OpenidOptions, tools: LoginTools): Promise<LoggedIn | undefined> {
  const { loginFromRefreshToken } = await import("./kept-refresh-token.ts")
  const known = await loginFromRefreshToken(openid, tools)
  if (known === undefined) return undefined
  try {
    checkMatch(parseIdentityToken(known.token), tools.config)
    return known
  } catch (error) {
    // Whoever is asked can log in as the right person; the one that is kept never becomes it.
    tools.person.tell(`the kept login does not serve: ${messageOf(error)}`)
    return undefined
  }
}

function nobody(wanted: "auto" | "interactive" | "device"): GitsignError {
  const hint =
    wanted === "device"
      ? "a login with a code needs a terminal to show it; run it in one, or set SIGSTORE_ID_TOKEN"
      : "run it in a terminal, or set SIGSTORE_ID_TOKEN; what else there is: gitsign whoami --verbose"
  return new GitsignError("ERR_NO_TOKEN", "there is no identity token, and no terminal to ask for a login", { hint })
}

/** The error where nobody sees the address that no program opens: waiting for a login would be waiting for nobody. */
function noBrowser(cause: unknown, hasOpener: boolean): GitsignError {
  const mend = hasOpener ? "check gitsign.urlOpener" : "name a program that opens a browser in gitsign.urlOpener"
  const message = `no browser could be opened for the login, and there is no terminal: ${messageOf(cause)}`
  const hint = `${mend}, run it in a terminal, or set SIGSTORE_ID_TOKEN`
  return new GitsignError("ERR_NO_TOKEN", message, { cause, hint })
}

function readSecret(file: string): string {
  try {
    return readFileSync(file, "utf8").trim()
  } catch (cause) {
    throw new GitsignError("ERR_CONFIG", `gitsign.clientSecretFile ${file} cannot be read: ${reasonOf(cause)}`, {
      cause,
    })
  }
}

/** The configured command with the address in its place. */
const commandFor = (opener: readonly string[], loginUrl: string): readonly string[] =>
  opener.map((word) => word.replaceAll(URL_PLACEHOLDER, () => loginUrl))
