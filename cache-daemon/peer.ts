/**
 * Whose process is at the other end of a Unix socket (SO_PEERCRED in unix(7), getpeereid(3)).
 *
 * Only bun can ask the system. Under Node the modes of the socket and its directory keep others out, and nothing else.
 *
 * @module
 */

import type { Socket } from "node:net"
import { GitsignError } from "../src/errors.ts"

/** Returns the effective user id of the process at the other end; undefined when it cannot be found out. */
type PeerUid = (fd: number) => number | undefined

const SOL_SOCKET = 1
const SO_PEERCRED = 17

/** The C library has another name in each. */
const LINUX_LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"] as const

/**
 * Makes the check of who may connect: a process of our own user, and nobody else. Not even root's, which ssh-agent lets in: root can be
 * us whenever it likes, and a `sudo git commit` that is signed in our name is a mistake.
 *
 * @returns a function that says whether the process at the other end of a connection may connect. Under Node it is always true
 * @throws ERR_AGENT under bun when the system cannot be asked
 */
export async function loadPeerCheck(): Promise<(socket: Socket) => boolean> {
  if (!("Bun" in globalThis)) return () => true
  const uidOf = await loadPeerUid()
  const ours = process.geteuid?.()
  return (socket) => {
    const fd = descriptorOf(socket)
    return fd !== undefined && ours !== undefined && uidOf(fd) === ours
  }
}

async function loadPeerUid(): Promise<PeerUid> {
  const { dlopen } = await import("bun:ffi")
  if (process.platform === "darwin") {
    // Not tried on a Mac so far. Whatever goes wrong here refuses connections.
    const library = dlopen("libSystem.B.dylib", { getpeereid: { args: ["i32", "ptr", "ptr"], returns: "i32" } })
    const uid = new Uint32Array(1)
    const gid = new Uint32Array(1)
    return (fd) => (library.symbols.getpeereid?.(fd, uid, gid) === 0 ? uid[0] : undefined)
  }
  for (const name of process.platform === "linux" ? LINUX_LIBRARIES : []) {
    try {
      const library = dlopen(name, { getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" } })
      // struct ucred: pid, uid, gid.
      const credentials = new Uint32Array(3)
      const length = new Uint32Array(1)
      return (fd) => {
        length[0] = credentials.byteLength
        const status = library.symbols.getsockopt?.(fd, SOL_SOCKET, SO_PEERCRED, credentials, length)
        return status === 0 && length[0] === credentials.byteLength ? credentials[1] : undefined
      }
    } catch {
      // The next one.
    }
  }
  throw new GitsignError("ERR_AGENT", "the system cannot be asked who connects to the agent", {
    hint: "run the agent with Node instead of the standalone program",
  })
}

/** The descriptor of a connection, which both runtimes keep in the same place that neither documents. */
function descriptorOf(socket: Socket): number | undefined {
  const handle = "_handle" in socket ? socket._handle : undefined
  const fd = typeof handle === "object" && handle !== null && "fd" in handle ? handle.fd : undefined
  return typeof fd === "number" && fd >= 0 ? fd : undefined
}
