/**
 * The specification of the agent, in this process.
 *
 * @module
 */

import { agentContract } from "./contract.ts"
import { memoryAgent } from "./memory-agent.ts"

agentContract("the agent in memory", async (limits) => memoryAgent({ limits }))
