/**
 * The real agent as a process: `agent.mjs SOCKET [--extra] [--activation] [--leave] [--defect]`. It ends after 0.5 s with nothing to do.
 *
 * @module
 */

import { writeSync } from "node:fs"
import { runAgent } from "../../../cache-daemon/process.ts"
import { extraSocketPath } from "../../../cache-daemon/socket-path.ts"
import { isGitsignError } from "../../../src/errors.ts"
import { createHttpClient } from "../../../src/services/http.ts"

const [socket = "", ...flags] = process.argv.slice(2)
// As the program around it does.
process.on("uncaughtException", () => process.exit(99))
if (flags.includes("--defect")) setTimeout(() => Promise.reject(new Error("a pass phrase")), 300)
try {
  const status = await runAgent({
    socket,
    extraSocket: flags.includes("--extra") ? extraSocketPath(socket) : undefined,
    activation: flags.includes("--activation"),
    leaveWhenIdle: flags.includes("--leave"),
    ready: () => process.stdout.write("ok\n"),
    env: process.env,
    program: "agent 1",
    http: createHttpClient({ userAgent: "test" }),
    settings: { maxSignatures: 0, lifetime: 0, confirm: flags.includes("--confirm") },
    log: (line) => {
      writeSync(2, `${line}\n`)
      if (flags.includes("--full-disk")) throw new Error("ENOSPC")
    },
    idleMs: 500,
    tickMs: 100,
  })
  process.exit(status)
} catch (error) {
  process.stdout.write(`${isGitsignError(error) ? `${error.code} ${error.message}; ${error.hint}` : error}\n`)
  process.exit(isGitsignError(error) ? error.exitStatus : 70)
}
