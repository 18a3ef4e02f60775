/**
 * The page on which a person enters the code that another device shows, and says who they are (RFC 8628 §3.3).
 *
 * It takes the place of oidc-provider's own, which needs a session and a script.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http"
import type { Provider } from "oidc-provider"
import { DEFAULT_EMAIL, isEmail, NOT_AN_EMAIL, readForm, sendPage } from "./login-form.ts"
import { devicePage, deviceRefusedPage, deviceSignedInPage } from "./login-page.ts"
import { subjectOf } from "./token.ts"

/** Where oidc-provider says that the code is to be entered. */
export const DEVICE_PATH = "/device"

/** Every scope that a login may have. */
export const SCOPES: readonly string[] = ["openid", "email", "offline_access"]

type DeviceCode = NonNullable<Awaited<ReturnType<Provider["DeviceCode"]["findByUserCode"]>>>

/** Shows the page, or takes the answer to it. */
export async function answerDeviceLogin(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== "POST") {
    const code = new URL(request.url ?? "/", "http://sandbox.invalid").searchParams.get("user_code") ?? ""
    return sendPage(response, 200, devicePage({ action: DEVICE_PATH, email: DEFAULT_EMAIL, code }))
  }
  const form = await readForm(request)
  const [code, email] = [form.get("user_code")?.trim() ?? "", form.get("email")?.trim() ?? ""]
  const again = (error: string): void =>
    sendPage(response, 422, devicePage({ action: DEVICE_PATH, email, code, error }))

  const found = await findCode(provider, code)
  if (typeof found === "string") return again(found)
  if (form.get("answer") === "deny") {
    await refuse(found)
    return sendPage(response, 200, deviceRefusedPage())
  }
  if (!isEmail(email)) return again(NOT_AN_EMAIL)
  await approve(provider, found, email)
  sendPage(response, 200, deviceSignedInPage(email))
}

/** The login that waits for this code, or what is wrong with the code. */
async function findCode(provider: Provider, typed: string): Promise<DeviceCode | string> {
  // People leave the hyphen out and write small letters; oidc-provider stores neither.
  const userCode = typed.toUpperCase().replace(/[^A-Z0-9]/g, "")
  const code = userCode === "" ? undefined : await provider.DeviceCode.findByUserCode(userCode)
  if (code === undefined || code.isExpired)
    return "No login waits for this code. Compare it with the one you were shown."
  return code.accountId !== undefined || code.error !== undefined ? "This code was used already." : code
}

async function refuse(code: DeviceCode): Promise<void> {
  code.error = "access_denied"
  code.errorDescription = "the person cancelled the login"
  await code.save()
}

async function approve(provider: Provider, code: DeviceCode, email: string): Promise<void> {
  const asked = String(code.params?.scope ?? "").split(" ")
  const accountId = subjectOf(email)
  const scope = SCOPES.filter((name) => asked.includes(name)).join(" ")
  const grant = new provider.Grant({ clientId: code.clientId, accountId })
  grant.addOIDCScope(scope)
  Object.assign(code, { accountId, scope, grantId: await grant.save(), authTime: Math.floor(Date.now() / 1000) })
  await code.save()
}
