import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Tests start git and gitsign; a machine that is busy with other things needs its time.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Half of the time a test waits for a process that it has started; one worker on two cores would leave them idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
  },
})
