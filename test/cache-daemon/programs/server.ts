/**
 * The agent's server with a handler of a few lines behind it: `server.mjs SOCKET LIMITS-AS-JSON`. It knows no agent.
 *
 * `lock` with a pass phrase is an order here: `wait:MS` answers after that time, `ask` asks for a token and waits for it, `log:MS`
 * says that the log may have an entry before it waits, `flood:N` sends N messages of 64 KiB, `ask:MS` gives up after that time.
 *
 * With a second path there is a restricted socket.
 *
 * @module
 */

import { setTimeout as wait } from "node:timers/promises"
import type { Conversation } from "../../../cache-daemon/agent.ts"
import { listenAt } from "../../../cache-daemon/listen.ts"
import { loadPeerCheck } from "../../../cache-daemon/peer.ts"
import type { Request } from "../../../cache-daemon/protocol.ts"
import { AgentServer } from "../../../cache-daemon/server.ts"

const [path = "", limits = "{}", restrictedPath] = process.argv.slice(2)

async function handle(request: Request, conversation: Conversation): Promise<void> {
  if (request.type === "stop") return
  if (request.type === "warm") await wait(1000)
  if (request.type === "lock") await obey(request.passphrase, conversation)
  else if (request.type !== "status")
    await conversation.send({ type: "error", code: "ERR_AGENT", message: request.type, hint: undefined })
  else {
    const { restricted } = conversation
    const [credentials, started, pid] = [server.connections, Math.round(process.memoryUsage.rss() / 1024), process.pid]
    await conversation.send({ type: "status", state: "cold", credentials, program: "server", pid, started, restricted })
  }
}

async function obey(order: string, conversation: Conversation): Promise<void> {
  const [verb, argument] = order.split(":")
  conversation.gone.addEventListener("abort", () => process.stderr.write(`gone during ${order}\n`), { once: true })
  if (verb === "log") await conversation.send({ type: "logging" })
  if (verb === "log" || verb === "wait") await wait(Number(argument))
  if (verb === "flood") {
    for (let index = 0; index < Number(argument); index++) {
      if (!(await conversation.send({ type: "consent_needed", text: "x".repeat(64 * 1024) }))) return
    }
  }
  if (verb === "ask") {
    await conversation.send({ type: "token_needed" })
    const enough = argument === undefined ? new AbortController().signal : AbortSignal.timeout(Number(argument))
    const answer = await conversation.receive(enough).catch(() => undefined)
    process.stderr.write(`answer ${answer?.type}\n`)
  }
  const delivered = await conversation.send({ type: "done" })
  process.stderr.write(`delivered ${delivered}\n`)
}

const server = new AgentServer({
  program: "server 1",
  handle,
  stop: () => remove(),
  stopped: () => process.exit(0),
  mayConnect: await loadPeerCheck(),
  log: (line) => process.stderr.write(`${line}\n`),
  limits: JSON.parse(limits),
})
const sockets = [await listenAt(server.add(false), path)]
if (restrictedPath !== undefined) sockets.push(await listenAt(server.add(true), restrictedPath))
const remove = (): void => {
  for (const socket of sockets) socket?.remove()
}
process.on("SIGTERM", () => {
  remove()
  void server.close().then(() => process.exit(0))
})
process.stdout.write("ok\n")
