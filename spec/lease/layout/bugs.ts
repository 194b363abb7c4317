import type { SeededBug } from "../../../checker/index.ts"
import type { LayoutWorld } from "./world.ts"

export const layoutBugs: ReadonlyArray<SeededBug<LayoutWorld>> = []
