/**
 * The sandbox's HTTP server: a table of routes over node:http (RFC 9110), on the loopback interface only.
 *
 * @module
 */

import { randomInt } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { GitsignError, messageOf } from "../errors.ts"

/** What a handler answers with. */
export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Why a request was refused, for the sandbox's own log. MUST NOT hold a token or a key. */
  readonly reason?: string
}

/** A request as a handler sees it. */
export interface SandboxRequest {
  readonly method: string
  readonly path: string
  /** The path after a prefix route; empty for an exact one. */
  readonly rest: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage["headers"]
  /** At most {@link MAX_BODY} bytes. */
  readonly body: Buffer
}

/** One entry of the routing table. A path that ends in `/` stands for everything below it. */
export interface Route {
  readonly method: "GET" | "POST"
  readonly path: string
  readonly handle: (request: SandboxRequest) => Reply | Promise<Reply>
}

/** The largest request body that is read, in bytes; a signing request or a log entry is below 20 KB. */
const MAX_BODY = 1_048_576

/** An answer in JSON. */
export const json = (status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: `${JSON.stringify(value)}\n`,
})

/** A refusal as Rekor and the timestamp authority word it: `{"code":…,"message":…}`. */
export const refuse = (status: number, message: string, reason = message, code = status): Reply => ({
  ...json(status, { code, message }),
  reason,
})

/** Answers one request completely; it never rejects. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

export interface RouterOptions {
  readonly routes: readonly Route[]
  /** Answers what no route does. */
  readonly fallback: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  /** Receives one line for each refused request. */
  readonly log: (line: string) => void
}

/** The handler that looks requests up in the table of routes. */
export function routeRequests(options: RouterOptions): RequestHandler {
  const exact = new Map<string, Route>()
  const prefixes: Route[] = []
  for (const route of options.routes) {
    if (route.path.endsWith("/")) prefixes.push(route)
    else exact.set(`${route.method} ${route.path}`, route)
  }
  const find = (method: string, path: string): Route | undefined =>
    exact.get(`${method} ${path}`) ??
    prefixes.find((route) => route.method === method && path.startsWith(route.path) && path.length > route.path.length)

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://sandbox.invalid")
    const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET")
    if (!isLoopbackName(request.headers.host)) {
      // DNS rebinding: a page on the web can point its own name at 127.0.0.1 and then read what it likes.
      return send(request, response, {
        status: 421,
        body: "this server answers to loopback names only\n",
        reason: "host name",
      })
    }
    const route = find(method, pathname)
    if (route === undefined) return options.fallback(request, response)
    const body = await readBody(request)
    if (body === undefined) return send(request, response, refuse(413, "request body too large"))
    const rest = route.path.endsWith("/") ? pathname.slice(route.path.length) : ""
    const reply = await route.handle({
      method,
      path: pathname,
      rest,
      query: searchParams,
      headers: request.headers,
      body,
    })
    send(request, response, reply)
  }

  const send = (request: IncomingMessage, response: ServerResponse, reply: Reply): void => {
    if (reply.reason !== undefined) {
      options.log(`${request.method} ${pathOf(request)} ${reply.status}: ${reply.reason}`)
    }
    const body = Buffer.from(reply.body ?? "")
    response.writeHead(reply.status, { "cache-control": "no-store", ...reply.headers, "content-length": body.length })
    response.end(request.method === "HEAD" ? undefined : body)
  }

  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      options.log(`${request.method} ${pathOf(request)} 500: ${messageOf(error)}`)
      if (response.headersSent) response.destroy()
      else send(request, response, json(500, { code: 500, message: "internal error of the sandbox" }))
    })
  }
}

/** The sandbox listens here only. An address, not a name: no program on ::1 can stand in for it. */
export const HOST = "127.0.0.1"

/** Ports below those that systems give to outgoing connections, so that a restart finds its port free. */
const FIRST_PORT = 20_000
const PORTS = 12_000

/**
 * Listens on a port of the loopback interface.
 *
 * @throws ERR_SANDBOX when it is taken
 */
export async function listen(port: number, handler: RequestHandler): Promise<Server> {
  const server = createServer({ keepAliveTimeout: 5000 }, handler)
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const reason = error.code === "EADDRINUSE" ? "is taken" : `cannot be used: ${error.message}`
      reject(
        new GitsignError("ERR_SANDBOX", `port ${port}, which is part of this sandbox's names, ${reason}`, {
          cause: error,
        }),
      )
    })
    server.listen(port, HOST, resolve)
  })
  return server
}

/** Listens on any free port and returns it too. @throws ERR_SANDBOX when there is none */
export async function listenAnywhere(handler: RequestHandler): Promise<{ server: Server; port: number }> {
  for (let tries = 20; ; tries--) {
    const port = FIRST_PORT + randomInt(PORTS)
    try {
      return { server: await listen(port, handler), port }
    } catch (error) {
      if (tries === 0) throw error
    }
  }
}

/** Stops listening and closes every connection. */
export async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

/** The path without its query: a query can hold an authorization code. */
const pathOf = (request: IncomingMessage): string => (request.url ?? "/").split("?", 1)[0] ?? "/"

const isLoopbackName = (host: string | undefined): boolean =>
  host !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host)

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}
