/**
 * A git server over HTTP on loopback: `git http-backend` behind as little CGI (RFC 3875) as it needs. Anybody may push, as whom the
 * server runs. The process that starts it MUST go on meanwhile: git is not to be waited for synchronously.
 *
 * @module
 */

import { spawn } from "node:child_process"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** A running server. */
export interface GitHttpServer {
  /** `http://127.0.0.1:PORT`; a repository's address is this with its path under the root. */
  readonly url: string
  close(): Promise<void>
}

/**
 * Serves the bare repositories under `root`.
 *
 * @param env the whole environment of the backend, and so of the hooks, beside what CGI and git ask for: no HOME, as with most servers
 */
export async function startGitHttpServer(
  root: string,
  env: Readonly<Record<string, string>> = {},
): Promise<GitHttpServer> {
  const server = createServer((request, response) => serve(root, env, request, response))
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections()
        server.close(() => done())
      }),
  }
}

function serve(
  root: string,
  env: Readonly<Record<string, string>>,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const url = new URL(request.url ?? "/", "http://127.0.0.1")
  const header = (name: string): string => String(request.headers[name] ?? "")
  const backend = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env.PATH ?? "",
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      GATEWAY_INTERFACE: "CGI/1.1",
      SERVER_PROTOCOL: "HTTP/1.1",
      REMOTE_ADDR: "127.0.0.1",
      // Who is logged in may push.
      REMOTE_USER: "somebody",
      REQUEST_METHOD: request.method ?? "GET",
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: header("content-type"),
      HTTP_CONTENT_ENCODING: header("content-encoding"),
      HTTP_GIT_PROTOCOL: header("git-protocol"),
      ...(request.headers["content-length"] === undefined ? {} : { CONTENT_LENGTH: header("content-length") }),
      ...env,
    },
    stdio: ["pipe", "pipe", "inherit"],
  })
  backend.stdin.on("error", () => undefined)
  request.pipe(backend.stdin)
  backend.on("error", () => response.writeHead(500).end())
  let head = Buffer.alloc(0)
  const readHead = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf("\r\n\r\n")
    if (end < 0) return
    backend.stdout.off("data", readHead)
    const headers = head
      .toString("latin1", 0, end)
      .split("\r\n")
      .map((line): [string, string] => {
        const colon = line.indexOf(":")
        return [line.slice(0, colon), line.slice(colon + 1).trim()]
      })
    const status = headers.find(([name]) => name.toLowerCase() === "status")?.[1] ?? "200"
    response.writeHead(
      Number.parseInt(status, 10),
      Object.fromEntries(headers.filter(([name]) => name.toLowerCase() !== "status")),
    )
    response.write(head.subarray(end + 4))
    backend.stdout.pipe(response)
  }
  backend.stdout.on("data", readHead)
  backend.stdout.on("end", () => {
    if (!response.headersSent) response.writeHead(500).end()
  })
}
