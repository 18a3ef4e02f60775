/**
 * The client as a process: `client.mjs SOCKET [N]` sends N other requests, asks for the status and prints the answer as JSON, or why there is none.
 *
 * @module
 */

import { connectAgent } from "../../../cache-daemon/connect.ts"
import { AgentUnreachable } from "../../../cache-daemon/unreachable.ts"
import { isGitsignError } from "../../../src/errors.ts"

const [path = "", many = "0"] = process.argv.slice(2)
const began = performance.now()
const say = (what: object): void => {
  process.stdout.write(`${JSON.stringify({ ...what, ms: Math.round(performance.now() - began) })}\n`)
  process.exit(0)
}
try {
  const channel = await connectAgent(path, { program: "client 1", timeoutMs: 2000 })
  for (let index = 0; index < Number(many); index++)
    channel.send({ type: "no_token", outcome: "failed", code: "", message: "x".repeat(4000) })
  channel.send({ type: "status" })
  let reply = await channel.receive(5000)
  for (let index = 0; index < Number(many); index++) reply = await channel.receive(5000)
  say({ reply, restricted: channel.restricted })
} catch (error) {
  if (error instanceof AgentUnreachable) say({ reason: error.reason, message: error.message })
  if (isGitsignError(error)) say({ code: error.code, message: error.message })
  throw error
}
