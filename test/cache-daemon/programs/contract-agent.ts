/**
 * The real agent as a process for the contract: `contract-agent.mjs SOCKET MAX-SIGNATURES LIFETIME`, with its restricted socket.
 *
 * @module
 */

import { runAgent } from "../../../cache-daemon/process.ts"
import { extraSocketPath } from "../../../cache-daemon/socket-path.ts"
import { createHttpClient } from "../../../src/services/http.ts"

const [socket = "", maxSignatures, lifetime] = process.argv.slice(2)
const status = await runAgent({
  socket,
  extraSocket: extraSocketPath(socket),
  activation: false,
  leaveWhenIdle: false,
  ready: () => process.stdout.write("ok\n"),
  env: process.env,
  program: "gitsign test",
  http: createHttpClient({ userAgent: "gitsign/test" }),
  settings: { maxSignatures: Number(maxSignatures), lifetime: Number(lifetime), confirm: false },
  log: (line) => process.stderr.write(`${line}\n`),
})
process.exit(status)
