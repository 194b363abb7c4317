import { defineConfig } from "vitest/config"

export default defineConfig({
  // Both cores of a small machine: by default one of two would be left idle.
  test: { maxWorkers: "100%", include: ["test/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 },
})
