/** khugepaged, where a page table maps more than one page. */
import { khugepagedScan } from "../../../model/mm/collapse.ts"
import { operation } from "../operations.ts"
import { otherPage, prepare } from "../pages.ts"
import { raceOf } from "./race.ts"

export const collapseAlone = raceOf({
  name: "collapse",
  summary: "khugepaged collapses a page that a device accesses",
  pages: ["anon", "cow", "private"],
  operations: [operation("collapse")],
  devices: 1,
})

export const collapseTwoPages = raceOf({
  name: "collapse-two-pages",
  summary: "khugepaged, which comes for one page, collapses the page table of two while a CPU loads from the other",
  pages: ["anon"],
  operations: [
    {
      id: "collapse",
      actor: "khugepaged",
      pages: ["anon"],
      run: ({ parent }) => khugepagedScan(parent, otherPage),
    },
    operation("load"),
  ],
  devices: 1,
  pagesPerTable: 2,
  layOut: (world) => prepare(world, otherPage, "anon"),
})
