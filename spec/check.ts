/** `npm run check`. */
import { main } from "../checker/cli/main.ts"
import { registry } from "./registry.ts"

main(registry, undefined, new URL("./registry.ts", import.meta.url).href)
