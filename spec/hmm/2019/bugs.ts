import type { SeededBug } from "../../../checker/index.ts"
import type { Hmm2019World } from "./world.ts"

export const hmm2019Bugs: ReadonlyArray<SeededBug<Hmm2019World>> = []
