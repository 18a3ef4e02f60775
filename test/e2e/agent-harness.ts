/**
 * What the tests of the signing agent share: an agent that belongs to one workspace, and a person who logs in.
 *
 * @module
 */

import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { EMAIL, type Workspace } from "./harness.ts"

/** Switches the agent on for a workspace; returns the file in which logins are counted. */
export function withAgent(workspace: Workspace): string {
  const runtime = join(workspace.root, "run")
  mkdirSync(runtime, { mode: 0o700 })
  workspace.env.XDG_RUNTIME_DIR = runtime
  workspace.git(workspace.root, "config", "--global", "gitsign.credentialCache", "auto")
  return join(workspace.root, "logins")
}

/** The socket of the workspace's agent. */
export const socketOf = (workspace: Workspace): string =>
  join(workspace.env.XDG_RUNTIME_DIR ?? "", "gitsign/agent.sock")

/** The variables with which a login is answered at once, as `email`. */
export function loginEnvironment(logins: string, email = EMAIL): Record<string, string> {
  const browser = resolve(import.meta.dirname, "browser.mjs")
  return {
    GITSIGN_URL_OPENER: `"${process.execPath}" "${browser}" continue ${email} {{.URL}}`,
    GITSIGN_TEST_LOGINS: logins,
  }
}

/** How many logins there were. */
export const loginsIn = (file: string): number =>
  existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n").length : 0

/** What `gitsign agent status --format json` says. */
export function agentStatus(workspace: Workspace): Record<string, unknown> & { pid?: number; state: string } {
  const ran = workspace.gitsign(workspace.root, "agent", "status", "--format", "json")
  if (ran.status !== 0) throw new Error(`gitsign agent status exited ${ran.status}\n${ran.stderr}`)
  return JSON.parse(ran.stdout)
}

/** Ends the agent, if there is one. */
export function stopAgent(workspace: Workspace): void {
  if (existsSync(socketOf(workspace))) workspace.gitsign(workspace.root, "agent", "stop")
}
