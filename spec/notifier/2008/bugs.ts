/**
 * Seeded bugs of the 2008 notifiers. The model is the design with its holes closed; those marked "as published" open one
 * again, and so show what the proposal itself allowed, mostly beside the question that a reviewer had asked about it.
 */
import * as Effect from "effect/Effect"
import {
  builtIn,
  changeBody,
  changeGuard,
  changeResult,
  leaveOut,
  type Plain,
  type Replacement,
  type Replacements,
  type SeededBug,
  self,
  step,
} from "../../../checker/index.ts"
import { recallRange } from "../../../model/driver/rangeList2008.ts"
import type { Frame } from "../../../model/mm/folio.ts"
import { overlaps, type Range } from "../../../model/mm/range.ts"
import type { Machine } from "../../../model/notifier/2008/machine.ts"
import { invalidatePage } from "../../../model/notifier/2008/mmuNotifier.ts"
import { rmapInvalidatePage } from "../../../model/notifier/2008/rmapNotifier.ts"
import { keep, release, underLock } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { engineBugs } from "./engineBugs.ts"
import { omissions } from "./omissions.ts"
import { age, counter, exits, rangeList, reclaim, register, unregister, writeback } from "./scenarios.ts"
import type { World2008 } from "./world.ts"

const m4 = "Lameter, Morton: Re: [patch 1/6] mmu_notifier: Core code, LKML 16 February 2008"

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const inCounter = { scenario: counter.id, bound: { pages: 1, invalidations: 1, devices: 1 } }
const inTwoInvalidations = { scenario: counter.id, bound: { pages: 1, invalidations: 2, devices: 1 } }
const inRangeList = { scenario: rangeList.id, bound: { pages: 1, invalidations: 1, devices: 1 } }
const inRegister = { scenario: register.id, bound: { pages: 1, invalidations: 0 } }
const inReclaim = { scenario: reclaim.id, bound: { counters: 1, rangeLists: 0, madvise: 0 } }
const inSleepingReclaim = { scenario: reclaim.id, bound: { counters: 0, rangeLists: 1, madvise: 0 } }
const inWriteback = { scenario: writeback.id, bound: { counters: 0, rangeLists: 1, reclaim: 0 } }

/** Inside `rcu_read_lock`, as the macro as published has it for every callback. */
const underRcu =
  (callback: string) =>
  ({ machine }: World2008): Replacements => ({
    srcu_read_lock: (original, operation) =>
      operation.args[0] === callback ? inRcu(machine)(original, operation) : original,
  })

const inRcu = ({ readers }: Machine): Replacement =>
  changeBody((operation) => {
    const first = operation.body()
    if (readers.srcu.includes(self())) {
      readers.srcu = readers.srcu.filter((name) => name !== self())
      readers.rcu = [...readers.rcu, self()].sort()
    }
    return first
  })

const frameIn = (result: Plain): Frame => result as Frame // what the step returns where it returns a page

export const bugs2008: ReadonlyArray<SeededBug<World2008>> = [
  {
    id: "n08-end-without-begin",
    title: "as published: a device registers between the begin and the end of a truncation",
    source: `${m4}: "invalidate_range_begin() and invalidate_range_end() must be paired"; mmu_notifier_register takes mmap_sem only`,
    ...inRegister,
    breaks: "N08-PAIRED",
    at: () => ({ hlist_add_head_rcu: changeGuard() }),
  },
  {
    id: "n08-end-without-begin-installs",
    title:
      "as published: after an end without a begin the count is one too low, and the next invalidation keeps nobody out",
    source: `${m4}: "invalidate_range_begin() and invalidate_range_end() must be paired"; mmu_notifier_register takes mmap_sem only`,
    scenario: register.id,
    bound: { pages: 2, invalidations: 1 },
    breaks: "N08-COUNTER",
    at: () => ({ hlist_add_head_rcu: changeGuard() }),
  },
  {
    id: "n08-begin-end-inside-fault",
    title:
      "as published: the device asks whether an invalidation is under way, not whether there was one since it looked",
    source: `${m4}: "simply stop all references when any invalidate_range is in progress (KVM and GRU do that)"`,
    ...inCounter,
    breaks: "N08-BEGIN-END-INSIDE",
    at: retryOnlyByCount,
  },
  {
    id: "n08-begin-end-inside-fault-frees",
    title:
      "as published: an invalidation falls inside a fault, and the device maps a page that was truncated and freed",
    source: `${m4}: "simply stop all references when any invalidate_range is in progress (KVM and GRU do that)"`,
    ...inCounter,
    breaks: "MIRROR-NO-UAF",
    at: retryOnlyByCount,
  },
  {
    id: "n08-begin-end-inside-export",
    title: "as published: the device asks whether the range is under invalidation, not whether it was since it looked",
    source: `${m4}: "It needs to temporarily remember an arbitrarily large number of regions in this mm against which references may not be taken?" "That is one implementation (XPmem does that)."`,
    ...inRangeList,
    breaks: "N08-BEGIN-END-INSIDE",
    at: ({ rangeLists }) => ({
      "xpmem_fault: retry": changeBody((operation) => {
        operation.body()
        return rangeLists.some(
          ({ name, state }) =>
            name === operation.args[0] && state.ranges.some((range) => overlaps(range, pageAt(operation.args[1]))),
        )
      }),
    }),
  },
  {
    id: "n08-look-up-under-callback-lock",
    title:
      "the driver looks the page up with the lock held that its callbacks take, so that nothing can come in between",
    source: `${m4}: invalidate_page() is "called after the pte was cleared while holding the pte lock", under which the look-up must not wait for it, by inference`,
    ...inReclaim,
    breaks: builtIn.deadlock,
    at: (world, fiber) => {
      const device = world.counters.find(({ name }) => name === fiber)
      if (device === undefined) return {}
      const { lock, name } = device
      return {
        get_user_pages: (original) =>
          underLock(lock, "gru_fault: spin_lock", [name], () => keep(lock)).pipe(
            Effect.andThen(original),
            Effect.tap((found) =>
              typeof found === "string" ? step("gru_fault: spin_unlock", [name], () => release(lock)) : Effect.void,
            ),
          ),
        "gru_fault: retry": (_, operation) =>
          step(operation.name, operation.args, () => device.state.rangeActive !== 0),
      }
    },
  },
  {
    id: "overlapping-starts-tracked-as-boolean",
    title: "the device keeps a flag where it has to count, as if no two invalidations were ever under way at once",
    source: `${m4}: "Under what circumstances would they be nested?" "Right they cannot be nested. Multiple processors can have invalidates() concurrently in progress."`,
    references: zoo("overlappingStartsTrackedAsBoolean"),
    ...inTwoInvalidations,
    breaks: "N08-COUNTER",
    at: ({ counters }) => ({
      gru_invalidate_range_end: changeBody(() => {
        for (const { state } of counters) state.rangeActive = 0
      }),
    }),
  },
  {
    id: "n08-end-without-range",
    title: "as published: the end does not say of which range it is, and who keeps a list forgets the oldest",
    source: "the patch of January 2008, whose invalidate_range_end has no range",
    scenario: rangeList.id,
    bound: { pages: 2, invalidations: 2, devices: 1 },
    breaks: "N08-RANGE",
    at: ({ rangeLists }) => ({
      xpmem_invalidate_range_end: changeBody(({ args }) => {
        for (const { name, state } of rangeLists) if (name === args[0]) state.ranges = state.ranges.slice(1)
      }),
    }),
  },
  {
    id: "n08-begin-sleeps-under-rcu",
    title: "as published: invalidate_range_begin, which may sleep, is called inside rcu_read_lock",
    source: `Piggin: Re: [patch 2/6] mmu_notifier: Callbacks to invalidate address ranges, LKML 20 February 2008: "You can't sleep inside rcu_read_lock()!"; ${m4}: the macro mmu_notifier`,
    ...inRangeList,
    breaks: "N08-NO-SLEEP-RCU",
    at: underRcu("invalidate_range_begin"),
  },
  {
    id: "n08-rmap-sleeps-under-rcu",
    title: "as published: the rmap notifier, which exists because its callback sleeps, is called inside rcu_read_lock",
    source: `${m4}: "The second (rmap) mechanism is required if a device needs to be able to sleep"; the macro mmu_rmap_notifier`,
    ...inSleepingReclaim,
    breaks: "N08-NO-SLEEP-RCU",
    at: underRcu("rmap invalidate_page"),
  },
  {
    id: "n08-sleeper-freed-under-rcu",
    title:
      "as published: while a callback sleeps inside rcu_read_lock the grace period ends, and its notifier is freed",
    source: `${m4}: the macro mmu_rmap_notifier; a processor that schedules has left every RCU read section`,
    scenario: unregister.id,
    bound: { truncate: 0 },
    breaks: "N08-NO-CB-AFTER-FREE",
    at: underRcu("rmap invalidate_page"),
  },
  {
    id: "n08-sleeps-in-truncation",
    title: "the driver sleeps in invalidate_range_begin although the flag says that it may not",
    source: `${m4}: "A flag indicates in which mode we are." "That sucks big time."`,
    references: zoo("atomicStartSleeps"),
    ...inRangeList,
    breaks: "N08-NO-SLEEP-ATOMIC",
    at: ({ rangeLists }) => ({
      xpmem_invalidate_range_begin: changeBody(({ args }) => {
        const device = rangeLists.find(({ name }) => name === args[0])
        return device === undefined ? "nothing" : recallRange(device, { start: Number(args[1]), end: Number(args[2]) })
      }),
    }),
  },
  {
    id: "n08-release-without-grace-period",
    title: "as published: release does not wait for callbacks that others are in, and its driver frees the notifier",
    source: `${m4}: "The release notifier is called when no other execution threads are left. Synchronization is not necessary."`,
    scenario: exits.id,
    bound: { counters: 1, rangeLists: 0, truncate: 1 },
    breaks: "N08-NO-CB-AFTER-FREE",
    at: () => ({ synchronize_srcu: leaveOut() }),
  },
  {
    id: "n08-release-unlinks-first",
    title: "as published: release takes a notifier off the list and then calls it; reclaim passes it by in between",
    source: `${m4}: mmu_notifier_release calls hlist_del_init and then ->release()`,
    scenario: exits.id,
    bound: { counters: 1, rangeLists: 0, truncate: 0 },
    breaks: "MIRROR-NO-UAF",
    at: ({ machine }) => ({
      srcu_read_lock: (original, operation) =>
        operation.args[0] !== "release"
          ? original
          : changeBody(({ body }) => {
              const first = body()
              machine.mmuNotifiers.state.names = []
              return first
            })(original, operation),
    }),
  },
  {
    id: "n08-rmap-notifier-after-walk",
    title: "the rmap notifier is called after the kernel's own rmap walk",
    source: `${m4}: it is called "*before* the Linux rmaps are walked. At that point only the page lock is held."`,
    ...inSleepingReclaim,
    breaks: "N08-RMAP-FIRST",
    at: ({ machine }) => {
      let external = false
      let page: Frame | null = null
      return {
        PageRmapExternal: (original) =>
          Effect.map(original, (answer) => {
            external = answer === true
            return false
          }),
        ptep_clear_flush: (original) =>
          Effect.tap(original, (taken) =>
            Effect.sync(() => {
              page = taken === null ? null : frameIn((taken as { readonly page: Plain }).page) // a present entry
            }),
          ),
        "spin_unlock(i_mmap_lock)": (original) =>
          Effect.tap(original, () =>
            external && page !== null ? rmapInvalidatePage(machine, page, "try_to_unmap") : Effect.void,
          ),
      }
    },
  },
  {
    id: "n08-refusal-unheard",
    title: "a partition does not answer, the driver cannot let go of the page, and reclaim frees it all the same",
    source: `${m4}: "The invalidate_page() function must walk the driver rmaps and evict all the references to the page." "What happens if it cannot do so?" "The page is not reclaimed if we were called from try_to_unmap()."`,
    ...inSleepingReclaim,
    breaks: "MIRROR-NO-UAF",
    at: () => ({ xpmem_clear_page: changeResult(() => true) }),
  },
  {
    id: "n08-mkclean-refused",
    title: "the driver keeps its mapping when page_mkclean asks for it",
    source: `${m4}: "What happens if it cannot do so?" "From page_mkclean() we must always evict the page to switch off the write protect bit."`,
    ...inWriteback,
    breaks: "N08-MKCLEAN",
    at: ({ rangeLists }) => ({
      xpmem_clear_page: changeBody((operation) => {
        const kept = rangeLists.map(({ pageTable }) => pageTable.map(({ value }) => value))
        operation.body()
        rangeLists.forEach(({ pageTable }, device) => {
          pageTable.forEach((entry, va) => {
            entry.value = kept[device]?.[va] ?? null
          })
        })
        return false
      }),
    }),
  },
  {
    id: "n08-export-without-second-look",
    title: "as published: a page is exported after it was looked up; a write-protection in between asked nobody",
    source:
      "Lameter: mmu_notifier: support for drivers with reverse maps, LKML 2008: mmu_rmap_export_page, by inference",
    ...inWriteback,
    breaks: "N08-MKCLEAN",
    at: () => ({ follow_page: leaveOut(true) }),
  },
  {
    id: "n08-export-unlocked",
    title: "the driver sets PageRmapExternal without the page lock",
    source: "Lameter: mmu_notifier: support for drivers with reverse maps, LKML 2008: mmu_rmap_export_page",
    ...inSleepingReclaim,
    breaks: "N08-FLAG-LOCKED",
    at: (world, fiber) => (world.rangeLists.some(({ name }) => name === fiber) ? { lock_page: leaveOut() } : {}),
  },
  {
    id: "n08-map-unexported",
    title: "the driver maps a page without telling the kernel that it does",
    source: `${m4}: "Only pages that are marked with this bit can be exported and the rmap callbacks will only be performed for pages marked that way."`,
    ...inSleepingReclaim,
    breaks: "MIRROR-NO-UAF",
    at: () => ({ mmu_rmap_export_page: leaveOut() }),
  },
  {
    id: "n08-callback-before-clear",
    title: "invalidate_page is called before the entry is cleared, without its lock",
    source: `${m4}: "It's called before the page is actually removed?" "Its called after the pte was cleared while holding the pte lock."`,
    ...inReclaim,
    breaks: "N08-PTE-THEN-CB",
    at: callbackBeforeClear,
  },
  {
    id: "n08-callback-before-clear-frees",
    title: "a device faults between invalidate_page and the clearing of the entry, and maps a page that was freed",
    source: `${m4}: "It's called before the page is actually removed?" "Its called after the pte was cleared while holding the pte lock."`,
    ...inReclaim,
    breaks: "MIRROR-NO-UAF",
    at: callbackBeforeClear,
  },
  {
    id: "n08-dirty-not-marked",
    title: "a device drops an entry through which it has stored, and does not mark the page dirty",
    source: `${m4}: "Pages must be marked dirty if dirty bits are found to be set in the external ptes during unmap." "Define marked dirty?"`,
    scenario: reclaim.id,
    bound: { counters: 1, rangeLists: 0, madvise: 1 },
    breaks: "MIRROR-DIRTY",
    at: ({ machine }) => ({
      gru_invalidate_range_begin: changeBody((operation) => {
        const { slots } = machine.folios.arena
        const before = slots.map(({ dirty }) => dirty)
        operation.body()
        slots.forEach((slot, pfn) => {
          slot.dirty = before[pfn] ?? false
        })
      }),
    }),
  },
  {
    id: "n08-age-of-the-last",
    title: "the answers of age_page are not joined: the last one counts",
    source: `${m4}: "What does it *mean* when the ->age_page() from some of the notifiers returned 1 and the ->age_page() from some other notifiers returned zero?"`,
    scenario: age.id,
    bound: { counters: 2 },
    breaks: "N08-AGE",
    at: () => {
      let last: Plain = false
      return {
        gru_age_page: (original) =>
          Effect.tap(original, (young) =>
            Effect.sync(() => {
              last = young
            }),
          ),
        page_referenced_one: (_, { name, args, ...operation }) =>
          step(name, args, () => {
            if (operation.kind === "step") operation.body()
            return last
          }),
      }
    },
  },
  ...engineBugs,
  ...omissions,
]

/** The range of the page whose number is an argument of a step. */
function pageAt(va: Plain | undefined): Range {
  return { start: Number(va), end: Number(va) + 1 }
}

/** The check of a driver that only counts. */
function retryOnlyByCount({ counters }: World2008): { readonly "gru_fault: retry": Replacement } {
  return {
    "gru_fault: retry": changeBody((operation) => {
      operation.body()
      return counters.some(({ name, state }) => name === operation.args[0] && state.rangeActive !== 0)
    }),
  }
}

function callbackBeforeClear({ machine }: World2008): Replacements {
  let early = false
  return {
    ptep_clear_flush: (original, { args }) => {
      const called = Effect.suspend(() => {
        early = true
        return invalidatePage(machine, Number(args[0]))
      })
      return called.pipe(
        Effect.andThen(
          Effect.sync(() => {
            early = false
          }),
        ),
        Effect.andThen(original),
      )
    },
    rcu_read_lock: (original, { args }) => (args[0] !== "invalidate_page" || early ? original : Effect.succeed(null)),
  }
}
