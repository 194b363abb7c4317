/** Operations and their results, as tests write them: mostly of process 0. */
import type { Advice, Backing, Operation, Protection, Result, Sharing } from "./sequence.ts"

export const mmap = (
  start: number,
  pages: number,
  protection: Protection = "rw",
  sharing: Sharing = "private",
  backing: Backing = null,
  process = 0,
): Operation => ({ op: "mmap", process, start, pages, protection, sharing, backing })

export const fromFile = (file: number, page = 0): Backing => ({ file, page })

export const munmap = (start: number, pages: number, process = 0): Operation => ({
  op: "munmap",
  process,
  start,
  pages,
})

export const mprotect = (start: number, pages: number, protection: Protection): Operation => ({
  op: "mprotect",
  process: 0,
  start,
  pages,
  protection,
})

export const mremap = (
  start: number,
  pages: number,
  newPages: number,
  to: number | null = null,
  process = 0,
): Operation => ({
  op: "mremap",
  process,
  start,
  pages,
  newPages,
  to,
})

export const madvise = (start: number, pages: number, advice: Advice): Operation => ({
  op: "madvise",
  process: 0,
  start,
  pages,
  advice,
})

export const fork = (process = 0): Operation => ({ op: "fork", process })
export const exit = (process: number): Operation => ({ op: "exit", process })
export const read = (page: number, process = 0): Operation => ({ op: "read", process, page })
export const write = (page: number, value: number, process = 0): Operation => ({ op: "write", process, page, value })
export const pageReader = (page: number, target = 0): Operation => ({ op: "pageReader", process: 0, target, page })
export const vmsplice = (page: number, process = 0): Operation => ({ op: "vmsplice", process, page })
export const readPipe: Operation = { op: "readPipe" }
export const ftruncate = (file: number, pages: number): Operation => ({ op: "ftruncate", file, pages })

/** A result in short: the value that was read, or the name of what happened. */
export type Short = number | "ok" | "skipped" | "SIGSEGV" | "SIGBUS" | "EAGAIN" | "EFAULT" | "EINVAL" | "ENOMEM"

export const short = (result: Result): Short => {
  switch (result.kind) {
    case "value":
      return result.value
    case "error":
      return result.errno
    case "signal":
      return result.signal
    default:
      return result.kind
  }
}

/** An operation, its result, and what the processes then have mapped in, where that is of interest. */
export type Step = readonly [operation: Operation, result: Short, ...frames: ReadonlyArray<string | null>]
