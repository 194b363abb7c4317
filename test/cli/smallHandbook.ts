/** The command line over two protocols, with the handbook's other pages: it starts in half the time. */
import { main } from "../../checker/cli/main.ts"
import { handbook } from "../../spec/handbook/index.ts"
import { blocks } from "../../spec/lease/blocks/index.ts"
import { pnfsStateids } from "../../spec/lease/client/index.ts"

main([pnfsStateids, blocks], { handbook })
