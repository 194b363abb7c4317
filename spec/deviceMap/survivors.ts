import type { Survivors } from "../../checker/index.ts"

/** Why mutants of device mappings survive. */
export const deviceMapSurvivors: Survivors = {
  "split device_unmap: invalidate":
    "what others map in between is kept out by what the caller holds: the file's lock, mmap_lock, the mark on the window; what is installed in between is taken away behind it",
}
