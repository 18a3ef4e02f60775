/**
 * Puts the agent's socket in its place, without ever pushing aside an agent that is alive.
 *
 * @module
 */

import { randomBytes } from "node:crypto"
import { lstatSync, renameSync, unlinkSync } from "node:fs"
import { connect, type Server } from "node:net"
import { dirname, join } from "node:path"
import { GitsignError } from "../src/errors.ts"
import { placeReason, prepareSocketDirectory } from "./socket-directory.ts"
import { checkSocketPath } from "./socket-path.ts"
import { withStartLock } from "./start-lock.ts"
import { withUmask } from "./umask.ts"

/** How long whoever is behind a socket may take to accept a connection, in milliseconds. */
const PROBE_MS = 2000

/** How many connections may wait until the agent gets to them. */
const BACKLOG = 1024

/** A socket that this process has put in its place. */
export interface OwnSocket {
  readonly path: string
  /** Whether it is still where it was put: nobody else has removed it or put another one there. */
  isInPlace(): boolean
  /** Removes it from the directory if it is still ours. The server goes on with the connections it has. */
  remove(): void
}

/**
 * Makes `server` listen at `path`, in a directory that only we may enter, with mode 0600. Returns undefined when somebody else answers
 * there already; a socket behind which nobody is gets replaced in one step.
 *
 * @throws ERR_AGENT_SOCKET when the directory or the path will not do, or something there is no socket
 * @throws ERR_AGENT when another process has been starting an agent there for too long
 */
export async function listenAt(server: Server, path: string): Promise<OwnSocket | undefined> {
  const directory = dirname(checkSocketPath(path))
  prepareSocketDirectory(directory)
  if (await isAnswered(path)) return undefined
  return withStartLock(`${path}.lock`, async () => {
    // Whoever had the lock before us may be there now.
    if (await isAnswered(path)) return undefined
    // Under a name of its own first: the runtime removes what has the name that it was told, when it closes the server, whatever it is
    // by then. And renaming leaves no moment in which there is no socket.
    const temporary = checkSocketPath(join(directory, `.${randomBytes(3).toString("hex")}`))
    try {
      await bind(server, temporary)
      renameSync(temporary, path)
    } catch (cause) {
      const message = `the agent cannot listen at ${path}: ${placeReason(cause)}`
      throw new GitsignError("ERR_AGENT_SOCKET", message, { cause })
    }
    return ownSocket(path)
  })
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once("error", fail)
    server.once("listening", () => {
      server.off("error", fail)
      done()
    })
    // The runtime binds before listen() returns, so that the mask holds for this one file.
    withUmask(0o177, () => server.listen({ path, backlog: BACKLOG }))
  })
}

/**
 * Whether anybody accepts connections there.
 *
 * @throws ERR_AGENT_SOCKET when it is something else than a socket, which is not ours to remove
 */
async function isAnswered(path: string): Promise<boolean> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return false
  if (!found.isSocket()) {
    throw new GitsignError("ERR_AGENT_SOCKET", `${path} is not a socket, and gitsign does not remove it`, {
      hint: "name the agent's socket, or leave --socket out",
    })
  }
  return new Promise((done) => {
    const socket = connect(path)
    const end = (answered: boolean): void => {
      clearTimeout(timer)
      socket.destroy()
      done(answered)
    }
    // Not even an agent that was stopped, or has its queue full, is a dead one.
    const timer = setTimeout(() => end(true), PROBE_MS)
    socket.on("connect", () => end(true))
    socket.on("error", (error) => end(!("code" in error && /^(ECONNREFUSED|ENOENT)$/.test(String(error.code)))))
  })
}

function ownSocket(path: string): OwnSocket {
  const { dev, ino } = lstatSync(path)
  let isRemoved = false
  const isInPlace = (): boolean => {
    if (isRemoved) return true
    const found = lstatSync(path, { throwIfNoEntry: false })
    return found !== undefined && found.ino === ino && found.dev === dev
  }
  return {
    path,
    isInPlace,
    remove: () => {
      // Once only: the next agent's socket may get the number that ours had.
      if (isRemoved) return
      // While we listen nobody replaces it, so that it cannot become another one in between.
      if (isInPlace()) unlinkSync(path)
      isRemoved = true
    },
  }
}
