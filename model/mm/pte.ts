/** Page table entries of every kind (include/linux/swapops.h, include/linux/pgtable.h). */
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

/** Maps memory that has no page (`pte_special`), in an area with VM_PFNMAP: nobody counts the entry, and nothing leads from the memory to it. */
export type Special = { readonly kind: "special"; readonly page: Frame; readonly access: Access }

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

/** The page lies in device memory that no CPU can reach: an access of the process brings it back (make_writable_device_private_entry). */
export type Private = { readonly kind: "private"; readonly page: Frame; readonly write: boolean }

/** The page is a device's alone for atomic accesses: an access of the process takes it back (make_device_exclusive_entry). */
export type Exclusive = { readonly kind: "exclusive"; readonly page: Frame }

/** Nothing may be here: an access ends in SIGBUS (PTE_MARKER_POISONED). */
export type Marker = { readonly kind: "marker" }

/** An entry of a page table; `null` is None. */
export type Pte = null | Zero | Special | Present | Swap | Migration | Private | Exclusive | Marker

/** An entry that its page counts among its mappings. */
export type Rmapped = Present | Private | Exclusive

/** The page that counts an entry among its mappings (`folio->_mapcount`), if there is one: what reverse mapping finds. */
export const rmappedPage = (pte: Pte): Frame | null => (isRmapped(pte) ? pte.page : null)

/** Whether a page counts the entry among its mappings. */
export const isRmapped = (pte: Pte): pte is Rmapped =>
  pte?.kind === "present" || pte?.kind === "private" || pte?.kind === "exclusive"

/** The page that an entry maps for the CPU, if it maps one. */
export const mappedPage = (pte: Pte): Frame | null => (pte?.kind === "present" ? pte.page : null)

/** `pte_present`: the hardware may have a translation of it. */
export const isPresent = (pte: Pte): boolean =>
  pte?.kind === "present" || pte?.kind === "zero" || pte?.kind === "special"

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
