/**
 * Pages of system memory that a device has for itself. EXCL-OLD-PINS is no rule: who has pinned
 * a page before goes on using it.
 */
import { pageTableLock } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { isAnon } from "../../../model/mm/rmap.ts"
import { isFree } from "../../../model/sync/spinlock.ts"
import { rmappings, sameFrame } from "../../mm/properties/places.ts"
import { callbackIsDue } from "../../notifier/windows.ts"
import { mappingsOf } from "../record.ts"
import type { DeviceWorld } from "../world.ts"
import { gpuEntries, hasEntry, liveFolio, type Spec } from "./places.ts"

/** What the GPUs may access atomically. */
const atomics = (world: DeviceWorld) => gpuEntries(world).filter(({ entry }) => entry.atomic)

/** Where the CPU may come into the way of an atomic access. */
const unblocked = (world: DeviceWorld) =>
  atomics(world).filter(({ gpu, va, entry }) => {
    const pte = at(gpu.mm.pte, va).value
    if (pte?.kind === "exclusive" && sameFrame(pte.page, entry.page)) return false
    // make_device_exclusive has it in its hands once more, for the same device.
    if (pte === null && !isFree(pageTableLock(gpu.mm, va))) return false
    return !callbackIsDue(world.windows, gpu, va)
  })

const exclusives = (world: DeviceWorld) =>
  rmappings(world).filter(({ mm, va, pte }) => pte.kind === "exclusive" && isFree(pageTableLock(mm, va)))

const anyExclusive = (world: DeviceWorld): boolean => hasEntry(world, "exclusive")

export const exclusiveProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "EXCL-CPU-BLOCKED",
    statement:
      "While a device may access a page atomically, the process's entry says that the page is the device's, or whoever changes it is about to call the device.",
    source: "mm/rmap.c: make_device_exclusive",
    premise: (world) => atomics(world).length > 0,
    holds: (world) => unblocked(world).length === 0,
    explain: (world) =>
      unblocked(world)
        .map(
          ({ gpu, va, entry }) => `${gpu.name} has page ${entry.page?.pfn} for itself at ${va}, and the process too.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "EXCL-ONE-OWNER",
    statement: "While a device may access a page atomically no other device maps it.",
    source: "include/linux/mmu_notifier.h: MMU_NOTIFY_EXCLUSIVE",
    premise: (world) => atomics(world).length > 0,
    holds: (world) =>
      atomics(world).every(({ gpu, entry }) =>
        gpuEntries(world).every((other) => other.gpu === gpu || !sameFrame(other.entry.page, entry.page)),
      ),
  },
  {
    kind: "invariant",
    id: "EXCL-NOTIFY-FIRST",
    statement: "The process has a page back only when the device that had it for itself has let go of it.",
    source: "mm/memory.c: remove_device_exclusive_entry",
    premise: (world) => anyExclusive(world) || world.migrations.broken.restoresFirst,
    holds: ({ migrations }) => !migrations.broken.restoresFirst,
  },
  {
    kind: "invariant",
    id: "EXCL-ANON",
    statement: "What a device has for itself is an anonymous page that was its process's alone.",
    source: "mm/rmap.c: make_device_exclusive",
    premise: anyExclusive,
    holds: (world) =>
      exclusives(world).every(({ pte }) => {
        const folio = liveFolio(world, pte.page)
        return folio !== undefined && isAnon(folio) && folio.anonExclusive
      }),
  },
  {
    kind: "invariant",
    id: "EXCL-MAPCOUNT",
    statement: "A page counts the entry of a device that has it for itself among its mappings and references.",
    source: "mm/rmap.c: make_device_exclusive",
    premise: anyExclusive,
    holds: (world) =>
      exclusives(world).every(({ pte }) => {
        const folio = liveFolio(world, pte.page)
        return folio !== undefined && folio.mapcount >= mappingsOf(world, folio) && folio.refcount >= folio.mapcount
      }),
  },
  {
    kind: "invariant",
    id: "EXCL-RESTORE-PERM",
    statement: "A page that its process has back may be stored to only if its area may.",
    source: "mm/memory.c: restore_exclusive_pte",
    premise: (world) => anyExclusive(world) || world.migrations.broken.restoresWrite,
    holds: ({ migrations }) => !migrations.broken.restoresWrite,
  },
  {
    kind: "invariant",
    id: "EXCL-TAKEN-BACK",
    statement: "Who faults on a page that a device has for itself unlocks it when the device has it no more.",
    source: "mm/memory.c: remove_device_exclusive_entry",
    premise: (world) => anyExclusive(world) || world.migrations.broken.leavesExclusive,
    holds: ({ migrations }) => !migrations.broken.leavesExclusive,
  },
  {
    kind: "invariant",
    id: "EXCL-RECHECK",
    statement:
      "A device gets for itself only what is mapped at the address when its entry is changed, the process's alone.",
    source: "mm/rmap.c: make_device_exclusive (page_vma_mapped_walk)",
    premise: (world) => anyExclusive(world) || world.migrations.broken.takesOther,
    holds: ({ migrations }) => !migrations.broken.takesOther,
  },
  {
    kind: "invariant",
    id: "GPU-ONE-FAULT",
    statement: "The faults of a GPU are handled one at a time: its fault buffer has one reader.",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svm_fault, the work item of its buffer",
    premise: (world) => world.migrations.broken.handlesTwo || world.gpus.some(({ faults }) => !isFree(faults)),
    holds: ({ migrations }) => !migrations.broken.handlesTwo,
  },
  {
    kind: "invariant",
    id: "EXCL-LOCKED-PROGRAM",
    statement:
      "A device is told that it has a page for itself while the page is locked: nobody takes it back before it had its turn.",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_atomic_range_fault; mm/rmap.c: make_device_exclusive",
    premise: (world) => world.migrations.broken.programsUnlocked || atomics(world).length > 0,
    holds: ({ migrations }) => !migrations.broken.programsUnlocked,
  },
]
