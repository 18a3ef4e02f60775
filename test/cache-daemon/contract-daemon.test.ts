/**
 * The specification of the agent as a process behind its sockets, on both runtimes.
 *
 * @module
 */

import { join } from "node:path"
import { beforeAll, expect } from "vitest"
import { connectAgent } from "../../cache-daemon/connect.ts"
import { extraSocketPath } from "../../cache-daemon/socket-path.ts"
import type { AgentUnderTest, Client } from "./agent-world.ts"
import { agentContract } from "./contract.ts"
import { buildPrograms, RUNTIMES, type Runtime, startReady, temporaryFolder } from "./programs.ts"

/** How long a client waits for a reply, in milliseconds. */
const WAIT_MS = 30_000

let script = ""
let folder = ""
let count = 0

beforeAll(async () => {
  folder = temporaryFolder()
  script = (await buildPrograms("contract-agent"))["contract-agent"]
})

async function connect(socket: string): Promise<Client> {
  const channel = await connectAgent(socket, { program: "gitsign test", timeoutMs: 5000 })
  return {
    send: (request) => channel.send(request),
    receive: () => channel.receive(WAIT_MS),
    close: () => channel.close(),
  }
}

const daemon =
  (runtime: Runtime) =>
  async (limits: { signatures: number; lifetime: number }): Promise<AgentUnderTest> => {
    // Its directory is made by the agent itself, as it has to be.
    const socket = join(folder, `${count++}`, "agent.sock")
    const args = [script, socket, String(limits.signatures), String(limits.lifetime)]
    const program = await startReady(runtime.command, args)
    const clients = new Set<Client>()
    return {
      connect: async ({ restricted = false } = {}) => {
        const client = await connect(restricted ? extraSocketPath(socket) : socket)
        clients.add(client)
        return client
      },
      logged: () => program.output.stderr,
      close: async () => {
        try {
          for (const client of clients) client.close()
          const last = await connect(socket)
          last.send({ type: "stop" })
          expect(await last.receive()).toEqual({ type: "done" })
          last.close()
          expect(await program.ended).toBe(0)
        } finally {
          program.child.kill("SIGKILL")
        }
      },
    }
  }

for (const runtime of RUNTIMES) agentContract(`the agent as a process of ${runtime.name}`, daemon(runtime))
