/** What today's mmu notifier promises to come about in the end, as executable specs. */
import type { Property } from "../../../checker/index.ts"
import type { MmuNotifierWorld } from "./world.ts"

type Spec = Property<MmuNotifierWorld>

export const registerEnds: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-REGISTER",
    statement: "Who registers gets all locks, or hears of a signal.",
    source: "mm/mmap.c: mm_take_all_locks",
    from: ({ record }) => [...record.stages.values()].some(({ stage }) => stage === "registering"),
    to: ({ record }) => [...record.stages.values()].every(({ stage }) => stage !== "registering"),
  },
]

export const unregisterEnds: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-UNREG",
    statement: "As callbacks return, unregister returns.",
    source: "mm/mmu_notifier.c: mmu_notifier_unregister, synchronize_srcu",
    to: ({ record }) => [...record.stages.values()].every(({ stage }) => stage === "freed"),
  },
]

export const allEnd: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-ITREE-LEAK",
    statement: "A start that is refused stops nobody for ever: every device that faults comes to the end of that.",
    source: "mm/mmu_notifier.c: __mmu_notifier_invalidate_range_start; mmu_interval_read_begin",
    to: ({ counting, refusing, running }, fibers) =>
      [...counting, ...refusing].every(({ name }) => !running.includes(name) || fibers.ended(name)),
  },
]

export const readBegins: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-READBEGIN",
    statement: "As there are finitely many invalidations, read_begin returns.",
    source:
      "mm/mmu_notifier.c: mmu_interval_read_begin. It returns when the sequence has changed once, and that changes when no invalidation of the whole address space is under way: those that begin later, and elsewhere, count too",
    from: ({ record }) => record.reading.names.length > 0,
    to: ({ record }) => record.reading.names.length === 0,
  },
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "As there are finitely many invalidations, a device comes to the end of its retries.",
    source: "Documentation/mm/hmm.rst: the retry loop",
    to: ({ refusing }, fibers) => refusing.every(({ name }) => fibers.ended(name)),
  },
]

export const exclusively: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-EXCL-DEVICE",
    statement: "A device that wants a page for itself comes to the end of its attempts.",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_atomic_range_fault; it ignores its own EXCLUSIVE events",
    to: ({ refusing }, fibers) => refusing.every(({ name }) => fibers.ended(name)),
  },
]

export const accessesEnd: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-ACCESS",
    statement:
      "As there are finitely many invalidations, a device comes to the end of its access: to the page, or to a fault.",
    source: "Documentation/mm/hmm.rst: the retry loop; drivers/gpu/drm/xe/xe_userptr.c: xe_vma_userptr_pin_pages",
    to: ({ twoPass }, fibers) => twoPass.every(({ name }) => fibers.ended(name)),
  },
]
