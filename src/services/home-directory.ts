/**
 * The person's home directory.
 *
 * @module
 */

import { statSync } from "node:fs"
import { homedir } from "node:os"

/**
 * The directory that HOME names, else the account's; undefined where there is none, as for a user that is a number without an account in a
 * container, or for one of a service.
 */
export function homeDirectory(env: Readonly<Record<string, string | undefined>>): string | undefined {
  try {
    const home = env.HOME || homedir()
    return statSync(home).isDirectory() ? home : undefined
  } catch {
    return undefined
  }
}
