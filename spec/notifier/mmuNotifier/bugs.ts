import type { SeededBug } from "../../../checker/index.ts"
import type { MmuNotifierWorld } from "./world.ts"

export const mmuNotifierBugs: ReadonlyArray<SeededBug<MmuNotifierWorld>> = []
