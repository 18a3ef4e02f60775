/**
 * Whether a SPIFFE Workload API is there, and at which address (SPIFFE Workload Endpoint §4; cosign's `spiffe`); nothing is asked of it.
 *
 * @module
 */

import { lstatSync, type Stats, statSync } from "node:fs"
import { dirname } from "node:path"
import { isLoopbackHost } from "../loopback-host.ts"
import type { Detection, Surroundings } from "./ambient.ts"
import type { Environment } from "./provider.ts"

/** Where SPIRE's agent listens when it is told nothing else. */
export const DEFAULT_SPIFFE_SOCKET = "/tmp/spire-agent/public/api.sock"

/** Where the Workload API listens. */
export interface SpiffeAddress {
  /** As gRPC wants it: `unix:/run/spire/api.sock` or `127.0.0.1:8081`. */
  readonly target: string
  /** The path of the Unix socket; undefined for a port of this machine. */
  readonly path: string | undefined
  /** Whether SPIFFE_ENDPOINT_SOCKET names it; else it is the default one. */
  readonly named: boolean
}

/**
 * The address that SPIFFE_ENDPOINT_SOCKET names, as `unix:///path`, `tcp://127.0.0.1:port` or, as cosign wants it, the path alone;
 * without the variable the default socket. Undefined when the variable has none of these forms.
 */
export function spiffeAddress(
  env: Environment,
  defaultSocket: string = DEFAULT_SPIFFE_SOCKET,
): SpiffeAddress | undefined {
  const text = env.SPIFFE_ENDPOINT_SOCKET?.trim()
  if (!text) return { target: `unix:${defaultSocket}`, path: defaultSocket, named: false }
  if (text.startsWith("/")) return { target: `unix:${text}`, path: text, named: true }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.username || url.password || url.search || url.hash) return undefined
  if (url.protocol === "unix:" && url.host === "" && url.pathname.startsWith("/")) {
    const path = unescaped(url.pathname)
    return path === undefined ? undefined : { target: `unix:${path}`, path, named: true }
  }
  // Nothing is encrypted there, so that only this machine is asked; a name could be looked up anywhere.
  if (url.protocol === "tcp:" && url.hostname !== "localhost" && isLoopbackHost(url.hostname) && url.port !== "") {
    return /^\/?$/.test(url.pathname) ? { target: url.host, path: undefined, named: true } : undefined
  }
  return undefined
}

/** Whether the socket is there. A default one that belongs to another user than root is not used: anybody may put one into /tmp. */
export function detectSpiffe({ env }: Surroundings, defaultSocket: string = DEFAULT_SPIFFE_SOCKET): Detection {
  const address = spiffeAddress(env, defaultSocket)
  if (address === undefined)
    return { applies: false, because: "SPIFFE_ENDPOINT_SOCKET is not an address that can be used" }
  if (address.path === undefined)
    return { applies: true, because: "SPIFFE_ENDPOINT_SOCKET names a port of this machine" }
  const status = statusOf(address.path)
  if (status === undefined || !status.isSocket()) {
    const where = address.named ? "where SPIFFE_ENDPOINT_SOCKET points" : `at ${address.path}`
    return { applies: false, because: `there is no socket ${where}` }
  }
  if (address.named) return { applies: true, because: "SPIFFE_ENDPOINT_SOCKET names a socket that is there" }
  if (isOfOthers(address.path)) {
    const because = `the socket at ${address.path} belongs to another user; name it in SPIFFE_ENDPOINT_SOCKET to use it`
    return { applies: false, because }
  }
  return { applies: true, because: `there is a socket at ${address.path}` }
}

/**
 * Whether another user than root and this one owns the socket at `path` or a directory that it is in, and so may put another one there.
 */
export function isOfOthers(path: string): boolean {
  const mine = process.getuid?.()
  const owner = statusOf(path)?.uid
  if (mine === undefined || owner === undefined) return false
  const owners = [owner]
  for (let place = path; ; place = dirname(place)) {
    const uid = lstatSync(place, { throwIfNoEntry: false })?.uid
    if (uid !== undefined) owners.push(uid)
    if (place === dirname(place)) break
  }
  return owners.some((uid) => uid !== 0 && uid !== mine)
}

function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function unescaped(path: string): string | undefined {
  try {
    const text = decodeURIComponent(path)
    return text.includes("\0") ? undefined : text
  } catch {
    return undefined
  }
}
