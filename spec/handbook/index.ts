/** What the handbook has besides the protocols: designs against each other, and guides. */
import type { HandbookSource } from "../../checker/index.ts"

export const handbook: HandbookSource = {
  comparisons: [],
  chapters: [],
  sources: { root: new URL("../../", import.meta.url), model: "model", specs: "spec" },
}
