/** What holds of device memory that is taken away. */
import type { Property } from "../../../checker/index.ts"
import type { DeviceWorld } from "../world.ts"

/** The pages in use of memory that is gone. */
const leftBehind = ({ gpus, folios }: DeviceWorld) =>
  gpus.flatMap(({ memory }) =>
    memory.state.gone
      ? folios.arena.slots.filter(({ live, index }) => live && folios.pgmaps.get(index) === memory)
      : [],
  )

export const memunmapProperties: ReadonlyArray<Property<DeviceWorld>> = [
  {
    kind: "invariant",
    id: "DEV-MEMUNMAP",
    statement: "When a device's memory has been taken away, no page of it is in use.",
    source: "mm/memremap.c: memunmap_pages",
    premise: ({ gpus }) => gpus.some(({ memory }) => memory.state.gone),
    holds: (world) => leftBehind(world).length === 0,
    explain: (world) =>
      leftBehind(world)
        .map(({ index }) => `Page ${index} is in use.`)
        .join(" "),
  },
]
