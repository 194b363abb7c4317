import type { Survivors } from "../../checker/index.ts"

/** Why mutants of device mappings survive. */
export const deviceMapSurvivors: Survivors = {
  "split device_unmap: invalidate":
    "what others map in between is kept out by what the caller holds: the file's lock, mmap_lock, the mark on the window; what is installed in between is taken away behind it",
  "split iomap_begin":
    "a file system gives out a block under a lock of its own, which makes this one step; no two who store meet a hole at once in any scenario",
}
