/**
 * Sockets that systemd has made and hands over (sd_listen_fds(3), systemd.socket(5)).
 *
 * @module
 */

import { fstatSync, readFileSync } from "node:fs"
import { dirname, isAbsolute } from "node:path"
import { GitsignError, messageOf } from "../src/errors.ts"
import { checkSocketDirectory } from "./socket-directory.ts"

/** SD_LISTEN_FDS_START. */
const FIRST_DESCRIPTOR = 3

const MAX_DESCRIPTORS = 16

/**
 * Whether a socket is the restricted one, by its name: `FileDescriptorName` in its unit, and without that the name of the unit. Any
 * other name is a mistake that could leave the restricted socket without restriction.
 */
const RESTRICTED: Readonly<Record<string, boolean>> = {
  agent: false,
  "gitsign-agent.socket": false,
  extra: true,
  "gitsign-agent-extra.socket": true,
}

/** A socket that was handed over, and already listens. */
export interface ActivatedSocket {
  readonly fd: number
  /** Whether it is the one for other hosts. */
  readonly restricted: boolean
}

/**
 * The sockets that this process was started with; the variables that say so are taken out of `env`, so that no child believes them
 * too.
 *
 * @throws ERR_AGENT when there are none, or too many
 * @throws ERR_AGENT_SOCKET when others could connect: it is not a Unix socket that listens, or its directory is open; and for a name
 * that does not say whether it is restricted
 */
export function activatedSockets(env: NodeJS.ProcessEnv): readonly ActivatedSocket[] {
  const { LISTEN_PID, LISTEN_FDS = "0", LISTEN_FDNAMES } = env
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete env[name]
  const count = LISTEN_PID === String(process.pid) && /^\d{1,3}$/.test(LISTEN_FDS) ? Number(LISTEN_FDS) : 0
  if (count === 0 || count > MAX_DESCRIPTORS) {
    throw new GitsignError("ERR_AGENT", "systemd has handed over no socket, or too many", {
      hint: "use --systemd-socket-activation only in a unit that belongs to a socket unit",
    })
  }
  // systemd always gives names. Who starts an agent with one socket and nothing else means the ordinary one.
  const names = LISTEN_FDNAMES?.split(":") ?? (count === 1 ? ["agent"] : [])
  const sockets = Array.from({ length: count }, (_, index) => {
    const fd = FIRST_DESCRIPTOR + index
    return { fd, restricted: isRestricted(fd, names[index] ?? "") }
  })
  for (const { fd } of sockets) checkSocket(fd)
  return sockets
}

function isRestricted(fd: number, name: string): boolean {
  const restricted = Object.hasOwn(RESTRICTED, name) ? RESTRICTED[name] : undefined
  if (restricted !== undefined) return restricted
  throw new GitsignError(
    "ERR_AGENT_SOCKET",
    `descriptor ${fd} has a name that gitsign does not know: ${JSON.stringify(name.slice(0, 255))}`,
    {
      hint: "set FileDescriptorName in the socket unit to agent, or to extra for the restricted one",
    },
  )
}

/**
 * Looks the socket up in /proc/net/unix (proc(5)), where only Unix sockets are; flag 0x10000 is "listens", type 1 is a stream. What
 * systemd makes has mode 0666 unless the unit says otherwise, so its directory has to keep others out, as it does for a socket of ours.
 */
function checkSocket(fd: number): void {
  const refuse = (what: string, cause?: unknown) =>
    new GitsignError("ERR_AGENT_SOCKET", `descriptor ${fd} ${what}`, {
      cause,
      hint: "ListenStream in the socket unit has to be an absolute path",
    })
  let found: RegExpExecArray | undefined
  try {
    const { ino } = fstatSync(fd)
    const rows = readFileSync("/proc/net/unix", "utf8")
      .split("\n")
      .map((row) => ROW.exec(row) ?? undefined)
    found = rows.find((row) => row?.[3] === String(ino))
  } catch (cause) {
    throw refuse(`cannot be looked at: ${messageOf(cause)}`, cause)
  }
  const [, flags = "0", type, , path = ""] = found ?? []
  if ((Number.parseInt(flags, 16) & 0x10000) === 0 || type !== "0001") {
    throw refuse("is not a Unix socket that listens")
  }
  if (!isAbsolute(path)) throw refuse("has no path that could keep others out")
  checkSocketDirectory(dirname(path))
}

/** Num RefCount Protocol Flags Type St Inode Path. */
const ROW = /^\S+ \S+ \S+ (\S+) (\S+) \S+ +(\d+) ?(.*)$/
