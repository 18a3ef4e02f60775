/**
 * Moves refs all at once or not at all (git-update-ref(1), `--stdin`).
 *
 * @module
 */

import { spawn } from "node:child_process"
import { GitsignError } from "../errors.ts"
import { type GitContext, startError } from "./run.ts"

/** One ref, and where it goes. */
export interface RefUpdate {
  /**
   * `refs/…`, or `HEAD` where it is detached: HEAD itself is moved, and no branch behind it. As bytes where it may be no UTF-8: git takes
   * any bytes for a name.
   */
  readonly ref: string | Uint8Array
  /** Where it has to be now; undefined: it must not exist. */
  readonly from: string | undefined
  /** Undefined: it is deleted. */
  readonly to: string | undefined
}

const MAX_STDERR = 64 * 1024

/**
 * Moves all refs, or none when one of them is not where it has to be, is locked, or a hook refuses.
 *
 * Ctrl-C in a terminal does not reach the git that does it: ended in its middle it could leave some refs moved.
 *
 * @param reason for the reflog
 * @throws ERR_RESIGN when git moves none
 */
export async function updateRefs(
  context: GitContext,
  updates: readonly RefUpdate[],
  reason: string,
  objectFormat: "sha1" | "sha256",
): Promise<void> {
  const none = "0".repeat(objectFormat === "sha1" ? 40 : 64)
  const commands = updates.flatMap(({ ref, from = none, to }) => {
    const verb = `${ref === "HEAD" ? "option no-deref\0" : ""}${to === undefined ? "delete" : "update"} `
    return [Buffer.from(verb), Buffer.from(ref), Buffer.from(`\0${to === undefined ? "" : `${to}\0`}${from}\0`)]
  })
  const child = spawn("git", ["update-ref", "-m", reason, "--stdin", "-z"], {
    cwd: context.cwd,
    env: { ...context.env, LC_ALL: "C" },
    stdio: ["pipe", "ignore", "pipe"],
    detached: true,
    windowsHide: true,
  })
  const chunks: Buffer[] = []
  let size = 0
  child.stderr.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size <= MAX_STDERR) chunks.push(chunk)
  })
  child.stdin.on("error", () => undefined)
  // Without these git takes the end of what it reads for the end of what is meant, also when this process was ended in its middle.
  child.stdin.end(Buffer.concat([Buffer.from("start\0"), ...commands, Buffer.from("commit\0")]))
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", (error) => reject(startError(error)))
    child.on("close", resolve)
  })
  if (status === 0) return
  const stderr = Buffer.concat(chunks).toString("utf8").trim()
  const why = stderr.replace(/^(fatal|error): /gm, "").replaceAll("\n", "; ") || `it ended with ${status}`
  throw new GitsignError("ERR_RESIGN", `git did not move the refs: ${why}`)
}
