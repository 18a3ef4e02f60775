/**
 * A push by somebody who writes the protocol by hand (gitprotocol-pack(5), "Pushing Data To a Server"): what it says of the old ids is
 * what a test makes it say.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import type { PushWorld } from "./push-world.ts"

/** One line of what is sent first. */
export interface RawUpdate {
  readonly ref: string
  /** What is claimed that the ref has so far. */
  readonly before: string
  readonly after: string
}

const packetOf = (line: string): string => `${(Buffer.byteLength(line) + 4).toString(16).padStart(4, "0")}${line}`

/** Pushes from the clone of a world to its server; returns all that the server said. */
export function rawPush({ clone, server, workspace }: PushWorld, updates: readonly RawUpdate[]): string {
  const { env } = workspace
  const ids = updates.map(({ after }) => after)
  const known = workspace.git(server, "for-each-ref", "--format=^%(objectname)")
  const pack = spawnSync("git", ["pack-objects", "--revs", "--stdout", "--quiet"], {
    cwd: clone,
    env,
    input: `${ids.join("\n")}\n${known}\n`,
  })
  const lines = updates.map(({ ref, before, after }, index) =>
    packetOf(`${before} ${after} ${ref}${index === 0 ? "\0report-status" : ""}`),
  )
  const input = Buffer.concat([Buffer.from(`${lines.join("")}0000`), pack.stdout])
  const { stdout, stderr } = spawnSync("git", ["receive-pack", server], { cwd: clone, env, input })
  return `${stdout}${stderr}`
}
