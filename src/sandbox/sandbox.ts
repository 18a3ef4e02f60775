/**
 * A local Sigstore on loopback: OpenID provider, Fulcio, CT log, Rekor, timestamp authority and TUF mirror in one process.
 *
 * @module
 */

import { mkdir } from "node:fs/promises"
import type { Server, ServerResponse } from "node:http"
import { join, resolve } from "node:path"
import { controlRoutes } from "./control.ts"
import { openCtLog } from "./ct-log.ts"
import { fulcioRoutes } from "./fulcio.ts"
import { closeServer, HOST, listen, listenAnywhere, type RequestHandler, routeRequests } from "./http-server.ts"
import { type OpenIdHandler, openIdProvider } from "./openid-provider.ts"
import { openRekor, type Rekor } from "./rekor.ts"
import { type SandboxFiles, sandboxFiles, TUF_CACHE } from "./sandbox-files.ts"
import { createState, prepareDirectory, readState, type SandboxState } from "./state.ts"
import { timestampRoutes } from "./timestamp-authority.ts"
import { trustFiles, urlsOf, writeFiles } from "./trust-files.ts"
import { openTufRepository } from "./tuf-repository.ts"

/** A sandbox that runs in this process. */
export interface Sandbox extends SandboxFiles {
  /** Resolves when somebody asked the sandbox to stop with `gitsign sandbox stop`. */
  readonly stopped: Promise<void>
  /** Loads what is otherwise loaded by the first login: an update of the program could take it away until then. */
  preload(): Promise<void>
  /** Answers what is under way, then closes everything. */
  close(): Promise<void>
}

export interface StartOptions {
  /** The state directory; made when it is not there. */
  readonly directory: string
  /** Receives one line for each refused request; it never holds a token. */
  readonly log?: (line: string) => void
}

/**
 * Starts the sandbox of a directory; the first start makes it.
 *
 * @throws ERR_SANDBOX when the directory cannot be used, a log is damaged, or the port is taken (also by the same sandbox
 *   in another process)
 */
export async function startSandbox(options: StartOptions): Promise<Sandbox> {
  const directory = resolve(options.directory)
  await prepareDirectory(directory)
  const known = await readState(directory)
  // The listener comes first: holding the port is what keeps a second process out of the logs.
  const ready = deferred<RequestHandler>()
  const requests = new RequestCounter()
  const handler: RequestHandler = (request, response) => {
    if (!requests.begin(response)) return
    ready.promise.then(
      (handle) => handle(request, response),
      () => response.destroy(),
    )
  }
  const { server, state } = known
    ? { server: await listen(known.port, handler), state: known }
    : await listenFirst(directory, handler)
  try {
    const services = await openServices(directory, state, options.log ?? (() => {}))
    ready.resolve(services.handler)
    return {
      ...sandboxFiles(directory, state),
      stopped: services.stopped,
      preload: services.preload,
      close: async () => {
        // The port is given up last: whoever gets it may open the logs.
        await requests.end()
        await services.close()
        await closeServer(server)
      },
    }
  } catch (error) {
    ready.reject(error)
    await closeServer(server)
    throw error
  }
}

/** Knows when the last request has been answered. */
class RequestCounter {
  #active = 0
  #ending: Deferred<void> | undefined

  /** Whether the request may be handled; when not, it has been refused. */
  begin(response: ServerResponse): boolean {
    if (this.#ending !== undefined) {
      response.writeHead(503, { connection: "close" }).end()
      return false
    }
    this.#active++
    response.once("close", () => {
      this.#active--
      if (this.#active === 0) this.#ending?.resolve()
    })
    return true
  }

  /** Refuses all further requests and waits for those under way, for at most two seconds. */
  async end(): Promise<void> {
    const ending = deferred<void>()
    this.#ending = ending
    if (this.#active === 0) return
    const timer = setTimeout(() => ending.resolve(), 2000)
    await ending.promise
    clearTimeout(timer)
  }
}

/** Finds a port for a new sandbox and makes its state, or takes what another process made meanwhile. */
async function listenFirst(
  directory: string,
  handler: RequestHandler,
): Promise<{ server: Server; state: SandboxState }> {
  const { server, port } = await listenAnywhere(handler)
  try {
    const state = await createState(directory, port, new Date())
    if (state.port === port) return { server, state }
    await closeServer(server)
    return { server: await listen(state.port, handler), state }
  } catch (error) {
    await closeServer(server)
    throw error
  }
}

interface Services {
  readonly handler: RequestHandler
  readonly preload: () => Promise<void>
  readonly stopped: Promise<void>
  readonly close: () => Promise<void>
}

async function openServices(directory: string, state: SandboxState, log: (line: string) => void): Promise<Services> {
  const urls = urlsOf(state.port)
  await writeFiles(directory, trustFiles(state, urls))
  const tuf = await openTufRepository(directory, state, urls)
  await mkdir(join(directory, TUF_CACHE), { recursive: true, mode: 0o700 })
  const ctLog = await openCtLog(directory, state.keys.ctLog)
  let rekor: Rekor
  try {
    rekor = await openRekor({ directory, key: state.keys.rekor, treeId: state.treeId, hostname: HOST })
  } catch (error) {
    await ctLog.close()
    throw error
  }
  const stopped = deferred<void>()
  const routes = [
    ...fulcioRoutes({ state, issuer: urls.issuer, ctLog }),
    ...ctLog.routes,
    ...rekor.routes,
    ...timestampRoutes(state.timestampSigner, state.chains.timestampAuthority),
    ...tuf.routes,
    ...controlRoutes(state, { ctLog, rekor }, () => stopped.resolve()),
  ]
  const cookieSecret = `cookies ${state.controlSecret}`
  const openid = openIdProvider({ issuer: urls.issuer, key: state.keys.openid, cookieSecret, log })
  return {
    handler: routeRequests({ routes, fallback: withApiErrors(openid.handle), log }),
    preload: openid.preload,
    stopped: stopped.promise,
    close: async () => {
      await Promise.all([ctLog.close(), rekor.close()])
    },
  }
}

/** The OpenID provider answers everything else, but not under the services' own prefixes. */
function withApiErrors(provider: OpenIdHandler): OpenIdHandler {
  return async (request, response) => {
    if (!/^\/(api|ct|tuf|sandbox)(\/|$)/.test(request.url ?? "")) return provider(request, response)
    const path = (request.url ?? "").split("?", 1)[0]
    response.writeHead(404, { "content-type": "application/json" })
    response.end(`${JSON.stringify({ code: 404, message: `path ${path} was not found` })}\n`)
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  // A failed start is reported by whoever awaits the start itself.
  promise.catch(() => {})
  return { promise, resolve, reject }
}
