/**
 * The sandbox's OpenID provider: oidc-provider with one public client and pages that believe any e-mail address.
 *
 * OpenID Connect Core 1.0 (authorization code flow, refresh tokens for `offline_access`), PKCE (RFC 7636), loopback redirects on any
 * port (RFC 8252 §7.3), logins on another device (RFC 8628), revocation (RFC 7009).
 *
 * @module
 */

import type { KeyObject } from "node:crypto"
import type { EventEmitter } from "node:events"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Configuration, interactionPolicy } from "oidc-provider"
import { messageOf } from "../errors.ts"
import { answerDeviceLogin, DEVICE_PATH, SCOPES } from "./device-login.ts"
import { DEFAULT_EMAIL, isEmail, NOT_AN_EMAIL, readForm, sendPage } from "./login-form.ts"
import { codePage, errorPage, loginPage } from "./login-page.ts"
import { createStorage } from "./openid-storage.ts"
import { AUDIENCE, emailOf, privateJwk, subjectOf } from "./token.ts"

/** What a program that cannot listen gives as its redirect URI: the code is shown to the person instead. */
const OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"

const LOGIN_PATH = "/login/"

/** How often a program may ask whether somebody has logged in on another device, in seconds. */
const DEVICE_INTERVAL_S = 1

/** How long a refresh token, and the grant behind it, lasts, in seconds: a week. */
const REFRESH_LIFE_S = 7 * 24 * 3600

export interface OpenIdProviderOptions {
  /** The provider's address without a path. */
  readonly issuer: string
  readonly key: KeyObject
  /** Signs the cookies. */
  readonly cookieSecret: string
  readonly log: (line: string) => void
}

/** Answers requests to the provider: discovery, authorization, token, keys, and the login page. */
export type OpenIdHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

export interface OpenIdProvider {
  readonly handle: OpenIdHandler
  /** Loads the library behind it (0.2 s), which the first request does otherwise. */
  readonly preload: () => Promise<void>
}

/** Prepares the provider. */
export function openIdProvider(options: OpenIdProviderOptions): OpenIdProvider {
  let loading: Promise<OpenIdHandler> | undefined
  const loaded = (): Promise<OpenIdHandler> => {
    loading ??= load(options)
    return loading
  }
  return {
    handle: async (request, response) => (await loaded())(request, response),
    preload: async () => {
      await loaded()
    },
  }
}

async function load(options: OpenIdProviderOptions): Promise<OpenIdHandler> {
  // Not the package's main module: that one warns on the console about every runtime but the newest Node.
  const [{ Provider }, { base }] = await Promise.all([
    import("oidc-provider/lib/provider.js"),
    import("oidc-provider/lib/helpers/interaction_policy/index.js"),
  ])
  const provider = new Provider(options.issuer, configuration(options, base()))
  const application: EventEmitter = provider
  application.on("error", (error: unknown) => options.log(`openid: ${messageOf(error)}`))
  provider.on("server_error", (_context, error) => options.log(`openid: ${error.message}`))
  provider.on("authorization.error", (_context, error) =>
    options.log(`openid: authorization: ${error.error_description ?? error.message}`),
  )
  provider.on("grant.error", (_context, error) =>
    options.log(`openid: token: ${error.error_description ?? error.message}`),
  )
  provider.on("device_authorization.success", (_context, answer) => {
    answer.interval = DEVICE_INTERVAL_S
  })
  provider.use(async (context, next) => {
    await next()
    const location = context.res.getHeader("location")
    if (typeof location !== "string" || !location.startsWith(OUT_OF_BAND)) return
    const result = new URL(location).searchParams
    const code = result.get("code")
    const { html, headers } = code
      ? codePage(code)
      : errorPage(result.get("error_description") ?? "the login was refused")
    context.remove("location")
    context.status = 200
    context.set(headers)
    context.body = html
  })
  const handle = provider.callback()

  const login = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const details = await provider.interactionDetails(request, response).catch(() => undefined)
    if (details === undefined)
      return sendPage(response, 400, errorPage("This login has expired or was finished already."))
    const action = `${LOGIN_PATH}${details.uid}`
    if (request.method !== "POST") {
      const hint = details.params.login_hint
      const email = typeof hint === "string" ? hint : DEFAULT_EMAIL
      return sendPage(response, 200, loginPage({ action, email }))
    }
    const form = await readForm(request)
    const email = form.get("email")?.trim() ?? ""
    if (form.get("answer") === "deny") {
      const refusal = { error: "access_denied", error_description: "the person cancelled the login" }
      return provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false })
    }
    if (!isEmail(email)) return sendPage(response, 422, loginPage({ action, email, error: NOT_AN_EMAIL }))
    // The login page says what is asked for; a second page for consent would say the same.
    const result = { login: { accountId: subjectOf(email), remember: false }, consent: {} }
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
  }

  return async (request, response) => {
    // Every address the provider writes then begins with the issuer, whatever name the client used for this host.
    request.headers.host = new URL(options.issuer).host
    // A sandbox is for trying identities: every login asks for one, whatever the browser remembers of the last.
    request.headers.cookie = withoutSession(request.headers.cookie ?? "")
    if (request.url?.startsWith(LOGIN_PATH)) return login(request, response)
    const path = request.url?.split("?")[0] ?? ""
    if (path === DEVICE_PATH) return answerDeviceLogin(provider, request, response)
    // oidc-provider's own way on from its own page, which warns on the console.
    if (path.startsWith(`${DEVICE_PATH}/`) && path !== `${DEVICE_PATH}/auth`) {
      return sendPage(response, 404, errorPage("There is no such page."))
    }
    return handle(request, response)
  }
}

function configuration(options: OpenIdProviderOptions, policy: interactionPolicy.DefaultPolicy): Configuration {
  const redirectPaths = ["/auth/callback", "/callback", "/"]
  const loopback = ["http://localhost", "http://127.0.0.1", "http://[::1]"]
  return {
    adapter: createStorage(),
    clients: [
      {
        client_id: AUDIENCE,
        token_endpoint_auth_method: "none",
        application_type: "native",
        grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
        response_types: ["code"],
        redirect_uris: [...loopback.flatMap((host) => redirectPaths.map((path) => host + path)), OUT_OF_BAND],
        id_token_signed_response_alg: "ES256",
      },
    ],
    jwks: { keys: [privateJwk(options.key)] },
    cookies: { keys: [options.cookieSecret] },
    responseTypes: ["code"],
    clientAuthMethods: ["none"],
    scopes: [...SCOPES],
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    // The e-mail address belongs into the ID token: Fulcio sees nothing else.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      // Said here although it is the default, which warns on the console.
      revocation: { enabled: true, allowedPolicy: (_context, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      resourceIndicators: { enabled: false },
    },
    interactions: {
      policy,
      url: (_context, interaction) => `${LOGIN_PATH}${interaction.uid}`,
    },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: emailOf(id), email_verified: true }),
    }),
    loadExistingGrant: async (context) => {
      const { client, session, provider } = context.oidc
      if (client === undefined || session?.accountId === undefined) return undefined
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
      grant.addOIDCScope([...context.oidc.requestParamOIDCScopes].join(" "))
      await grant.save()
      return grant
    },
    clientBasedCORS: () => false,
    renderError: (context, out) => {
      const { html, headers } = errorPage(out.error_description ?? out.error)
      context.set(headers)
      context.body = html
    },
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      DeviceCode: 600,
      IdToken: 600,
      Interaction: 3600,
      RefreshToken: REFRESH_LIFE_S,
      Session: 3600,
      Grant: REFRESH_LIFE_S,
    },
  }
}

const withoutSession = (cookies: string): string =>
  cookies
    .split(/;\s*/)
    .filter((cookie) => !cookie.startsWith("_session"))
    .join("; ")
