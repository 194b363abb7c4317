/** Devices that walk the CPU's page table. */
import * as Effect from "effect/Effect"
import { svaAccess } from "../../../model/driver/sva.ts"
import { at } from "../../../model/mm/range.ts"
import { munmap } from "../../../model/mm/unmap.ts"
import { anonymous } from "../../../model/mm/vma.ts"
import { operation } from "../operations.ts"
import { otherPage, page, prepare } from "../pages.ts"
import { svaProperties } from "../properties/translations.ts"
import { raceOf } from "./race.ts"

export const svaPermissionUpgrade = raceOf({
  name: "sva-permission-upgrade",
  summary:
    "a device stores to a page that the process has to itself and that is mapped for reading, as after a load from swap",
  pages: ["anon"],
  operations: [operation("sva-store")],
  properties: svaProperties,
  layOut: ({ parent }) => {
    const pte = parent.pte[page]
    if (pte?.value?.kind === "present") pte.value = { ...pte.value, access: "read" }
    for (const cache of parent.tlbs.values()) for (const entry of cache) entry.value = null
  },
})

export const svaTwoAreas = raceOf({
  name: "sva-two-areas",
  summary: "munmap of two areas, each flushed by itself, while a device walks the page table",
  pages: ["anon"],
  operations: [
    {
      id: "munmap-both",
      actor: "cpu",
      pages: ["anon"],
      run: ({ parent }) => munmap(parent, { start: page, end: otherPage + 1 }),
    },
    {
      id: "sva-loads",
      actor: "sva",
      pages: ["anon"],
      run: Effect.fnUntraced(function* (world, name) {
        const device = world.svaDevices.find((one) => one.name === name)
        if (device === undefined) return
        yield* svaAccess(device, page)
        yield* svaAccess(device, otherPage)
      }),
    },
  ],
  mergesVmas: false,
  properties: svaProperties,
  // A third area, of which nothing is mapped, keeps the page table.
  mmPages: 3,
  pagesPerTable: 3,
  layOut: (world) => {
    prepare(world, otherPage, "anon")
    const second = at(world.parent.vma, otherPage)
    if (second.value !== null) second.value = { ...second.value, locked: true }
    at(world.parent.vma, otherPage + 1).value = { ...anonymous, pgoff: otherPage + 1 }
  },
})
