/**
 * The specification of the agent, one for all ways to reach it: what it does with requests, and what it never does.
 *
 * @module
 */

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest"
import type { CredentialLimits } from "../../cache-daemon/protocol.ts"
import { type AgentUnderTest, type Client, type MakeAgent, NO_LIMITS, World } from "./agent-world.ts"
import { controlContract } from "./contract-control.ts"
import { loginContract } from "./contract-logins.ts"
import { signingContract } from "./contract-signing.ts"

/** What every part of the specification works with. */
export interface ContractTools {
  readonly world: () => World
  /** An agent that is there until the test ends. */
  agent(limits?: Partial<CredentialLimits>): Promise<AgentUnderTest>
  /** A connection to an agent of its own. */
  client(limits?: Partial<CredentialLimits>): Promise<Client>
}

/** Runs the specification against the agents that `makeAgent` makes. */
export function agentContract(name: string, makeAgent: MakeAgent): void {
  describe(name, () => {
    let world: World
    const agents: AgentUnderTest[] = []

    beforeAll(async () => {
      world = await World.start()
    })

    afterAll(async () => {
      await world?.close()
    })

    const agent = async (limits: Partial<CredentialLimits> = {}): Promise<AgentUnderTest> => {
      const made = await makeAgent({ ...NO_LIMITS, ...limits })
      agents.push(made)
      onTestFinished(() => made.close())
      return made
    }
    const client = async (limits?: Partial<CredentialLimits>): Promise<Client> => (await agent(limits)).connect()
    const tools = { world: () => world, agent, client }

    signingContract(tools)
    loginContract(tools)
    controlContract(tools)

    test("no token, pass phrase or key was in any of its messages or its log", () => {
      expect(world.secrets.length).toBeGreaterThan(10)
      expect(world.heard.length).toBeGreaterThan(10)
      const said = [...world.heard, ...agents.map((one) => one.logged())].join("\n")
      for (const secret of world.secrets) expect(said.includes(secret), "a secret was said").toBe(false)
      expect(said).not.toContain("PRIVATE KEY")
    })
  })
}
