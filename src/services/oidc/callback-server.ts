/**
 * The web server on this machine to which the issuer sends the browser back (RFC 8252 §7.3, loopback redirect), and which asks the
 * person there whether the publication may be made.
 *
 * @module
 */

import { randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { GitsignError, messageOf } from "../../errors.ts"
import { isLoopbackHost } from "../loopback-host.ts"
import { finishedPage, type LoginPage, strayPage } from "./login-page.ts"

/** The browser's return from the issuer. */
export interface Callback {
  /** The address it came to, with all parameters. */
  readonly url: URL
  /** Shows a page with a form for this path, and resolves with whether the answer is yes. Call it once at most. */
  readonly ask: (pageFor: (action: string) => LoginPage) => Promise<boolean>
  /** Shows the outcome in the browser and resolves when it has been sent, or after a second. */
  readonly answer: (page: LoginPage) => Promise<void>
}

export interface CallbackServer {
  readonly redirectUrl: URL
  /** Resolves with the first request that carries the expected state; others are told off and change nothing. */
  readonly callback: Promise<Callback>
  /**
   * Closes every connection and stops listening: at once, or, after an outcome was shown on a port that was free to choose, a second
   * later, so that a reload does not look like a failure. It keeps no process alive meanwhile.
   */
  readonly close: () => void
}

export interface CallbackServerOptions {
  /** An http address of this machine; any free port and /auth/callback when undefined. */
  readonly redirectURL: string | undefined
  readonly state: string
}

const LINGER_MS = 1000
const MAX_FORM_BYTES = 1024
/** A browser may ask several times for one page; more than this is no browser. */
const MAX_WAITING = 8

/**
 * Starts listening on the loopback interface only.
 *
 * @throws ERR_CONFIG when the redirect address is not of this machine or its port cannot be used; ERR_OIDC when no port can
 */
export async function startCallbackServer({ redirectURL, state }: CallbackServerOptions): Promise<CallbackServer> {
  const configured = redirectURL === undefined ? undefined : parseRedirectUrl(redirectURL)
  const host = configured?.hostname === "[::1]" ? "::1" : (configured?.hostname ?? "127.0.0.1")
  const port = configured === undefined ? 0 : Number(configured.port || 80)

  const { promise: callback, resolve: resolveCallback } = deferred<Callback>()
  const { promise: agreement, resolve: resolveAgreement } = deferred<boolean>()
  // Nobody who has not seen the question can send an answer.
  const answerPath = `/answer/${randomBytes(16).toString("hex")}`
  let phase: "waiting" | "working" | "asking" | "finished" = "waiting"
  let question: LoginPage | undefined
  let cameWith: string | undefined
  let waiting: ServerResponse[] = []

  const showAll = async (page: LoginPage): Promise<void> => {
    const responses = waiting
    waiting = []
    await Promise.all(responses.map((response) => send(response, page)))
  }
  /** What a request gets once the login is on its way: the page of the moment, or the next one. */
  const join = (response: ServerResponse): void => {
    if (phase === "asking" && question !== undefined) void send(response, question)
    else if (phase === "finished" || waiting.length >= MAX_WAITING) void send(response, finishedPage())
    else waiting.push(response)
  }
  const come = (url: URL, response: ServerResponse): void => {
    if (phase !== "waiting") {
      // The state is in the address that the opener got, where other users of this machine may read it; the code is the browser's own.
      if (url.search === cameWith) join(response)
      else void send(response, strayPage(400, "This is not the answer that the login came back with."))
      return
    }
    cameWith = url.search
    phase = "working"
    waiting.push(response)
    resolveCallback({
      url,
      ask: async (pageFor) => {
        question = pageFor(answerPath)
        phase = "asking"
        await showAll(question)
        return agreement
      },
      answer: (page) => {
        phase = "finished"
        return showAll(page)
      },
    })
  }
  const decide = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (phase !== "asking") return join(response)
    const answer = new URLSearchParams(await readForm(request)).get("answer")
    // The form is read while others may have answered.
    if (phase !== "asking") return join(response)
    if (answer !== "yes" && answer !== "no") {
      return void send(response, strayPage(400, "This is not an answer to the question. Go back and choose a button."))
    }
    phase = "working"
    waiting.push(response)
    resolveAgreement(answer === "yes")
  }

  const handle: Handler = (request, response) => {
    const own = ownOrigins(redirectUrl)
    const stray = (status: number, text: string): void => void send(response, strayPage(status, text))
    // DNS rebinding: a foreign name that has come to point to this machine.
    if (!own.has(`http://${request.headers.host?.toLowerCase()}`)) return stray(421, "This server has another name.")
    const url = requestUrl(request, redirectUrl)
    if (url?.pathname === answerPath && url.search === "") {
      if (request.method === "GET") return join(response)
      if (request.method !== "POST") return stray(405, "This address is for the login only.")
      const { origin, "sec-fetch-site": site = "same-origin" } = request.headers
      if ((origin !== undefined && !own.has(origin)) || site !== "same-origin") {
        return stray(403, "This answer comes from another site.")
      }
      return void decide(request, response)
    }
    if (url?.pathname !== redirectUrl.pathname) return stray(404, "This server is for one login only.")
    if (request.method !== "GET") return stray(405, "This address is for the login only.")
    // Any web page can send the browser here; only the issuer's answer to this login knows the state.
    if (url.searchParams.get("state") !== state) {
      return stray(400, "This is not the login that gitsign waits for. Go back to the terminal.")
    }
    come(url, response)
  }
  const isNamed = configured === undefined || configured.hostname === "localhost"
  const servers = await listen(handle, isNamed ? ["127.0.0.1", "::1"] : [host], port, configured !== undefined)
  const redirectUrl = configured ?? new URL(`http://localhost:${portOf(servers[0])}/auth/callback`)
  const closeNow = (): void => {
    for (const server of servers) {
      server.close()
      server.closeAllConnections()
    }
  }
  return {
    redirectUrl,
    callback,
    close: () => {
      // A configured port may be wanted by the next login at once.
      if (phase !== "finished" || configured !== undefined) return closeNow()
      for (const server of servers) server.unref()
      setTimeout(closeNow, LINGER_MS).unref()
    },
  }
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
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

/** The names of this server: that of the redirect address, and the addresses that `localhost` stands for. */
const ownOrigins = (redirectUrl: URL): ReadonlySet<string> => {
  const port = redirectUrl.port === "" ? "" : `:${redirectUrl.port}`
  return new Set([redirectUrl.origin, ...["localhost", "127.0.0.1", "[::1]"].map((name) => `http://${name}${port}`)])
}

function requestUrl(request: IncomingMessage, base: URL): URL | undefined {
  const target = request.url ?? ""
  return target.startsWith("/") && URL.canParse(base.origin + target) ? new URL(base.origin + target) : undefined
}

/** The body of a form; empty when it is too large or breaks off. */
async function readForm(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request) {
      size += chunk.length
      if (size > MAX_FORM_BYTES) return ""
      chunks.push(chunk)
    }
  } catch {
    return ""
  }
  return Buffer.concat(chunks).toString("utf8")
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const portOf = (server: Server): number => (server.address() as AddressInfo).port

/** How often another free port is tried when its namesake of the other protocol is taken. */
const PORT_TRIES = 8

/**
 * Listens on one port of all these addresses. Browsers try both that `localhost` stands for, so that another user of this machine who
 * listened on the one that is free would get the code (RFC 8252 §8.3).
 */
async function listen(
  handle: Handler,
  [first, ...others]: readonly [string, ...string[]],
  port: number,
  fixed: boolean,
): Promise<readonly [Server, ...Server[]]> {
  for (let tries = 1; ; tries++) {
    const servers: [Server, ...Server[]] = [newServer(handle)]
    try {
      await listenOn(servers[0], first, port)
      for (const host of others) {
        const server = newServer(handle)
        try {
          await listenOn(server, host, portOf(servers[0]))
          servers.push(server)
        } catch (error) {
          // A machine without IPv6 has nobody there either.
          if (!/\b(EADDRNOTAVAIL|EAFNOSUPPORT)\b/.test(messageOf(error))) throw error
        }
      }
      return servers
    } catch (cause) {
      for (const server of servers) server.close()
      if (!fixed && tries < PORT_TRIES && messageOf(cause).includes("EADDRINUSE")) continue
      const [code, what] = fixed
        ? (["ERR_CONFIG", `port ${port} of gitsign.redirectURL`] as const)
        : (["ERR_OIDC", "a port"] as const)
      throw new GitsignError(code, `${what} cannot be listened on for the login: ${messageOf(cause)}`, { cause })
    }
  }
}

const newServer = (handle: Handler): Server => createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, handle)

const listenOn = (server: Server, host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, resolve)
  })

function send(response: ServerResponse, page: LoginPage): Promise<void> {
  // The window was closed meanwhile, and no event will say so again.
  if (response.destroyed || response.socket?.destroyed === true) return Promise.resolve()
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
