/** What holds of huge pages, whatever is done to them. */
import type { Property } from "../../../checker/index.ts"
import { isLarge, pagesOfFolio } from "../../../model/mm/folio.ts"
import { isHuge, type Mm, spanOf } from "../../../model/mm/mm.ts"
import { mappedPage, type Pte } from "../../../model/mm/pte.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import type { SelftestWorld } from "./world.ts"

/** The page that an entry is about, mapped or being moved. */
const pageOf = (pte: Pte) => (pte?.kind === "private" || pte?.kind === "migration" ? pte.page : mappedPage(pte))

/** The first pages of the spans that huge entries map. */
const hugeIn = (mm: Mm): ReadonlyArray<number> =>
  mm.tables.flatMap((_, position) => {
    const va = position * mm.system.pagesPerTable
    return isHuge(mm, va) ? [va] : []
  })

/** Huge entries that are not one: of different kinds, or not of all of one folio's pages in their order. */
const torn = ({ parent, child, system: { folios } }: SelftestWorld): ReadonlyArray<string> =>
  [parent, child].flatMap((mm) =>
    hugeIn(mm).flatMap((va) => {
      const entries = pagesOf(spanOf(mm, va)).map((page) => at(mm.pte, page).value)
      const [first] = entries
      const alike = first != null && entries.every((entry) => entry?.kind === first.kind)
      const page = first == null ? null : pageOf(first)
      const whole =
        page === null
          ? first?.kind === "zero"
          : isLarge(folios, page) &&
            pagesOfFolio(folios, page).every(({ pfn }, position) => pageOf(entries[position] ?? null)?.pfn === pfn)
      return alike && whole ? [] : [`The huge entry at page ${va} of the ${mm.name} is no huge page.`]
    }),
  )

/** Large folios whose pages are not locked alike. */
const halfLocked = ({ system: { folios } }: SelftestWorld): ReadonlyArray<string> =>
  folios.large.flatMap(({ value }, group) => {
    if (!value) return []
    const pages = folios.arena.slots.slice(group * folios.hugePages, (group + 1) * folios.hugePages)
    const [head] = pages
    return pages.every(({ live, lock }) => live && lock === head?.lock)
      ? []
      : [`The folio of page ${head?.index} is in pieces, and none of them is a folio.`]
  })

const source = "mm/huge_memory.c; Documentation/mm/transhuge.rst"

export const hugeProperties: ReadonlyArray<Property<SelftestWorld>> = [
  {
    kind: "invariant",
    id: "THP-ONE-ENTRY",
    statement: "A huge entry maps all pages of one large folio, in their order and in one way, or the huge zero page.",
    source,
    premise: ({ parent, child }) => hugeIn(parent).length + hugeIn(child).length > 0,
    holds: (world) => torn(world).length === 0,
    explain: (world) => torn(world).join(" "),
  },
  {
    kind: "invariant",
    id: "THP-ONE-FOLIO",
    statement: "The pages of a large folio are in use together, and locked together.",
    source,
    premise: ({ system: { folios } }) => folios.large.some(({ value }) => value),
    holds: (world) => halfLocked(world).length === 0,
    explain: (world) => halfLocked(world).join(" "),
  },
]
