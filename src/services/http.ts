/**
 * The one HTTP client (RFC 9110, RFC 9112): bounded in time and size, through a proxy where one is set.
 *
 * `fetch` is not used because it ignores proxies and private certificate authorities on Node 20.
 *
 * @module
 */

import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http"
import { Agent as HttpsAgent, request as httpsRequest } from "node:https"
import * as tls from "node:tls"
import { GitsignError } from "../errors.ts"
import { isLoopbackHost } from "./loopback-host.ts"
import { describeNetworkError } from "./network-error.ts"
import { type ProxySettings, proxyFor } from "./proxy.ts"

/** How to make a client. The caller reads the environment; this module does not. */
export interface HttpClientOptions {
  readonly proxy?: ProxySettings | undefined
  /**
   * Further certificate authorities in PEM, trusted beside the usual ones. On Node 20 the caller MUST include the file
   * that NODE_EXTRA_CA_CERTS names, which the runtime forgets as soon as any authority is given.
   */
  readonly extraCa?: string | undefined
  /** `gitsign/VERSION`. */
  readonly userAgent: string
  /** The default deadline of a request in milliseconds; 10 000 when not given. */
  readonly timeoutMs?: number | undefined
}

export interface HttpRequest {
  /** An https address, or an http address of this machine. */
  readonly url: string
  readonly method?: "GET" | "POST" | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | string | undefined
  /** The deadline in milliseconds for everything together: every try, every wait, headers and body. */
  readonly timeoutMs?: number | undefined
  /** The size in bytes that the body of the answer may have; 1 MiB when not given. */
  readonly maxBytes?: number | undefined
  /** Whether the request may be sent again after it may have been acted upon. By default only a GET may. */
  readonly repeatable?: boolean | undefined
  /** Ends the wait with ERR_CANCELLED. */
  readonly signal?: AbortSignal | undefined
}

export interface HttpResponse {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The host that answered, and its port when that is not the usual one. */
  readonly peer: string
}

export interface HttpClient {
  /**
   * Sends one request and returns the whole answer, whatever its status; the caller MUST look at the status. No redirect
   * is followed. A repeatable request is sent up to three times when the service is busy (429, 502, 503, 504) or drops
   * the connection; Retry-After is honoured as far as the deadline allows.
   *
   * @throws ERR_NETWORK when there is no complete answer before the deadline
   * @throws ERR_CONFIG when the address or the proxy cannot be used
   * @throws ERR_CANCELLED when the signal says so
   */
  readonly request: (request: HttpRequest) => Promise<HttpResponse>
  /** Loads what a request may need later on, for a process that may outlive the files it was started from. */
  readonly load: () => Promise<void>
  /** Closes idle connections. Not calling it keeps no process alive. */
  readonly close: () => void
}

/** How a request reaches its server. */
interface Connection {
  readonly userAgent: string
  readonly options: RequestOptions
  /** The proxy that has to connect first. */
  readonly pendingProxy?: string
}

const MAX_TRIES = 3
const BUSY: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** Makes a client that keeps connections open between its requests. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const trust: tls.SecureContextOptions = options.extraCa ? { ca: [...defaultAuthorities(), options.extraCa] } : {}
  // Idle connections are dropped before a firewall forgets them: a login can take minutes between two requests.
  const keep = { keepAlive: true, timeout: 15_000 }
  const httpAgent = new HttpAgent(keep)
  const httpsAgent = new HttpsAgent({ ...keep, ...trust })

  async function request(outer: HttpRequest): Promise<HttpResponse> {
    const url = parseServiceUrl(outer.url)
    const timeoutMs = outer.timeoutMs ?? options.timeoutMs ?? 10_000
    const deadline = performance.now() + timeoutMs
    const controller = new AbortController()
    let lastFailure: unknown
    const timer = setTimeout(() => {
      const message = `${url.host} did not answer within ${timeoutMs / 1000} s`
      controller.abort(new GitsignError("ERR_NETWORK", message, { cause: lastFailure }))
    }, timeoutMs)
    const cancel = () => controller.abort(new GitsignError("ERR_CANCELLED", `cancelled while waiting for ${url.host}`))
    outer.signal?.addEventListener("abort", cancel, { once: true })
    if (outer.signal?.aborted) cancel()
    const repeatable = outer.repeatable ?? (outer.method ?? "GET") === "GET"
    try {
      const connection = await connectionFor(url, controller.signal)
      for (let attempt = 1; ; attempt++) {
        const last = attempt === MAX_TRIES
        let wait = 250 * 4 ** (attempt - 1)
        try {
          const response = await exchange(url, outer, connection, controller.signal)
          if (last || !repeatable || !BUSY.has(response.status)) return response
          wait = retryAfter(response.headers["retry-after"]) ?? wait
          if (performance.now() + wait >= deadline) return response
        } catch (error) {
          if (!(error instanceof DroppedConnection)) throw error
          lastFailure = error.failure
          if (last || !(repeatable || error.idle) || performance.now() + wait >= deadline) throw lastFailure
        }
        await sleep(wait, controller.signal)
      }
    } finally {
      clearTimeout(timer)
      outer.signal?.removeEventListener("abort", cancel)
    }
  }

  async function connectionFor(url: URL, signal: AbortSignal): Promise<Connection> {
    const { userAgent } = options
    if (url.protocol === "http:") return { userAgent, options: { agent: httpAgent } }
    const proxy = proxyFor(url, options.proxy ?? {})
    if (proxy === undefined) return { userAgent, options: { agent: httpsAgent } }
    signal.throwIfAborted()
    const { HttpsProxyAgent } = await loadProxyAgent()
    // The signal also ends a CONNECT that the proxy never answers; the request alone could not close that socket.
    const agent = new HttpsProxyAgent(proxy, { ...trust, signal })
    return { userAgent, options: { agent, ...trust }, pendingProxy: proxy.host }
  }

  return {
    request,
    load: async () => {
      if (options.proxy?.httpsProxy) await loadProxyAgent()
    },
    close: () => {
      httpAgent.destroy()
      httpsAgent.destroy()
    },
  }
}

const loadProxyAgent = () => import("https-proxy-agent")

/**
 * Checks that an address is one gitsign may talk to: https, or plain http to this machine, without a password in it.
 *
 * @throws ERR_CONFIG otherwise
 */
export function parseServiceUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw new GitsignError("ERR_CONFIG", `"${text}" is not a web address`)
  if (url.username !== "" || url.password !== "") {
    throw new GitsignError("ERR_CONFIG", `the address of ${url.host} must not hold a name or a password`)
  }
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopbackHost(url.hostname))) return url
  throw new GitsignError("ERR_CONFIG", `${url.protocol}//${url.host} is not an address gitsign talks to`, {
    hint: "use an https address; plain http is for this machine only",
  })
}

/** The peer broke the connection off, which a second try often mends. */
class DroppedConnection extends Error {
  readonly failure: GitsignError
  /** Whether it was an old connection that the peer closed while the request was on its way. */
  readonly idle: boolean

  constructor(failure: GitsignError, idle: boolean) {
    super(failure.message)
    this.failure = failure
    this.idle = idle
  }
}

/** One request and its answer, without any second try. */
function exchange(url: URL, outer: HttpRequest, connection: Connection, signal: AbortSignal): Promise<HttpResponse> {
  const peer = url.host
  const maxBytes = outer.maxBytes ?? 1024 * 1024
  return new Promise((resolve, reject) => {
    const body = typeof outer.body === "string" ? Buffer.from(outer.body, "utf8") : outer.body
    const headers: Record<string, string> = { "user-agent": connection.userAgent, ...outer.headers }
    if (body !== undefined) headers["content-length"] = String(body.length)
    const send = url.protocol === "https:" ? httpsRequest : httpRequest
    const request = send(url, { ...connection.options, method: outer.method ?? "GET", headers })
    let settled = false
    let answered = false
    let { pendingProxy } = connection
    const fail = (error: unknown): void => {
      if (settled) return
      settled = true
      signal.removeEventListener("abort", onAbort)
      reject(error)
      request.destroy()
    }
    const networkError = (message: string): void => fail(new GitsignError("ERR_NETWORK", message))
    const onError = (error: unknown): void => {
      // Until the proxy has connected, it is the proxy that does not answer.
      const subject = pendingProxy === undefined ? peer : `the proxy ${pendingProxy}`
      const { message, dropped } = describeNetworkError(subject, error)
      const failure = new GitsignError("ERR_NETWORK", message, { cause: error })
      fail(dropped ? new DroppedConnection(failure, request.reusedSocket && !answered) : failure)
    }
    const onAbort = (): void => fail(signal.reason)

    request.on("error", onError)
    signal.addEventListener("abort", onAbort, { once: true })
    if (signal.aborted) return onAbort()
    // A connection that ends without an answer and without an error would otherwise be waited for until the deadline.
    request.on("close", () => {
      if (!answered) onError(Object.assign(new Error("connection closed"), { code: "ECONNRESET" }))
    })
    // The agent hands a refusing proxy's own answer on as if the service had sent it, unencrypted and unauthenticated.
    request.on("proxyConnect", (answer: { statusCode: number }) => {
      const proxy = pendingProxy
      pendingProxy = undefined
      if (answer.statusCode === 200) return
      if (Number.isNaN(answer.statusCode)) return networkError(`the proxy ${proxy} does not answer as a proxy`)
      const why = answer.statusCode === 407 ? "it asks for a name and a password" : `status ${answer.statusCode}`
      networkError(`the proxy ${proxy} refused to connect to ${peer}: ${why}`)
    })
    request.on("response", (response: IncomingMessage) => {
      answered = true
      const chunks: Buffer[] = []
      let size = 0
      const tooLarge = (): void => networkError(`${peer} answered with more than ${maxBytes} bytes`)
      response.on("error", onError)
      response.on("data", (chunk: Buffer) => {
        size += chunk.length
        if (size > maxBytes) tooLarge()
        else chunks.push(chunk)
      })
      response.on("end", () => {
        if (!response.complete) return onError(Object.assign(new Error("answer cut short"), { code: "ECONNRESET" }))
        if (settled) return
        settled = true
        signal.removeEventListener("abort", onAbort)
        resolve({
          status: response.statusCode ?? 0,
          headers: joinHeaders(response),
          body: Buffer.concat(chunks),
          peer,
        })
      })
      if (Number(response.headers["content-length"] ?? 0) > maxBytes) tooLarge()
      const coding = response.headers["content-encoding"]
      if (coding !== undefined && coding !== "identity")
        networkError(`${peer} answered in a coding that was not asked for`)
    })
    request.end(body)
  })
}

function joinHeaders(response: IncomingMessage): Record<string, string> {
  const entries = Object.entries(response.headers)
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : (value ?? "")]),
  )
}

/** The wait in milliseconds that a Retry-After header asks for (RFC 9110 §10.2.3): seconds, or a moment. */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const moment = Date.parse(value)
  return Number.isNaN(moment) ? undefined : Math.max(0, moment - Date.now())
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort)
      resolve()
    }, ms)
    signal.addEventListener("abort", onAbort, { once: true })
    if (signal.aborted) onAbort()
  })
}

/** What the runtime trusts by itself; giving `ca` replaces it, so it is given again beside the private authority. */
function defaultAuthorities(): readonly string[] {
  const runtime: typeof tls & { getCACertificates?: (type: "default") => string[] } = tls
  return runtime.getCACertificates?.("default") ?? tls.rootCertificates
}

/** Appends a path to the configured base address of a service, which may have a path of its own. */
export const endpoint = (base: string, path: string): string => `${base.replace(/\/+$/, "")}${path}`
