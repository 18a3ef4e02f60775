/**
 * The directory of the agent's socket: its modes decide who can connect (unix(7)).
 *
 * @module
 */

import { accessSync, constants, lstatSync, mkdirSync, type Stats } from "node:fs"
import { dirname } from "node:path"
import { GitsignError } from "../src/errors.ts"
import { closingHint, OTHER_USERS_PLACE, PLACE_OF_YOUR_OWN } from "./socket-path.ts"
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
      makeWithParents(directory)
    } catch (cause) {
      throw cannotMake(directory, cause)
    }
  })
  checkSocketDirectory(directory)
}

/** Not by `recursive`, which never ends where nothing can be made, as in /proc. */
function makeWithParents(directory: string): void {
  if (lstatSync(directory, { throwIfNoEntry: false }) !== undefined) return
  if (dirname(directory) !== directory) makeWithParents(dirname(directory))
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch (error) {
    // Another agent that starts may have been faster.
    if (codeOf(error) !== "EEXIST") throw error
  }
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

/** What {@link prepareSocketDirectory} would throw, as far as that can be told without making anything; undefined when nothing. */
export function socketDirectoryProblem(directory: string): GitsignError | undefined {
  try {
    const found = lstatSync(directory, { throwIfNoEntry: false })
    const problem = found === undefined ? undefined : problemOf(directory, found)
    if (problem === undefined) accessSync(found ? directory : nearestAbove(directory), constants.W_OK | constants.X_OK)
    return problem
  } catch (cause) {
    return cannotMake(directory, cause)
  }
}

/** The closest directory above that exists. */
function nearestAbove(directory: string): string {
  const parent = dirname(directory)
  const found = lstatSync(parent, { throwIfNoEntry: false })
  return found !== undefined || parent === directory ? parent : nearestAbove(parent)
}

/** Errors of the system in words, and whether another user is the reason. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "this user may not write there",
  EPERM: "this user may not write there",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk is full",
  ENOTDIR: "a file is in its place, or above it",
  ENOENT: "nothing can be made there",
  EEXIST: "a file is in its place, or above it",
  ELOOP: "links lead in a circle there",
  ENAMETOOLONG: "its name is too long",
}

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "unknown error"

/** Why nothing can be put into a directory, in words. */
export const placeReason = (cause: unknown): string => REASONS[codeOf(cause)] ?? codeOf(cause)

function cannotMake(directory: string, cause: unknown): GitsignError {
  const message = `the directory for the agent's socket cannot be made or used: ${placeReason(cause)}: ${directory}`
  const hint = codeOf(cause) === "EACCES" ? OTHER_USERS_PLACE : PLACE_OF_YOUR_OWN
  return new GitsignError("ERR_AGENT_SOCKET", message, { cause, hint })
}

function problemOf(directory: string, found: Stats | undefined): GitsignError | undefined {
  const problem = (what: string, hint: string) =>
    new GitsignError("ERR_AGENT_SOCKET", `the directory of the agent's socket ${what}: ${directory}`, { hint })
  // A link to a good directory can be pointed elsewhere by whoever owns the link.
  if (!found?.isDirectory()) return problem("is a link, or no directory at all", PLACE_OF_YOUR_OWN)
  const { mode, uid } = found
  if (uid !== process.geteuid?.()) return problem("belongs to another user", PLACE_OF_YOUR_OWN)
  if ((mode & 0o077) === 0) return undefined
  // A directory such as /tmp is open on purpose.
  const hint = (mode & 0o1000) === 0 ? closingHint(directory) : PLACE_OF_YOUR_OWN
  return problem(`is open to other users (mode ${(mode & 0o777).toString(8)})`, hint)
}
