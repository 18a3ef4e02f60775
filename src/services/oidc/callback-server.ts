/**
 * The web server on this machine to which the issuer sends the browser back (RFC 8252 §7.3, loopback redirect).
 *
 * @module
 */

import { randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { GitsignError, messageOf } from "../../errors.ts"
import { isLoopbackHost } from "../proxy.ts"
import { loginPage } from "./login-page.ts"

/** The browser's return from the issuer. */
export interface Callback {
  /** The address it came to, with all parameters. */
  readonly url: URL
  /** Shows the outcome in the browser and resolves when it has been sent, or after a second. */
  readonly answer: (status: number, text: string) => Promise<void>
}

export interface CallbackServer {
  readonly redirectUrl: URL
  /** Resolves with the first request that carries the expected state; others are told off and change nothing. */
  readonly callback: Promise<Callback>
  /** Stops listening and closes every connection. */
  readonly close: () => void
}

export interface CallbackServerOptions {
  /** An http address of this machine; any free port and /auth/callback when undefined. */
  readonly redirectURL: string | undefined
  readonly state: string
  readonly autocloseSeconds: number | undefined
}

/**
 * Starts listening on the loopback interface only.
 *
 * @throws ERR_CONFIG when the redirect address is not of this machine or its port cannot be used; ERR_OIDC when no port can
 */
export async function startCallbackServer(options: CallbackServerOptions): Promise<CallbackServer> {
  const configured = options.redirectURL === undefined ? undefined : parseRedirectUrl(options.redirectURL)
  const host =
    configured?.hostname === "[::1]" ? "::1" : (configured?.hostname ?? "localhost").replace("localhost", "127.0.0.1")
  const port = configured === undefined ? 0 : Number(configured.port || 80)

  let resolveCallback: (callback: Callback) => void = () => undefined
  const callback = new Promise<Callback>((resolve) => {
    resolveCallback = resolve
  })
  let used = false
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    const url = requestUrl(request, redirectUrl)
    if (url?.pathname !== redirectUrl.pathname) return void send(response, 404, "There is nothing here.")
    if (request.method !== "GET") return void send(response, 405, "This address is for the login only.")
    // Any web page can send the browser here; only the issuer's answer to this login knows the state.
    if (url.searchParams.get("state") !== options.state) {
      return void send(response, 400, "This is not the login that gitsign waits for. Go back to the terminal.")
    }
    if (used) return void send(response, 400, "This login has been used already. Go back to the terminal.")
    used = true
    resolveCallback({ url, answer: (status, text) => send(response, status, text, options.autocloseSeconds) })
  })
  await listen(server, host, port, configured !== undefined)
  const redirectUrl = configured ?? new URL(`http://localhost:${(server.address() as AddressInfo).port}/auth/callback`)
  return {
    redirectUrl,
    callback,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

function parseRedirectUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== "http:" || !isLoopbackHost(url.hostname) || url.search !== "" || url.hash !== "") {
    throw new GitsignError("ERR_CONFIG", "gitsign.redirectURL is not an http address of this machine", {
      hint: "use one like http://localhost:8765/auth/callback, or leave gitsign.redirectURL unset",
    })
  }
  return url
}

function requestUrl(request: IncomingMessage, base: URL): URL | undefined {
  const target = request.url ?? ""
  return target.startsWith("/") && URL.canParse(base.origin + target) ? new URL(base.origin + target) : undefined
}

function listen(server: ReturnType<typeof createServer>, host: string, port: number, fixed: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const [code, what] = fixed
        ? (["ERR_CONFIG", `port ${port} of gitsign.redirectURL`] as const)
        : (["ERR_OIDC", "a port"] as const)
      reject(new GitsignError(code, `${what} cannot be listened on for the login: ${messageOf(cause)}`, { cause }))
    })
    server.listen(port, host, () => resolve())
  })
}

function send(response: ServerResponse, status: number, text: string, autocloseSeconds?: number): Promise<void> {
  const page = loginPage(status, text, randomBytes(16).toString("hex"), status === 200 ? autocloseSeconds : undefined)
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 1000)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    response.once("close", done)
    response.once("error", done)
    response.writeHead(page.status, page.headers)
    response.end(page.html)
  })
}
