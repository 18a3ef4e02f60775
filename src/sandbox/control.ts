/**
 * How a running sandbox tells about itself, and how it is told to stop.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto"
import { json, type Reply, type Route, refuse, type SandboxRequest } from "./http-server.ts"
import type { SandboxState } from "./state.ts"

/** Where the sandbox tells about itself, and where it is told to stop. */
export const STATUS_PATH = "/sandbox/status"
export const STOP_PATH = "/sandbox/stop"

/** What {@link STATUS_PATH} answers with. */
export interface SandboxStatus {
  /** Proves that the answer is from the sandbox of this state and not from another program on its port. */
  readonly instance: string
  readonly pid: number
  /** ISO 8601. */
  readonly started: string
  /** Entries in the Rekor log and in the CT log. */
  readonly entries: { readonly rekor: number; readonly ctLog: number }
}

/** A public name for the sandbox's identity. */
export const instanceOf = (state: SandboxState): string =>
  createHash("sha256").update(`instance ${state.controlSecret}`).digest("hex").slice(0, 32)

/** The routes that tell about the sandbox and stop it. */
export function controlRoutes(
  state: SandboxState,
  logs: Readonly<Record<"ctLog" | "rekor", { size(): number }>>,
  stop: () => void,
): Route[] {
  const started = new Date().toISOString()
  const status = (): Reply => {
    const answer: SandboxStatus = {
      instance: instanceOf(state),
      pid: process.pid,
      started,
      entries: { rekor: logs.rekor.size(), ctLog: logs.ctLog.size() },
    }
    return json(200, answer)
  }
  const handleStop = ({ headers }: SandboxRequest): Reply => {
    const digest = (text: string): Buffer => createHash("sha256").update(text).digest()
    if (!timingSafeEqual(digest(headers.authorization ?? ""), digest(`Bearer ${state.controlSecret}`))) {
      return refuse(401, "only the owner of the state directory may stop the sandbox")
    }
    stop()
    return json(200, { stopping: true })
  }
  return [
    { method: "GET", path: STATUS_PATH, handle: status },
    { method: "POST", path: STOP_PATH, handle: handleStop },
  ]
}
