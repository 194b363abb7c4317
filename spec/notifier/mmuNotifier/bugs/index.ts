import { deviceBugs } from "./devices.ts"
import { lifeBugs } from "./life.ts"
import { omissions } from "./omissions.ts"
import { rangeBugs } from "./ranges.ts"
import { tornBugs } from "./torn.ts"

export const mmuNotifierBugs = [...rangeBugs, ...lifeBugs, ...deviceBugs, ...omissions, ...tornBugs]
