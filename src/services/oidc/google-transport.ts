/**
 * Lets google-auth-library talk through gitsign's own HTTP client: bounded, through the proxy, with the private authorities, and with
 * refusals put into words.
 *
 * @module
 */

import { GitsignError, isGitsignError, messageOf } from "../../errors.ts"
import { printable, refusal } from "../answer.ts"
import type { HttpClient, HttpResponse } from "../http.ts"
import { askPlainly } from "./google-metadata.ts"

/** For everything together: the credential's own token, the exchange of it, the identity token, and the library's tries. */
const DEADLINE_MS = 20_000
const MAX_BYTES = 256 * 1024

/** The library; bundled, a CommonJS package is only its default export. */
export async function loadGoogleAuth() {
  const library = await import("google-auth-library")
  return library.default ?? library
}

type GoogleAuthLibrary = Awaited<ReturnType<typeof loadGoogleAuth>>

/** What each of the library's clients is made with. */
export interface Transport {
  readonly clientOptions: {
    readonly transporter: InstanceType<GoogleAuthLibrary["gaxios"]["Gaxios"]>
    readonly useAuthRequestParameters: false
  }
}

/** What talking to Google takes. */
export interface TransportOptions {
  readonly http: HttpClient
  readonly signal?: AbortSignal | undefined
}

/** What the library saw last; its own errors hold whole requests, with the tokens in them, and are never passed on. */
interface Seen {
  response?: HttpResponse
  failure?: unknown
}

/**
 * Runs `work` with a transport for the library's clients, for at most 20 seconds.
 *
 * @param hints what to do, by the status that Google refused with
 * @throws ERR_OIDC when Google refuses or answers with no token; ERR_NETWORK, ERR_CANCELLED; whatever GitsignError `work` throws
 */
export async function withGoogle(
  options: TransportOptions,
  hints: Readonly<Record<number, string>>,
  work: (transport: Transport) => Promise<unknown>,
): Promise<string> {
  const seen: Seen = {}
  const controller = new AbortController()
  const ended = new Promise<never>((_, reject) => {
    controller.signal.addEventListener("abort", () => reject(controller.signal.reason), { once: true })
  })
  // Also when it is cancelled before anybody waits for it.
  ended.catch(() => undefined)
  const message = `Google did not answer within ${DEADLINE_MS / 1000} s`
  const timer = setTimeout(() => controller.abort(new GitsignError("ERR_NETWORK", message)), DEADLINE_MS)
  const cancel = (): void => controller.abort(new GitsignError("ERR_CANCELLED", "cancelled while waiting for Google"))
  options.signal?.addEventListener("abort", cancel, { once: true })
  if (options.signal?.aborted) cancel()
  try {
    const { gaxios } = await loadGoogleAuth()
    const transporter = new gaxios.Gaxios({ fetchImplementation: fetchThrough(options.http, controller.signal, seen) })
    // With its request parameters the library also logs requests and answers, tokens included, when GOOGLE_SDK_NODE_LOGGING is set.
    const transport: Transport = { clientOptions: { transporter, useAuthRequestParameters: false } }
    // The library waits between its tries without listening to a signal.
    const token = await Promise.race([work(transport), ended])
    if (typeof token === "string" && token !== "") return token
    throw new GitsignError("ERR_OIDC", "Google answered with something that is not an identity token")
  } catch (error) {
    throw inWords(error, seen, hints)
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener("abort", cancel)
    // Nothing that the library still has under way goes on.
    controller.abort(new GitsignError("ERR_CANCELLED", "no longer needed"))
  }
}

function fetchThrough(http: HttpClient, signal: AbortSignal, seen: Seen): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const method = init?.method ?? "GET"
    const headers = Object.fromEntries(new Headers(init?.headers))
    const body = init?.body == null ? undefined : String(init.body)
    // What an earlier try met is past.
    delete seen.response
    delete seen.failure
    try {
      signal.throwIfAborted()
      if (isLinkLocal(url)) {
        const answer = await askPlainly({ url, method, headers, body, signal })
        return toResponse(answer.status, answer.headers, answer.body)
      }
      if (method !== "GET" && method !== "POST") throw new GitsignError("ERR_OIDC", `no request with ${method} is sent`)
      const request = { url: url.href, method, headers, body, signal, maxBytes: MAX_BYTES } as const
      const response = await http.request(request)
      seen.response = response
      return toResponse(response.status, response.headers, response.body)
    } catch (error) {
      seen.failure = error
      throw error
    }
  }
}

const toResponse = (status: number, headers: Readonly<Record<string, string>>, body: Buffer): Response =>
  new Response(status === 204 || status === 304 ? null : new Uint8Array(body), { status, headers })

/** Where other clouds' metadata servers are, which a federated credential asks; plain http goes nowhere else. */
const isLinkLocal = (url: URL): boolean =>
  url.protocol === "http:" && (url.hostname === "169.254.169.254" || url.hostname === "[fd00:ec2::254]")

function inWords(error: unknown, seen: Seen, hints: Readonly<Record<number, string>>): Error {
  if (isGitsignError(error)) return error
  if (isGitsignError(seen.failure)) return seen.failure
  const { response } = seen
  if (response !== undefined && response.status >= 300) {
    const given = refusal(response, "ERR_OIDC")
    const reason = apiMessage(response)
    const message = reason === "" ? given.message : `${response.peer} answered ${response.status}: ${reason}`
    const hint = hints[response.status] ?? (isStale(response) ? STALE : given.hint)
    return new GitsignError("ERR_OIDC", message, hint === undefined ? {} : { hint })
  }
  return new GitsignError("ERR_OIDC", `the Google credentials cannot be used: ${printable(messageOf(error))}`, {
    hint: "check the file in GOOGLE_APPLICATION_CREDENTIALS, or make it again",
  })
}

const STALE =
  "log in again with: gcloud auth application-default login; or check that the key of the service account is still valid"

/** A refresh token that was revoked, or a key that was deleted (RFC 6749 §5.2). */
const isStale = (response: HttpResponse): boolean => response.body.includes('"invalid_grant"')

/** Google's APIs put the message into an object (AIP-193). */
function apiMessage(response: HttpResponse): string {
  try {
    const { error } = JSON.parse(response.body.toString("utf8"))
    return typeof error?.message === "string" ? printable(error.message) : ""
  } catch {
    return ""
  }
}
