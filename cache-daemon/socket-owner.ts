/**
 * Who can have put a socket where it is. Whoever listens there gets identity tokens and pass phrases.
 *
 * @module
 */

import { lstatSync, realpathSync, type Stats } from "node:fs"
import { basename, dirname, join } from "node:path"
import { closingHint, OTHER_USERS_PLACE, PLACE_OF_YOUR_OWN } from "./socket-path.ts"
import { AgentUnreachable } from "./unreachable.ts"

/** A socket that only this user or root can have put there. */
export interface OwnedSocket {
  /** Its path without links, which is the one to connect to. */
  readonly path: string
  /** Throws AgentUnreachable when something else is at the path by now. */
  readonly checkAgain: () => void
}

const foreign = (what: string, hint: string): AgentUnreachable => new AgentUnreachable("foreign", what, hint)

/**
 * Proves that nobody else owns the socket, nor can put another one in its place: neither in its directory nor in any directory
 * above, nor with a link on the way.
 *
 * @throws AgentUnreachable `absent` when there is nothing, `foreign` otherwise
 */
export function ownedSocket(given: string): OwnedSocket {
  const { path, socket, directories } = look(given)
  if (!socket.isSocket()) throw foreign(`${given} is not a socket`, "name the agent's socket, or leave --socket out")
  if (!isTrusted(socket)) throw foreign(`the socket ${given} belongs to another user`, OTHER_USERS_PLACE)
  for (const [directory, status] of directories) {
    if (isTrusted(status) && !isOpen(status)) continue
    const own = status.uid === process.geteuid?.() && directory === dirname(path)
    const hint = own ? closingHint(directory) : PLACE_OF_YOUR_OWN
    throw foreign(`other users can replace the socket ${given}: they may write to ${directory}`, hint)
  }
  return {
    path,
    checkAgain: () => {
      const now = lstatSync(path, { throwIfNoEntry: false })
      if (now !== undefined && (now.ino !== socket.ino || now.dev !== socket.dev || !isTrusted(now))) {
        throw foreign(`the socket ${given} was replaced while it was connected to`, "try again")
      }
    },
  }
}

function look(given: string): { path: string; socket: Stats; directories: readonly (readonly [string, Stats])[] } {
  try {
    const directory = realpathSync(dirname(given))
    const path = join(directory, basename(given))
    const directories: [string, Stats][] = []
    for (let above = directory; ; above = dirname(above)) {
      directories.push([above, lstatSync(above)])
      if (above === dirname(above)) return { path, socket: lstatSync(path), directories }
    }
  } catch (error) {
    const code = codeOf(error)
    if (code === "ENOENT" || code === "ENOTDIR") throw new AgentUnreachable("absent", `no agent listens at ${given}`)
    const why = code === "EACCES" ? "this user may not enter its directory" : code
    const hint = code === "EACCES" ? OTHER_USERS_PLACE : PLACE_OF_YOUR_OWN
    throw foreign(`the agent's socket ${given} cannot be looked at: ${why}`, hint)
  }
}

/** Root can be anybody anyway. */
const isTrusted = ({ uid }: Stats): boolean => uid === 0 || uid === process.geteuid?.()

/**
 * Whether others may rename what is in a directory. Where every user has a group of their own with the same number, and files are made
 * open to it, that group is nobody else.
 */
function isOpen({ mode, uid, gid }: Stats): boolean {
  if ((mode & 0o1000) !== 0) return false
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== uid)
}

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "unknown error"
