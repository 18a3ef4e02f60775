/**
 * Servers on the loopback interface for the tests of the network peers: HTTP as it should be, and raw sockets for what it should not.
 *
 * @module
 */

import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from "node:http"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { onTestFinished } from "vitest"
import { createHttpClient, type HttpClient } from "../../src/services/http.ts"

/** One request as it arrived. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  readonly body: Buffer
}

/** What a test's server answers. */
export interface Answer {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array
}

export interface TestServer {
  /** Such as http://localhost:12345. */
  readonly url: string
  readonly port: number
  readonly seen: SeenRequest[]
  /** How many connections were made. */
  connections(): number
}

function started(server: Server, seen: SeenRequest[]): Promise<TestServer> {
  const sockets = new Set<Socket>()
  let connections = 0
  server.on("connection", (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.on("error", () => undefined)
    socket.on("close", () => sockets.delete(socket))
  })
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      resolve({ url: `http://localhost:${port}`, port, seen, connections: () => connections })
    })
  })
}

/** An HTTP server that answers each request with what `handler` returns; it is closed when the test ends. */
export function httpServer(handler: (request: SeenRequest) => Answer | Promise<Answer>): Promise<TestServer> {
  const seen: SeenRequest[] = []
  const listener: RequestListener = async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = "", url: path = "", headers } = request
    const one = { method, path, headers, body: Buffer.concat(chunks) }
    seen.push(one)
    const answer = await handler(one)
    response.writeHead(answer.status ?? 200, answer.headers ?? {})
    response.end(answer.body ?? "")
  }
  return started(createHttpServer(listener), seen)
}

/** A TCP server that hands each connection's socket over once its first bytes have come. */
export function rawServer(onRequest: (socket: Socket, count: number) => void): Promise<TestServer> {
  let count = 0
  return started(
    createServer((socket) => {
      socket.once("data", () => onRequest(socket, ++count))
    }),
    [],
  )
}

/** A port of this machine on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A client with short deadlines; it is closed when the test ends. */
export function testClient(options: Partial<Parameters<typeof createHttpClient>[0]> = {}): HttpClient {
  const http = createHttpClient({ userAgent: "gitsign/test", timeoutMs: 3000, ...options })
  onTestFinished(() => http.close())
  return http
}

export const json = (value: unknown, status = 200): Answer => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value),
})
