/**
 * An https server on the loopback interface with a proxy in front of it, through which any host's name leads to it.
 *
 * @module
 */

import { createServer as createHttpServer, type RequestListener } from "node:http"
import { createServer as createHttpsServer } from "node:https"
import { type AddressInfo, connect, type Socket } from "node:net"
import { onTestFinished } from "vitest"

/** What a CONNECT asked for. */
export interface Connect {
  /** Such as fulcio.test:443. */
  readonly target: string
  readonly authorization?: string
}

/** Starts both, for the test that runs. `proxy` is the proxy's host and port; `connects` grows with each CONNECT. */
export async function httpsBehindProxy(
  identity: { readonly key: string; readonly cert: string },
  answer: RequestListener,
): Promise<{ readonly proxy: string; readonly connects: readonly Connect[] }> {
  const server = createHttpsServer(identity, answer)
  const connects: Connect[] = []
  const proxy = createHttpServer()
  const sockets = new Set<Socket>()
  proxy.on("connect", (request, client: Socket) => {
    const authorization = request.headers["proxy-authorization"]
    connects.push({ target: request.url ?? "", ...(authorization ? { authorization } : {}) })
    const target = connect((server.address() as AddressInfo).port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n")
      target.pipe(client).pipe(target)
    })
    for (const socket of [client, target]) {
      sockets.add(socket)
      socket.on("error", () => undefined)
    }
  })
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
    proxy.close()
    for (const socket of sockets) socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
  return { proxy: `localhost:${(proxy.address() as AddressInfo).port}`, connects }
}
