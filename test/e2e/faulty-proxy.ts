/**
 * A server in front of a real service that fails in one chosen way, and passes everything else through.
 *
 * @module
 */

import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** How a request fails. `replace` puts another body in the place of a real answer. */
export type Fault =
  | { kind: "status"; status: number; body: string }
  | { kind: "hang" }
  | { kind: "reset" }
  | { kind: "garbage" }
  | { kind: "oversize" }
  | { kind: "slow"; milliseconds: number }
  | { kind: "replace"; replace: (body: string) => string }

/** A running proxy. */
export interface FaultyProxy {
  readonly url: string
  /** How many requests were made of it. */
  readonly requests: () => number
  close(): Promise<void>
}

/** Starts a proxy to `target` on the loopback interface in which requests to paths that begin with `path` fail. */
export async function startFaultyProxy(target: string, path: string, fault: Fault): Promise<FaultyProxy> {
  let count = 0
  const server = createServer((incoming, outgoing) => {
    if (!(incoming.url ?? "").startsWith(path)) return void pass(target, incoming, outgoing, (body) => body)
    count++
    switch (fault.kind) {
      case "status":
        outgoing.writeHead(fault.status, { "content-type": "application/json" }).end(fault.body)
        return
      case "hang":
        return
      case "reset":
        incoming.socket.resetAndDestroy()
        return
      case "garbage":
        outgoing.writeHead(201, { "content-type": "application/json" }).end("\u0000{not json, not PEM, not DER")
        return
      case "oversize":
        outgoing.writeHead(201, { "content-type": "application/json" }).end("x".repeat(4 * 1024 * 1024))
        return
      case "slow":
        setTimeout(() => pass(target, incoming, outgoing, (body) => body), fault.milliseconds)
        return
      case "replace":
        pass(target, incoming, outgoing, fault.replace)
    }
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests: () => count,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

function pass(
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  edit: (body: string) => string,
): void {
  const url = new URL(incoming.url ?? "/", target)
  const { host, ...headers } = incoming.headers
  const upstream = request(url, { method: incoming.method, headers }, (answer) => {
    const chunks: Buffer[] = []
    answer.on("data", (chunk) => chunks.push(chunk))
    answer.on("end", () => {
      const body = Buffer.from(edit(Buffer.concat(chunks).toString("latin1")), "latin1")
      const { "content-length": length, "transfer-encoding": encoding, connection, ...rest } = answer.headers
      outgoing.writeHead(answer.statusCode ?? 502, { ...rest, "content-length": body.length }).end(body)
    })
  })
  upstream.on("error", () => outgoing.destroy())
  incoming.pipe(upstream)
}
