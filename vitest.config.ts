import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Tests start git and gitsign; a machine that is busy with other things needs its time.
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
