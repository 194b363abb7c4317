/** Page table entries: every kind that system memory knows (include/linux/swapops.h, include/linux/pgtable.h). */
import type { Frame } from "./folio.ts"

/** What a CPU may do through an entry; `none` is PROT_NONE, or the hint of NUMA balancing. */
export type Access = "none" | "read" | "write"

/** Maps a page. */
export type Present = {
  readonly kind: "present"
  readonly page: Frame
  readonly access: Access
  /** Set by the hardware at the first store through the entry. */
  readonly dirty: boolean
  /** Set by the hardware at any access. */
  readonly young: boolean
}

/** Maps the zero page, never for writing. */
export type Zero = { readonly kind: "zero"; readonly access: "none" | "read" }

/** The page is in swap. `exclusive`: it was this entry's alone (AnonExclusive). */
export type Swap = { readonly kind: "swap"; readonly slot: number; readonly exclusive: boolean }

/** The page is being moved: who meets this waits for the folio lock. The mode is what the entry allowed before. */
export type Migration = {
  readonly kind: "migration"
  readonly page: Frame
  readonly mode: "write" | "readExclusive" | "read"
  readonly dirty: boolean
  readonly young: boolean
}

/** Nothing may be here: an access ends in SIGBUS (PTE_MARKER_POISONED). */
export type Marker = { readonly kind: "marker" }

/** An entry of a page table; `null` is None. */
export type Pte = null | Zero | Present | Swap | Migration | Marker

/** The page that an entry maps, if it maps one. */
export const mappedPage = (pte: Pte): Frame | null => (pte?.kind === "present" ? pte.page : null)

/** `pte_write` */
export const isWritable = (pte: Pte): boolean => pte?.kind === "present" && pte.access === "write"

/** `pte_same`: of two entries that came out of cells or steps, where equal contents are one object. */
export const pteSame = (a: Pte, b: Pte): boolean => a === b

/** An entry for a page. */
export const present = (page: Frame, access: Access, bits: { dirty?: boolean; young?: boolean } = {}): Present => ({
  kind: "present",
  page,
  access,
  dirty: bits.dirty === true,
  young: bits.young !== false,
})

/** The entry without the right to write. */
export const wrprotect = (pte: Present): Present => ({ ...pte, access: pte.access === "write" ? "read" : pte.access })
