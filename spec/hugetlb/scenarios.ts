import { parameter, scenariosOf } from "../define.ts"
import { filledProperty, hugetlbProperties, mirrorProperty } from "./properties.ts"
import { hugetlbWorld } from "./world.ts"

const define = scenariosOf("hugetlb", hugetlbWorld, hugetlbProperties)
const pages = (initial: number) => parameter("pages of the file", initial, 2)
const stores = (initial: number) => parameter("stores of a process", initial, 2)

export const unmap = define(
  "unmap",
  "a process unmaps a file of huge pages whose page table it shares; then the other does, or a hole is punched",
  { pages: pages(1), stores: stores(1) },
  (bound) => ({ ...bound, migrates: false, unmaps: true, takesAway: true, mirrors: false, hole: false }),
)

export const migrate = define(
  "migrate",
  "a huge page migrates that two processes map by one page table, and store to, while a device mirrors one of them",
  { pages: pages(2), stores: stores(2) },
  (bound) => ({ ...bound, migrates: true, unmaps: false, takesAway: false, mirrors: true, hole: false }),
  [mirrorProperty],
)

export const migrateAndTake = define(
  "migrate-and-unmap",
  "a huge page migrates while one of two processes that share its page table goes, or a hole is punched",
  { pages: pages(1), stores: stores(1) },
  (bound) => ({ ...bound, migrates: true, unmaps: false, takesAway: true, mirrors: false, hole: false }),
)

export const fill = define(
  "fill",
  "two processes store to a hole of a file of huge pages at once, for which the pool has one page",
  { stores: stores(1) },
  (bound) => ({ ...bound, pages: 1, migrates: false, unmaps: false, takesAway: false, mirrors: false, hole: true }),
  [filledProperty],
)

export const hugetlbScenarios = [unmap, migrate, migrateAndTake, fill]
