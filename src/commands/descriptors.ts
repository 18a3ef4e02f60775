/**
 * Descriptors that a caller names, looked at before anything is written to them (proc(5) for what Linux tells of them).
 *
 * @module
 */

import { constants, fstatSync, readdirSync, readFileSync, readlinkSync, readSync, statSync, writeSync } from "node:fs"
import { GitsignError, reasonOf } from "../errors.ts"

const STDOUT = 1
const STDERR = 2
const O_ACCMODE = 3

/**
 * Proves that stdout can be written to; writes nothing.
 *
 * @throws ERR_IO when it cannot
 */
export function checkStdout(): void {
  checkDescriptor(STDOUT, "stdout")
  if (wasClosed(STDOUT)) throw new GitsignError("ERR_IO", "cannot write to stdout: it is closed")
}

/**
 * Proves that the descriptor of `--status-fd`, if there is one, is the caller's and can be written to; writes nothing.
 *
 * @throws ERR_IO when it cannot
 */
export function checkStatusFd(fd: number | undefined): void {
  if (fd !== undefined) checkDescriptor(fd, `the descriptor of --status-fd ${fd}`)
}

/**
 * Proves that a descriptor is the caller's and can be written to; writes nothing.
 *
 * @param name what the descriptor is, for the message
 * @throws ERR_IO when it is not
 */
function checkDescriptor(fd: number, name: string): void {
  if (isOwn(fd)) throw new GitsignError("ERR_IO", `cannot write to ${name}: it is closed`)
  try {
    fstatSync(fd)
    // Writes nothing, but fails where nothing can be written.
    writeSync(fd, Buffer.alloc(0))
  } catch (cause) {
    throw new GitsignError("ERR_IO", `cannot write to ${name}: ${reasonOf(cause)}`, { cause })
  }
}

/**
 * Whether a descriptor is the runtime's own and not the caller's, where the system tells (Linux): one of the event loop's, or
 * a pipe that this process can read itself. Writing into those ends in a crash.
 */
function isOwn(fd: number): boolean {
  if (fd <= STDERR) return false
  try {
    const target = readlinkSync(`/proc/self/fd/${fd}`)
    if (target.startsWith("anon_inode:")) return true
    if (!target.startsWith("pipe:")) return false
    return readdirSync("/proc/self/fd").some((other) => isReadEnd(other, target))
  } catch {
    return false
  }
}

function isReadEnd(fd: string, pipe: string): boolean {
  try {
    const [, flags = "1"] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1")) ?? []
    return (
      readlinkSync(`/proc/self/fd/${fd}`) === pipe && (Number.parseInt(flags, 8) & O_ACCMODE) === constants.O_RDONLY
    )
  } catch {
    // The descriptor that listed the folder is gone.
    return false
  }
}

/**
 * Whether the process was started with this descriptor closed. The runtime then puts /dev/null there, open for reading as
 * well, which no shell's `> /dev/null` is.
 */
function wasClosed(fd: number): boolean {
  const status = fstatSync(fd)
  const discards = statSync("/dev/null", { throwIfNoEntry: false })
  if (!status.isCharacterDevice() || status.rdev !== discards?.rdev) return false
  try {
    readSync(fd, Buffer.alloc(1))
    return true
  } catch {
    return false
  }
}
