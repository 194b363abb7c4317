/** What the drivers of 2008 have in common: a page table of their own for one process, and its bits. */
import type * as Effect from "effect/Effect"
import { type Cell, cell, step } from "../../checker/program/index.ts"
import { type Frame, folioOf, isLive } from "../mm/folio.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import type { Machine } from "../notifier/2008/machine.ts"

/** An entry of a device's page table ("external pte"). It holds no reference to its page. */
export type ExternalPte = {
  readonly page: Frame
  readonly write: boolean
  readonly dirty: boolean
  readonly young: boolean
}

/** A device, or another machine's memory, that maps pages of the process. */
export interface ExternalMapper {
  readonly name: string
  readonly machine: Machine
  readonly pageTable: ReadonlyArray<Cell<ExternalPte | null>>
}

/** Makes a device that maps nothing. */
export const externalMapper = (machine: Machine, name: string): ExternalMapper => ({
  name,
  machine,
  pageTable: machine.mm.pte.map((_, va) => cell<ExternalPte | null>(`${name}.pte${va}`, null)),
})

/** Drops an entry; a page that the device has stored to is marked dirty (`set_page_dirty`). Within a step. */
export const dropEntry = ({ machine, pageTable }: ExternalMapper, va: number): void => {
  const entry = at(pageTable, va)
  if (entry.value === null) return
  const { page, dirty } = entry.value
  if (dirty && isLive(machine.folios, page)) folioOf(machine.folios, page).dirty = true
  entry.value = null
}

/** The addresses of a range at which the device maps something. Within a step. */
export const mappedIn = ({ pageTable }: ExternalMapper, range: Range): ReadonlyArray<number> =>
  pagesOf(range).filter((va) => at(pageTable, va).value !== null)

/** Everything that the process can have. */
export const wholeOf = ({ machine }: ExternalMapper): Range => ({ start: 0, end: machine.mm.pages })

/** Writes an entry. Within a step. */
export const setEntry = ({ pageTable }: ExternalMapper, va: number, page: Frame, write: boolean): void => {
  at(pageTable, va).value = { page, write, dirty: false, young: true }
}

/** A store of the device, which leaves its name in the page. False where it has to take a fault first. */
export const deviceStore = ({ name, machine, pageTable }: ExternalMapper, va: number): Effect.Effect<boolean> =>
  step("device_store", [name, va], () => {
    const entry = at(pageTable, va)
    if (entry.value === null || !entry.value.write) return false
    folioOf(machine.folios, entry.value.page).content = name
    entry.value = { ...entry.value, dirty: true, young: true }
    return true
  })
