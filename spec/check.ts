/** `npm run check`. */
import { main } from "../checker/cli/main.ts"
import { benchmarks } from "./benchmark/index.ts"
import { handbook } from "./handbook/index.ts"
import { registry } from "./registry.ts"

main(registry, { benchmarks, handbook, module: new URL("./registry.ts", import.meta.url).href })
