/**
 * Sequences of memory-management operations that up to three processes perform one after the other, and what is seen of
 * them: the language that a real kernel and a model of it are compared in. All of it is plain JSON.
 *
 * Process 0 is there from the start, with nothing mapped in the area: the pages 0 to 7, which are the last ones that a
 * process can have. A range that runs past page 7 is thus one that the kernel refuses, whatever is mapped. There are two
 * files in memory, made before the sequence starts; page p of file f is filled with the byte `fileByte(f, p)`.
 * A process that is forked gets the next number; numbers of processes that are gone are not used again. An operation of
 * a process that is not there, or on one, and the fork of a fourth process, are skipped.
 */

/** How many pages the area has. */
export const areaPages = 8

/** How many processes a sequence can have. */
export const maximalProcesses = 3

/** How many pages a file can have. */
export const maximalFilePages = 4

/** What a page of a file holds at the start of a sequence. */
export const fileByte = (file: number, page: number): number => 16 * (file + 1) + page

export type Protection = "none" | "r" | "rw"
export type Sharing = "private" | "shared"
export type Advice = "DONTNEED" | "FREE" | "COLD" | "PAGEOUT"

/** A file from one of its pages on, or `null` for anonymous memory. */
export type Backing = { readonly file: number; readonly page: number } | null

interface OnRange {
  readonly process: number
  /** First page, 0 to 7. */
  readonly start: number
  /** How many pages: 0, or more than there are, is bad input. */
  readonly pages: number
}

export type Operation =
  /** Always MAP_FIXED: what was there is unmapped. */
  | ({
      readonly op: "mmap"
      readonly protection: Protection
      readonly sharing: Sharing
      readonly backing: Backing
    } & OnRange)
  | ({ readonly op: "munmap" } & OnRange)
  | ({ readonly op: "mprotect"; readonly protection: Protection } & OnRange)
  /** In place without MREMAP_MAYMOVE where `to` is `null`, else MREMAP_MAYMOVE | MREMAP_FIXED to that page. */
  | ({ readonly op: "mremap"; readonly newPages: number; readonly to: number | null } & OnRange)
  | ({ readonly op: "madvise"; readonly advice: Advice } & OnRange)
  /** The process forks: the next process is its copy. */
  | { readonly op: "fork"; readonly process: number }
  | { readonly op: "exit"; readonly process: number }
  /** The process reads or writes the first byte of a page. */
  | { readonly op: "read"; readonly process: number; readonly page: number }
  | { readonly op: "write"; readonly process: number; readonly page: number; readonly value: number }
  /** process_vm_readv of the first byte of a page of `target`, which can be the process itself. */
  | { readonly op: "pageReader"; readonly process: number; readonly target: number; readonly page: number }
  /** Puts a reference to the page that is mapped now at the end of the one pipe (vmsplice of its first byte). */
  | { readonly op: "vmsplice"; readonly process: number; readonly page: number }
  /** Takes the oldest reference from the pipe: what its page holds by now. EAGAIN where there is none. */
  | { readonly op: "readPipe" }
  | { readonly op: "ftruncate"; readonly file: number; readonly pages: number }

export interface Sequence {
  /** How many pages each of the two files has at first. */
  readonly files: readonly [number, number]
  readonly operations: ReadonlyArray<Operation>
}

/** The names of errors that any of the operations gives. */
export const errnos = ["EAGAIN", "EFAULT", "EINVAL", "ENOMEM"] as const

export type Result =
  | { readonly kind: "ok" }
  /** The byte that was read. */
  | { readonly kind: "value"; readonly value: number }
  | { readonly kind: "error"; readonly errno: (typeof errnos)[number] }
  | { readonly kind: "signal"; readonly signal: "SIGSEGV" | "SIGBUS" }
  | { readonly kind: "skipped" }

/** A mapping, as the kernel divides the area into such: which neighbours of one kind are one, is its choice. */
export interface Area {
  readonly start: number
  readonly pages: number
  readonly protection: Protection
  readonly sharing: Sharing
  readonly file: number | null
  /** Of a file, or of what shared anonymous memory is kept in: the page of it that is mapped first; else 0. */
  readonly offset: number
}

/** What is seen when an operation is done: for each process, or `null` for one that is not there. */
export interface Observation {
  readonly result: Result
  /**
   * One character for each page of the area: `-` where no page is mapped in (whether or not one could be), `0` where it
   * is the zero page, a small letter for a page of anonymous memory and a capital one for a page of the page cache
   * (of a file or of shared anonymous memory). The same letter is the same frame, in whichever process; letters are
   * given out in the order of first appearance, process by process, so that equal sharing is an equal text.
   */
  readonly frames: ReadonlyArray<string | null>
  /** `!` for each page that was mapped in before the operation and is now, but with another frame; else `-`. */
  readonly changed: ReadonlyArray<string | null>
  readonly areas: ReadonlyArray<ReadonlyArray<Area> | null>
}
