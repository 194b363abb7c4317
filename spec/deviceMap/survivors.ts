import type { Survivors } from "../../checker/index.ts"

/** Why mutants of device mappings survive. */
export const deviceMapSurvivors: Survivors = {
  "drop-lock mutex_lock(/dev/npu#.lock) by gpu#":
    "on a fabric with coherence devices may map at once, windows are given out under the block device's lock, and the driver takes no block away",
  "swap mutex_lock | i_size_write":
    "who has the lock meanwhile, and has seen the old size, loses what it maps and caches once truncation has the lock",
  "split device_unmap: invalidate":
    "what others map in between is kept out by what the caller holds: the file's lock, mmap_lock, the mark on the window; what is installed in between is taken away behind it",
  "split iomap_begin":
    "a file system gives out a block under a lock of its own, which makes this one step; no two who store meet a hole at once in any scenario",
}
