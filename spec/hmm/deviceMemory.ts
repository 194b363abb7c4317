/** A page of a process in the memory of a device, from the beginning. */
import { driverPgmaps } from "../../model/deviceMemory/pgmap.ts"
import { gpuDevice } from "../../model/driver/gpu.ts"
import { folioOf, folioPut, frameOf } from "../../model/mm/folio.ts"
import type { Mm } from "../../model/mm/mm.ts"
import { present } from "../../model/mm/pte.ts"
import { at } from "../../model/mm/range.ts"

/** Moves a page, which is the process's alone, to the only device memory of the system. Before anything runs. */
export const toDeviceMemory = (mm: Mm, va: number): void => {
  const { folios } = mm.system
  const [memory] = driverPgmaps(folios)
  const entry = at(mm.pte, va)
  if (memory === undefined || entry.value?.kind !== "present") throw new RangeError("there is no page to be moved")
  // The one who brings its pages back.
  gpuDevice(mm, memory.owner, memory)
  const old = entry.value.page
  const source = folioOf(folios, old)
  const folio = folios.arena.allocate(({ index }) => folios.pgmaps.get(index) === memory)
  if (folio === undefined) throw new RangeError("the device has no memory")
  const { mapping, offset, content, memcg } = source
  Object.assign(folio, { mapping, offset, content, memcg, anonExclusive: true, refcount: 1, mapcount: 1 })
  source.memcg = ""
  source.mapcount = 0
  folioPut(folios, old)
  memory.state.refs++
  const page = frameOf(folio)
  const mapped = memory.type === "coherent"
  entry.value = mapped ? present(page, "write", { dirty: true }) : { kind: "private", page, write: true }
  for (const cache of mm.tlbs.values()) at(cache, va).value = mapped ? { page, write: true, dirty: true } : null
}
