import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

/** Hundreds of processes at once, and an agent that has to answer each in time: these run when nothing else does. */
const CROWDED = ["test/e2e/agent.test.ts", "test/e2e/agent-faults.test.ts", "test/e2e/agent-long.test.ts"]

export default defineConfig({
  test: {
    // Tests start git and gitsign; a machine that is busy with other things needs its time.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "tests",
          include: ["test/**/*.test.ts"],
          exclude: CROWDED,
          // Half of the time a test waits for a process that it has started; one worker on two cores would leave them idle.
          maxWorkers: Math.max(2, availableParallelism() - 1),
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: "crowded", include: CROWDED, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
})
