/** What the mail of 2022 answers (mm: add zone device coherent type memory support), as properties. */
import type { Property } from "../../../checker/index.ts"
import { isDeviceCoherent, isDevicePrivate } from "../../../model/deviceMemory/pgmap.ts"
import { type Folio, frameOf } from "../../../model/mm/folio.ts"
import { at } from "../../../model/mm/range.ts"
import { isAnon } from "../../../model/mm/rmap.ts"
import { mirrorProperties } from "../../mirror/properties.ts"
import { countProperties } from "../../mm/properties/counts.ts"
import { cowProperties } from "../../mm/properties/cow.ts"
import { memoryProperties } from "../../mm/properties/memory.ts"
import { held, isSettled, liveFolios, sameFrame } from "../../mm/properties/places.ts"
import { exclusiveProperties } from "../properties/exclusive.ts"
import { pageProperties } from "../properties/pages.ts"
import type { CoherentWorld } from "./machine.ts"

export type Spec = Property<CoherentWorld>

/** What judges the questions besides their answers; all that there is judges the matrix. */
export const judges: ReadonlyArray<Spec> = [
  ...memoryProperties,
  ...countProperties,
  ...cowProperties,
  ...mirrorProperties,
  ...pageProperties,
  ...exclusiveProperties,
]

/** The thread, by message. */
export const mail = "[PATCH v6 01/10] mm: add zone device coherent type memory support, LKML 2022"

const coherentFolios = (world: CoherentWorld): ReadonlyArray<Folio> =>
  liveFolios(world).filter((folio) => isDeviceCoherent(world.folios, frameOf(folio)))

const privateFolios = (world: CoherentWorld): ReadonlyArray<Folio> =>
  liveFolios(world).filter((folio) => isDevicePrivate(world.folios, frameOf(folio)))

/** What the GPUs map of pages that several processes share. */
const sharedEntries = (world: CoherentWorld) =>
  coherentFolios(world).flatMap((folio) =>
    folio.mapcount < 2
      ? []
      : world.gpus.flatMap(({ name, pageTable }) =>
          pageTable.flatMap(({ value }) =>
            value?.page != null && sameFrame(value.page, frameOf(folio)) ? [{ name, folio, write: value.write }] : [],
          ),
        ),
  )

/** The pages of devices' memory that their drivers have back. */
const returned = ({ folios }: CoherentWorld): ReadonlyArray<Folio> =>
  folios.arena.slots.filter(({ live, generation, index }) => !live && generation > 0 && folios.pgmaps.has(index))

/** Pins of coherent pages. */
const coherentPins = (world: CoherentWorld) =>
  held(world).filter(({ one }) => one.pinned && one.kept && one.attached && isDeviceCoherent(world.folios, one.page))

export const cowAnswers: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "COH-DEVICE-RO",
    statement:
      "Fork shares coherent pages for reading, like any anonymous ones: no device may store to one that several processes map.",
    source: `${mail}: "I assume we'll share them just like other PageAnon() pages during fork() readable" - "Yes."`,
    premise: (world) => coherentFolios(world).some(({ mapcount }) => mapcount > 1),
    holds: (world) => sharedEntries(world).every(({ write }) => !write),
    explain: (world) =>
      sharedEntries(world)
        .filter(({ write }) => write)
        .map(({ name, folio }) => `${name} may store to page ${folio.index}, which ${folio.mapcount} entries map.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "COW-ORPHAN-COHERENT",
    statement: "Who stores to a coherent page that is shared gets a copy in system memory.",
    source: `${mail}: "and the first sharer writing to them receives an 'ordinary' !ZONE_DEVICE copy" - "Yes."`,
    premise: ({ coherent }) => coherent.answers.copiesAreOrdinary !== "untested",
    holds: ({ coherent }) => coherent.answers.copiesAreOrdinary !== "broken",
  },
]

export const exclusiveAnswers: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "FORK-EXCL-GONE",
    statement:
      "Fork takes back what a device has for itself, coherent memory too, and then shares it like any other page: neither process is left with an entry that says so.",
    source: `${mail}: "we handle CoW by restoring the original ptes if a device exclusive entry is encountered"; mm/memory.c: copy_nonpresent_pte`,
    premise: ({ coherent }) => coherent.answers.forkRestores !== "untested",
    holds: ({ coherent }) => coherent.answers.forkRestores !== "broken",
  },
]

export const freeAnswers: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "DEV-CLEAN-FREE",
    statement:
      "A page of a device's memory that its driver has back is anonymous no more: it is exclusive to nobody, has no mapping, and is charged to nobody.",
    source: `${mail}: "How are these pages freed to clear/invalidate PageAnon()?"; mm/memremap.c: free_zone_device_folio`,
    premise: (world) => returned(world).length > 0,
    holds: (world) =>
      returned(world).every(
        (folio) => !folio.anonExclusive && !isAnon(folio) && folio.memcg === "" && folio.mapcount === 0,
      ),
    explain: (world) =>
      returned(world)
        .filter((folio) => folio.anonExclusive || isAnon(folio) || folio.memcg !== "")
        .map(({ index, mapping }) => `Page ${index} is free and still says "${mapping}".`)
        .join(" "),
  },
]

export const pinAnswers: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "COH-PIN-SHORT",
    statement:
      "A coherent page that is pinned stays where it is, in the device's memory and mapped, until it is unpinned.",
    source: `${mail}: "patch #2 only blocks FOLL_LONGTERM. So I assume we allow ordinary FOLL_PIN" - "I agree."`,
    premise: (world) => coherentPins(world).length > 0,
    holds: (world) =>
      coherentPins(world).every(({ one }) => {
        const pte = at(world.parent.pte, one.va).value
        return !isSettled(world.parent, one.va) || (pte?.kind === "present" && sameFrame(pte.page, one.page))
      }),
  },
]

export const privatePinAnswers: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "GUP-PRIV-NEVER-PINNED",
    statement: "A page that no CPU can reach is not pinned: it is brought back, and pinned then.",
    source: `${mail}: "I'm pretty sure we cannot FOLL_PIN DEVICE_PRIVATE pages" - "Right."; include/linux/rmap.h`,
    premise: (world) => privateFolios(world).length > 0,
    holds: (world) => privateFolios(world).every(({ pincount }) => pincount === 0),
    explain: (world) =>
      privateFolios(world)
        .filter(({ pincount }) => pincount > 0)
        .map(({ index }) => `Page ${index} is pinned, and no CPU can reach it.`)
        .join(" "),
  },
]

export const exclusivePinAnswers: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "GUP-EXCL-RESTORED",
    statement: "Who pins a page that a device has for itself pins it where it is mapped for the process again.",
    source: `${mail}: "can we FOLL_PIN DEVICE_EXCLUSIVE pages?" - "GUP/PUP will fault and restore the original entry. It will then pin the original normal page"`,
    premise: ({ coherent }) => coherent.answers.pinsRestored !== "untested",
    holds: ({ coherent }) => coherent.answers.pinsRestored !== "broken",
  },
]
