/**
 * A lock for the moment in which an agent takes its place: of all that start at once, one at a time looks and acts.
 *
 * It is a symbolic link whose target names its owner: made in one step, with its content, and only where nothing is.
 *
 * @module
 */

import { randomBytes } from "node:crypto"
import { readFileSync, readlinkSync, symlinkSync, unlinkSync } from "node:fs"
import { setTimeout as wait } from "node:timers/promises"
import { GitsignError } from "../src/errors.ts"
import { placeReason } from "./socket-directory.ts"

/** How long others may hold it, in milliseconds: they need a few. */
const MAX_WAIT_MS = 5000

/** How often in a row the process that takes over a lock may have died while it did so. */
const MAX_DEPTH = 3

/**
 * Runs `act` while this process alone holds the lock at `path`. The lock of a process that is dead is taken over.
 *
 * @throws ERR_AGENT when another process holds it for 5 s
 * @throws ERR_AGENT_SOCKET when it cannot be made
 */
export async function withStartLock<T>(path: string, act: () => Promise<T>): Promise<T> {
  const mine = describeSelf()
  const deadline = performance.now() + MAX_WAIT_MS
  while (!tryLock(path, mine)) {
    if (!breakDeadLock(path)) await wait(5 + Math.random() * 20)
    if (performance.now() > deadline) {
      const owner = ownerOf(path)
      throw new GitsignError("ERR_AGENT", `another agent has been starting for ${MAX_WAIT_MS / 1000} s`, {
        hint: `if there is no process ${owner?.split(".", 1)[0] ?? ""} of gitsign, remove ${path}`,
      })
    }
  }
  try {
    return await act()
  } finally {
    if (ownerOf(path) === mine) unlinkSync(path)
  }
}

function tryLock(path: string, mine: string): boolean {
  try {
    symlinkSync(mine, path)
    return true
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EEXIST") return false
    throw new GitsignError("ERR_AGENT_SOCKET", `the agent's lock ${path} cannot be made: ${placeReason(cause)}`, {
      cause,
    })
  }
}

/**
 * Removes a lock whose owner is dead; returns whether it did. Two that find it dead must not both remove it, the second one's unlink
 * would hit the lock that the first has just made. So the right to remove this very lock is a lock itself, named after it: whoever gets
 * it looks again, and nobody else can remove or make anything in between.
 */
function breakDeadLock(path: string, depth = 0): boolean {
  const owner = ownerOf(path)
  if (owner === undefined || depth > MAX_DEPTH || isAlive(owner)) return false
  const claim = `${path}.${nonceOf(owner)}`
  const mine = describeSelf()
  if (!tryLock(claim, mine)) return breakDeadLock(claim, depth + 1)
  const still = ownerOf(path) === owner
  if (still) unlinkSync(path)
  unlinkSync(claim)
  return still
}

/** `PID.START.NONCE`, where START tells two processes with the same number apart. */
const describeSelf = (): string => `${process.pid}.${startOf(process.pid) ?? ""}.${randomBytes(8).toString("hex")}`

const nonceOf = (owner: string): string => owner.split(".")[2]?.replace(/[^0-9a-f]/g, "") ?? ""

function ownerOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

function isAlive(owner: string): boolean {
  const [pid = "", start = ""] = owner.split(".")
  if (!/^[1-9]\d{0,9}$/.test(pid)) return false
  try {
    process.kill(Number(pid), 0)
  } catch {
    // The directory is ours alone: a process that we may not signal has only got the number.
    return false
  }
  const now = startOf(Number(pid))
  return start === "" || now === undefined || now === start
}

/** When a process was started, in ticks since boot (proc(5)); undefined where there is no /proc, or it has ended. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name, in parentheses, may hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return fields[0] === "Z" ? "dead" : fields[19]
  } catch {
    return undefined
  }
}
