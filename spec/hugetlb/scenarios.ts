import { parameter, scenariosOf } from "../define.ts"
import { filledProperty, hugetlbProperties, migrationProperties, mirrorProperty } from "./properties.ts"
import { hugetlbWorld } from "./world.ts"

const define = scenariosOf("hugetlb", hugetlbWorld, hugetlbProperties)
const pages = (initial: number) => parameter("pages of the file", initial, 2)
const stores = (initial: number) => parameter("stores of a process", initial, 2)
const storesOf = (process: string) => parameter(`stores of the ${process} process`, 2, 2, 0)
const whether = (what: string) => parameter(`whether ${what}`, 1, 1, 0)

/** What a scenario has happen, it says. */
const nothing = { migrates: false, unmaps: false, takesAway: false, mirrors: false, hole: false }

export const unmap = define(
  "unmap",
  "a process unmaps a file of huge pages whose page table it shares; then the other does, or a hole is punched",
  { pages: pages(1), stores: stores(1), unmaps: whether("the first process unmaps the file") },
  ({ pages, stores, unmaps }) => ({
    ...nothing,
    pages,
    stores: [stores, 0],
    unmaps: unmaps === 1,
    takesAway: true,
  }),
)

export const migrate = define(
  "migrate",
  "a huge page migrates that two processes map by one page table, and store to, while a device mirrors one of them",
  {
    pages: pages(2),
    first: storesOf("first"),
    second: storesOf("second"),
    mirrors: whether("a device mirrors the first process"),
  },
  ({ pages, first, second, mirrors }) => ({
    ...nothing,
    pages,
    stores: [first, second],
    migrates: true,
    mirrors: mirrors === 1,
  }),
  [...migrationProperties, mirrorProperty],
)

export const migrateAndTake = define(
  "migrate-and-unmap",
  "a huge page migrates while one of two processes that share its page table goes, or a hole is punched",
  { pages: pages(1), stores: stores(1) },
  ({ pages, stores }) => ({ ...nothing, pages, stores: [stores, 0], migrates: true, takesAway: true }),
  migrationProperties,
)

export const fill = define(
  "fill",
  "two processes store to a hole of a file of huge pages at once, for which the pool has one page",
  { stores: stores(1) },
  ({ stores }) => ({ ...nothing, pages: 1, stores: [stores, stores], hole: true }),
  [filledProperty],
)

export const hugetlbScenarios = [unmap, migrate, migrateAndTake, fill]
