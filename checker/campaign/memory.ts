/** Keeps a search within the memory that it may use, so that it ends with what it covered and not in a crash. */
import { totalmem } from "node:os"
import { getHeapStatistics, setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** The share of the machine's memory, or of what the process is confined to, that is used without being asked. */
const defaultShare = 0.8

/** Bytes that the process may have resident by default. */
export const defaultMemoryLimit = (): number => {
  const confined = process.constrainedMemory()
  const available = confined > 0 ? Math.min(confined, totalmem()) : totalmem()
  return Math.floor(defaultShare * available)
}

/** The share of the JavaScript heap that may be in use: beyond it the collector takes all the time, and then V8 aborts. */
const fullestHeap = 0.85

/** Whether this thread's JavaScript heap is nearly full. */
export const heapIsFull = (): boolean => {
  const { used_heap_size, heap_size_limit } = getHeapStatistics()
  return used_heap_size > fullestHeap * heap_size_limit
}

/** Why a search ends whose thread has no more room for nodes and stacks. */
export const heapFull =
  "the JavaScript heap is nearly full of the histories of fibers; a checkpoint at the head of loops lets those that no longer matter fall together, and NODE_OPTIONS=--max-old-space-size=MB makes the heap larger"

/** Collects this thread's garbage, which V8 is in no hurry to do: it does not know how much tables take. */
export const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc")
  const collect: unknown = runInNewContext("gc")
  if (typeof collect === "function") collect()
}

/** Watches the resident memory of the process, its worker threads included. */
export class MemoryGuard {
  /** In bytes. */
  readonly limit: number
  /** The most bytes seen so far. */
  peak = 0

  constructor(limit: number = defaultMemoryLimit()) {
    this.limit = limit
  }

  /** Whether so many bytes more may be used. */
  readonly room = (bytes: number): boolean => {
    const fits = (): boolean => {
      const used = process.memoryUsage.rss()
      this.peak = Math.max(this.peak, used)
      return used + bytes <= this.limit
    }
    if (fits()) return true
    // What is left of earlier searches may make room.
    collectGarbage()
    return fits()
  }
}
