/**
 * The directory of the agent's socket: its modes decide who can connect (unix(7)).
 *
 * @module
 */

import { lstatSync, mkdirSync, type Stats } from "node:fs"
import { GitsignError, messageOf } from "../src/errors.ts"
import { withUmask } from "./umask.ts"

/**
 * Makes the directory for a socket, with the ones above it that are missing, all with mode 0700 from the beginning: between a mkdir and
 * a later chmod somebody else could get in. One that exists is never changed.
 *
 * @throws ERR_AGENT_SOCKET when it is a link, somebody else's, or open to others; or it cannot be made
 */
export function prepareSocketDirectory(directory: string): void {
  withUmask(0o077, () => {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
    } catch (cause) {
      const message = `the directory for the agent's socket cannot be made: ${messageOf(cause)}`
      throw new GitsignError("ERR_AGENT_SOCKET", message, { cause, hint: OTHER_PLACE })
    }
  })
  checkSocketDirectory(directory)
}

/**
 * Checks that only this user has access to the directory of a socket.
 *
 * @throws ERR_AGENT_SOCKET when it is a link, somebody else's, or open to others, with the command that closes it as the hint
 */
export function checkSocketDirectory(directory: string): void {
  const found = lstatSync(directory, { throwIfNoEntry: false })
  const problem = problemOf(directory, found)
  if (problem !== undefined) throw problem
}

const OTHER_PLACE = "name a socket in a directory of your own: git config gitsign.credentialCache PATH"

function problemOf(directory: string, found: Stats | undefined): GitsignError | undefined {
  const problem = (what: string, hint: string) =>
    new GitsignError("ERR_AGENT_SOCKET", `the directory of the agent's socket ${what}: ${directory}`, { hint })
  // A link to a good directory can be pointed elsewhere by whoever owns the link.
  if (!found?.isDirectory()) return problem("is a link, or no directory at all", OTHER_PLACE)
  const { mode, uid } = found
  if (uid !== process.geteuid?.()) return problem("belongs to another user", OTHER_PLACE)
  if ((mode & 0o077) === 0) return undefined
  // A directory such as /tmp is open on purpose.
  const hint = (mode & 0o1000) === 0 ? `close it with: chmod 0700 ${quoted(directory)}` : OTHER_PLACE
  return problem(`is open to other users (mode ${(mode & 0o777).toString(8)})`, hint)
}

/** An argument as a POSIX shell reads it. */
const quoted = (text: string): string => (/^[\w./+@%:=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)
