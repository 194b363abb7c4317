import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    // Vitest itself would leave one core idle.
    maxWorkers: "100%",
    include: ["test/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
