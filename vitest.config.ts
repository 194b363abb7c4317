import { defineConfig } from "vitest/config"

export default defineConfig({
  // Both cores of a small machine: by default one of two would be left idle.
  test: {
    maxWorkers: "100%",
    include: ["test/**/*.test.ts"],
    // For what never ends: how long the rest takes depends on the machine.
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
  },
})
