/**
 * An agent that did not run for more than a minute, as on a machine that was put to sleep, has forgotten its keys. It runs only when
 * GITSIGN_TEST_LONG is set; nearly all of its time is spent waiting, beside other tests.
 *
 * @module
 */

import { expect, test } from "vitest"
import { agentStatus, stopAgent, withAgent } from "./agent-harness.ts"
import { startServices, Workspace } from "./harness.ts"

test.skipIf(process.env.GITSIGN_TEST_LONG === undefined || process.platform === "win32")(
  "an agent that slept for more than a minute has no keys any more (GITSIGN_TEST_LONG)",
  async () => {
    const services = await startServices()
    const workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: await services.token() })
    withAgent(workspace)
    try {
      const warm = workspace.gitsign(workspace.root, "agent", "warm")
      expect(warm.status, warm.stderr).toBe(0)
      const before = agentStatus(workspace)
      expect(before.state).toBe("warm")
      process.kill(Number(before.pid), "SIGSTOP")
      await new Promise((done) => setTimeout(done, 67_000))
      process.kill(Number(before.pid), "SIGCONT")
      expect(agentStatus(workspace)).toMatchObject({ pid: before.pid, state: "cold" })
    } finally {
      stopAgent(workspace)
      workspace.close()
      await services.close()
    }
  },
  120_000,
)
