/** The invariants of hmm_range_fault with an array of requests, and of the device that goes by its answers. */
import type { Property } from "../../../checker/index.ts"
import { pgmapOf } from "../../../model/deviceMemory/pgmap.ts"
import type { HmmEntry } from "../../../model/hmm/rangeFault.ts"
import type { Frame } from "../../../model/mm/folio.ts"
import { type Mapping, mappingProperties } from "../../driver/mappings.ts"
import type { RequestsWorld } from "./world.ts"

type Spec = Property<RequestsWorld>

const mappings = ({ device }: RequestsWorld): ReadonlyArray<Mapping> =>
  device.pageTable.flatMap(({ value }, hva) =>
    value === null ? [] : [{ ...value, where: `the table of ${device.name}`, hva }],
  )

/** The pages of which the array is not as it should be in the middle of a call. */
const outOfPlace = ({ device, record: { state } }: RequestsWorld): ReadonlyArray<number> =>
  state.running
    ? device.hmmPfns.flatMap(({ value }, va) => {
        const expected = va < state.last ? state.outputs[va] : state.inputs[va]
        return expected === undefined || same(value, expected) ? [] : [va]
      })
    : []

const same = (a: HmmEntry, b: HmmEntry): boolean =>
  a.valid === b.valid &&
  a.write === b.write &&
  a.error === b.error &&
  a.page?.pfn === b.page?.pfn &&
  a.page?.generation === b.page?.generation

/** The private pages of other devices of which the device has been told, or that it maps. */
const foreign = ({ mm, device }: RequestsWorld): ReadonlyArray<Frame> =>
  [...device.hmmPfns, ...device.pageTable].flatMap(({ value }) => {
    const page = value?.page ?? null
    if (page === null) return []
    const pgmap = pgmapOf(mm.system.folios, page)
    return pgmap?.type === "private" && pgmap.owner !== "card0" ? [page] : []
  })

export const requestsProperties: ReadonlyArray<Spec> = [
  ...mappingProperties<RequestsWorld>(
    mappings,
    "drivers/gpu/drm/amd/amdgpu/amdgpu_hmm.c: amdgpu_hmm_range_get_pages; Documentation/mm/hmm.rst",
  ),
  {
    kind: "invariant",
    id: "HMM-PREFIX",
    statement:
      "While hmm_range_fault runs, the array has answers up to the page to which it has come, and behind that what it was asked: it goes on there after a fault.",
    source: "mm/hmm.c: hmm_range_fault, the comment on -EBUSY",
    premise: ({ record }) => record.state.running && record.state.last > 0,
    holds: (world) => outOfPlace(world).length === 0,
    explain: (world) =>
      outOfPlace(world)
        .map((va) =>
          va < world.record.state.last
            ? `Of page ${va}, the array has not what was found.`
            : `Of page ${va}, the array has not what was asked.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "HMM-REQ-OK",
    statement:
      "When hmm_range_fault returns 0, every page that was asked for is there, and writable if that was asked.",
    source: "Documentation/mm/hmm.rst: HMM_PFN_REQ_FAULT, HMM_PFN_REQ_WRITE",
    premise: ({ record }) => record.state.returned === "0",
    holds: ({ record }) => record.state.request === "",
    explain: ({ record }) => record.state.request,
  },
  {
    kind: "invariant",
    id: "HMM-EPERM",
    statement:
      "hmm_range_fault returns -EPERM only where a page is to be writable that the process may not write to, and never 0 there.",
    source: "mm/hmm.c: hmm_vma_fault; tools/testing/selftests/mm/hmm-tests.c: anon_write_prot",
    premise: ({ record }) => record.state.returned === "-EPERM",
    holds: ({ record }) => record.state.denied === "",
    explain: ({ record }) => record.state.denied,
  },
  {
    kind: "invariant",
    id: "HMM-EFAULT",
    statement: "hmm_range_fault returns -EFAULT only where a page was asked for that the process does not have.",
    source: "mm/hmm.c: hmm_range_fault; nouveau/hmm: fault one page at a time",
    premise: ({ record }) => record.state.returned === "-EFAULT",
    holds: ({ record }) => record.state.error === "",
    explain: ({ record }) => record.state.error,
  },
  {
    kind: "invariant",
    id: "HMM-NO-PT-LOCK-IN-FAULT",
    statement: "When HMM has a page faulted in it holds no lock of a page table.",
    source: "mm/hmm.c: hmm_range_fault: page fault handling is outside the walk's callbacks since 2026",
    holds: ({ record }) => record.state.lock === "",
    explain: ({ record }) => record.state.lock,
  },
  {
    kind: "atEnd",
    id: "HMM-PFNS-FREED",
    statement: "When everything has ended, who has had an array for HMM to fill has freed it, whatever HMM has said.",
    source: "drivers/gpu/drm/amd/amdgpu/amdgpu_hmm.c: amdgpu_hmm_range_get_pages, kvfree(pfns)",
    holds: ({ record }) => record.state.wanted.length === 0,
  },
  {
    kind: "atEnd",
    id: "HMM-LOCK-END",
    statement: "When everything has ended, nobody holds mmap_lock.",
    source: "Documentation/mm/hmm.rst; mm/hmm: add hmm_range_fault_unlocked_timeout(), 2026",
    holds: ({ mm }) => mm.mmapLock.state.readers.length === 0 && mm.mmapLock.state.writer === "",
  },
]

/** Where there is memory of devices. */
export const ownerProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "HMM-OWN-ONLY",
    statement: "A device is told of private pages of its owner's, never of another's.",
    source: "mm/hmm.c: hmm_vma_handle_pte, dev_private_owner",
    premise: ({ mm, device }) =>
      device.hmmPfns.some(({ value }) => value.page !== null) && mm.system.folios.pgmaps.size > 0,
    holds: (world) => foreign(world).length === 0,
    explain: (world) =>
      `The device is told of page ${foreign(world)[0]?.pfn}, which no device but another's can reach.`,
  },
]

/** What comes about in the end. */
export const faultsEnd: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "As there are finitely many invalidations, the device comes to the end of its fault.",
    source: "Documentation/mm/hmm.rst",
    to: ({ device }, { ended }) => ended(device.name),
  },
]
