/**
 * Seeded bugs of nouveau's shared virtual memory. Those "as published" are what the driver does; that they break was read in
 * its source, not seen on a machine.
 */
import * as Effect from "effect/Effect"
import {
  changeBody,
  changeResult,
  leaveOut,
  moveBehind,
  type Replacements,
  type SeededBug,
  step,
} from "../../../checker/index.ts"
import { folioOf } from "../../../model/mm/folio.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { mutexLock, mutexUnlock } from "../../../model/sync/mutex.ts"
import { zoo } from "../../bugZoo.ts"
import { afterRefusal } from "../../notifier/afterRefusal.ts"
import { faults, lazyfree, oomReaper } from "./scenarios.ts"
import type { NouveauWorld } from "./world.ts"

const onePage = { scenario: faults.id, bound: { pages: 1, gpus: 1, invalidations: 1 } }

/** Replacements for the fibers that are not GPUs. */
const inThreads =
  (replacements: (world: NouveauWorld) => Replacements) =>
  (world: NouveauWorld, fiber: string): Replacements =>
    isGpu(world, fiber) ? {} : replacements(world)

const inGpus =
  (replacements: (world: NouveauWorld) => Replacements) =>
  (world: NouveauWorld, fiber: string): Replacements =>
    isGpu(world, fiber) ? replacements(world) : {}

const isGpu = ({ gpus }: NouveauWorld, fiber: string) => gpus.some(({ name }) => name === fiber)

export const nouveauBugs: ReadonlyArray<SeededBug<NouveauWorld>> = [
  {
    id: "nouveau-no-release",
    title: "as published: the end of an address space takes the notifier off the list, and the GPU maps what is freed",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_mn_ops; mm/mmu_notifier.c: mn_hlist_release",
    ...onePage,
    breaks: "MIRROR-NO-UAF",
    at: () => ({ nouveau_svmm_release: leaveOut() }),
  },
  {
    id: "nouveau-never-dirty",
    title: "as published: nobody says that a page to which the GPU may store is dirty; one of MADV_FREE's is dropped",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_range_fault; mm/madvise.c: madvise_free_pte_range",
    scenario: lazyfree.id,
    breaks: "MIRROR-DIRTY",
    at: () => ({ set_page_dirty: leaveOut() }),
  },
  {
    id: "nouveau-refusal-leaves-tree-open",
    title:
      "as published: the classic notifier refuses what must not sleep, and nothing ends what the interval tree was told",
    source: "mm/mmu_notifier.c: __mmu_notifier_invalidate_range_start",
    scenario: oomReaper.id,
    breaks: "L-ITREE-LEAK",
    at: inThreads(() => afterRefusal("mn_itree_inv_end", false)),
  },
  {
    id: "nouveau-flush-before-sequence",
    title: "the classic notifier, which clears the GPU's page table, is called before the fault's subscription",
    source:
      "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svm_range_invalidate, which says that only this order works",
    ...onePage,
    breaks: "MIRROR-NO-UAF",
    at: inThreads(({ gpus }) => ({
      mn_itree_inv_start_range: (original, { args }) =>
        Effect.gen(function* () {
          for (const { name, mutex, pageTable } of gpus) {
            yield* mutexLock(mutex)
            yield* step("nouveau_svmm_invalidate, first", [name], () => {
              for (const va of pagesOf({ start: Number(args[1]), end: Number(args[2]) })) at(pageTable, va).value = null
            })
            yield* mutexUnlock(mutex)
          }
          return yield* original
        }),
      nouveau_svmm_invalidate: leaveOut(),
    })),
  },
  {
    id: "nouveau-sequence-not-set",
    title: "the subscription's callback leaves everything to the classic notifier",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svm_range_invalidate",
    ...onePage,
    breaks: "MIRROR-PERM",
    at: inThreads(() => ({ mmu_interval_set_seq: leaveOut() })),
  },
  {
    id: "nouveau-retry-outside-mutex",
    title: "a fault asks read_retry before it takes the mutex",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_range_fault",
    ...onePage,
    breaks: "MIRROR-AGREE",
    at: inGpus(() => moveBehind("mutex_lock", "mmu_interval_read_retry")),
  },
  {
    id: "nouveau-samples-once",
    title:
      "the sequence is read when the GPU joins the process, before the first fault, and every fault retries with that",
    source: "Documentation/mm/hmm.rst: the label `again` stands before mmu_interval_read_begin",
    ...onePage,
    breaks: "L-RETRY",
    at: inGpus(() => ({ mmu_interval_read_begin: leaveOut({ seq: 1, invalidating: false }) })),
  },
  {
    id: "nouveau-subscribes-as-if-idle",
    title: "a fault subscribes while an invalidation is active that met no subscription, and need not wait for its end",
    source: "mm/mmu_notifier.c: __mmu_interval_notifier_insert, the partial state",
    ...onePage,
    breaks: "MIRROR-NO-INSTALL-IN-WINDOW",
    at: inGpus(({ gpus, subs }) => ({
      mmu_interval_notifier_insert: changeBody((operation) => {
        const { seq } = subs.state
        operation.body()
        if (seq % 2 === 1) return
        subs.state.seq = seq
        const notifier = gpus.flatMap(({ notifiers }) => notifiers).find(({ name }) => name === operation.args[0])
        if (notifier !== undefined) notifier.state.seq = seq - 1
      }),
    })),
  },
  {
    id: "nouveau-leaves-subscription-behind",
    title: "a fault returns, and with it goes its stack, without a wait for the removal of its subscription",
    source: "mm/mmu_notifier.c: mmu_interval_notifier_remove",
    ...onePage,
    breaks: "NOTIFIER-NO-CB-AFTER-REMOVE",
    at: inGpus(() => ({ mmu_interval_notifier_remove: changeResult(() => null) })),
  },
  {
    id: "nouveau-keeps-references",
    title: "a fault takes a reference to the page that the GPU is to map, which nobody gives back",
    source: "mm/hmm: add helpers to dma map, LKML 2019",
    ...onePage,
    breaks: "MIRROR-NO-REF",
    at: ({ gpus, mm }) => ({
      nouveau_hmm_convert_pfn: changeBody(({ body, args }) => {
        body()
        const gpu = gpus.find(({ name }) => name === args[0])
        const page = gpu === undefined ? null : (at(gpu.pageTable, Number(args[1])).value?.page ?? null)
        if (page !== null) folioOf(mm.system.folios, page).refcount++
      }),
    }),
  },
  {
    id: "nouveau-waits-for-mutex-in-nonblock",
    title: "the callback waits for the mutex in a start that must not sleep",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svm_range_invalidate, mutex_trylock",
    references: zoo("atomicStartSleeps"),
    scenario: oomReaper.id,
    breaks: "context",
    at: inThreads(({ gpus }) => ({
      mutex_trylock: (original, { args }) => {
        const lock = gpus.find(({ mutex }) => mutex.name === args[0])?.mutex
        return lock === undefined ? original : Effect.as(mutexLock(lock), true)
      },
    })),
  },
  {
    id: "nouveau-clears-without-mutex",
    title: "the classic notifier clears the GPU's page table without the mutex, while a fault may be programming it",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svmm_invalidate_range_start",
    ...onePage,
    breaks: "LOCKDEP-HELD",
    at: inThreads(() => moveBehind("mutex_lock", "nouveau_svmm_invalidate")),
  },
  {
    id: "nouveau-flush-passes-store",
    title: "the flush does not wait for a store of the GPU that has been translated, which comes to memory behind it",
    source: "drivers/gpu/drm/nouveau/nvkm/subdev/mmu: nvkm_vmm_flush, which waits for the acknowledgement",
    ...onePage,
    breaks: "MIRROR-STORE-DRAINED",
    at: inGpus(({ gpus, mm }) => ({
      gpu_store: (_, { name, args }) => {
        const gpu = gpus.find((each) => each.name === args[0])
        const translated = step(`${name}: translated`, args, () => {
          const pfn = gpu === undefined ? null : at(gpu.pageTable, Number(args[1])).value
          return pfn?.write === true ? pfn.page : null
        })
        return Effect.flatMap(translated, (page) =>
          page === null
            ? Effect.succeed(false)
            : step(name, args, () => {
                folioOf(mm.system.folios, page).content = String(args[2])
                return true
              }),
        )
      },
    })),
  },
]
