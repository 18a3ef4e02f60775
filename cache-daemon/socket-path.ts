/**
 * Where the agent's sockets are (XDG Base Directory Specification; unix(7) for the length).
 *
 * @module
 */

import { lstatSync, readdirSync } from "node:fs"
import { isAbsolute, join } from "node:path"
import { GitsignError } from "../src/errors.ts"

/** How many bytes the path of a socket may have: sun_path without its final NUL. */
const MAX_PATH_BYTES = process.platform === "linux" ? 107 : 103

/**
 * The path of the agent's socket when no other is named: in `$XDG_RUNTIME_DIR`, which no other host sees and which is emptied at
 * the end of the session, or where there is none in the user's cache directory.
 *
 * @throws ERR_AGENT_SOCKET when there is no such directory, or the path is longer than a socket may have
 */
export function defaultSocketPath(env: NodeJS.ProcessEnv): string {
  const runtime = env.XDG_RUNTIME_DIR
  // After `su` the variable may still name the directory of the user before.
  const base = runtime !== undefined && isOwnDirectory(runtime) ? join(runtime, "gitsign") : cacheDirectory(env)
  return checkSocketPath(join(base, "agent.sock"))
}

/**
 * The path that the Go program's `gitsign-credential-cache` listens on.
 *
 * @throws ERR_AGENT_SOCKET as {@link defaultSocketPath}
 */
export const goSocketPath = (env: NodeJS.ProcessEnv): string => checkSocketPath(join(cacheDirectory(env), "cache.sock"))

/**
 * The path of the restricted socket that belongs to a socket: `agent.sock` has `agent.extra.sock`.
 *
 * @throws ERR_AGENT_SOCKET when it is longer than a socket may have
 */
export const extraSocketPath = (socket: string): string =>
  checkSocketPath(socket.endsWith(".sock") ? `${socket.slice(0, -".sock".length)}.extra.sock` : `${socket}.extra`)

/**
 * Returns `path` when a socket can have it.
 *
 * @throws ERR_AGENT_SOCKET when it is not absolute, or too long: some systems would cut it off and use another one
 */
export function checkSocketPath(path: string): string {
  if (!isAbsolute(path) || path.includes("\0")) {
    throw new GitsignError("ERR_AGENT_SOCKET", `the agent's socket "${path}" is not an absolute path`, {
      hint: "name it from the root, as in: git config gitsign.credentialCache /home/me/.cache/gitsign/agent.sock",
    })
  }
  const length = Buffer.byteLength(path)
  if (length <= MAX_PATH_BYTES) return path
  const message = `the path of the agent's socket has ${length} bytes, and this system allows ${MAX_PATH_BYTES}: ${path}`
  throw new GitsignError("ERR_AGENT_SOCKET", message, {
    hint: "name a shorter one with: git config gitsign.credentialCache PATH",
  })
}

/** What the Go program's os.UserCacheDir() returns, and the folder in it that both programs use. */
function cacheDirectory(env: NodeJS.ProcessEnv): string {
  const folder = ["sigstore", "gitsign"] as const
  if (process.platform !== "darwin" && env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) {
    return join(env.XDG_CACHE_HOME, ...folder)
  }
  if (!env.HOME || !isAbsolute(env.HOME)) {
    throw new GitsignError("ERR_AGENT_SOCKET", "there is no home directory for the agent's socket", {
      hint: "set HOME, or name a socket with: git config gitsign.credentialCache PATH",
    })
  }
  return join(env.HOME, ...(process.platform === "darwin" ? ["Library", "Caches"] : [".cache"]), ...folder)
}

function isOwnDirectory(path: string): boolean {
  if (!isAbsolute(path)) return false
  try {
    const found = lstatSync(path)
    return found.isDirectory() && found.uid === process.geteuid?.()
  } catch {
    return false
  }
}

/** What to do about a place that others have access to on purpose, or that is theirs. */
export const PLACE_OF_YOUR_OWN = "choose a path in a directory of your own"

/** What to do where the surroundings are those of somebody else, as after `su`. */
export const OTHER_USERS_PLACE = "it belongs to another user; set XDG_RUNTIME_DIR and HOME to your own"

/**
 * What to do about a directory of one's own that others have access to: the command that closes it, as a POSIX shell reads it. Root
 * owns the directories of the system too, which must stay open: there it is for a directory with nothing but sockets.
 */
export function closingHint(path: string): string {
  if (process.geteuid?.() === 0 && !hasOnlySockets(path)) return PLACE_OF_YOUR_OWN
  const word = /^[\w./+@%:=-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
  return `close it with: chmod 0700 ${word}`
}

function hasOnlySockets(path: string): boolean {
  try {
    return readdirSync(path, { withFileTypes: true }).every((one) => one.isSocket() || one.name.endsWith(".sock.lock"))
  } catch {
    return false
  }
}
