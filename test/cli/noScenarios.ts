/** The command line over no scenarios but those in files that it is given. */
import { main } from "../../checker/cli/main.ts"

main([])
