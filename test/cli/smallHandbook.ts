/** The command line over two protocols, with the handbook's other pages: it starts in half the time. */
import { handbook } from "../../spec/handbook/index.ts"
import { blocks } from "../../spec/lease/blocks/index.ts"
import { pnfsStateids } from "../../spec/lease/client/index.ts"
import { begin } from "./inTurn.ts"

await begin([pnfsStateids, blocks], { handbook })
