/**
 * Starts an agent as a commit does: `spawn.mjs SOCKET COMMAND ARGUMENTS...`, and prints `started` or what went wrong.
 *
 * @module
 */

import { startAgent } from "../../../cache-daemon/spawn.ts"
import { isGitsignError } from "../../../src/errors.ts"

const [socket = "", command = "", ...args] = process.argv.slice(2)
try {
  await startAgent({ command, args, socket, env: process.env })
  process.stdout.write("started\n")
} catch (error) {
  process.stdout.write(isGitsignError(error) ? `${error.code} ${error.message}; ${error.hint}\n` : `${error}\n`)
}
// What keeps this process from ending would keep git waiting.
