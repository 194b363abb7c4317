import type { Registry } from "../checker/index.ts"
import { odp } from "./driver/odp/index.ts"
import { odp2014 } from "./driver/odp2014/index.ts"
import { memoryManagement } from "./mm/index.ts"
import { notifier2008 } from "./notifier/2008/index.ts"
import { intervalNotifier } from "./notifier/interval/index.ts"
import { synchronisation } from "./sync/index.ts"

/** The protocols that the command line knows. */
export const registry: Registry = [synchronisation, intervalNotifier, notifier2008, odp, odp2014, memoryManagement]
