/** The command line over no scenarios but those in files that it is given. */
import { begin } from "./inTurn.ts"

await begin([])
