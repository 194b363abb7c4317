import { protocol } from "../../checker/index.ts"
import { daxBugs } from "./bugs.ts"
import { daxScenarios } from "./scenarios.ts"

export const dax = protocol({
  id: "dax",
  title: "DAX (fs/dax.c): blocks that are mapped themselves, and how a file system gets them back",
  about: {
    purpose:
      "Files whose blocks are memory have no copies in the page cache: page tables and devices map the blocks themselves. Before truncation or hole punching frees a block, nothing may map it any more and nobody may refer to it; who still does is waited for. A block that is another file's must never be reached by who had it before.",
    notModelled: [
      "The first store to a shared mapping, of which a file system wants to hear: entries are writable at once.",
      "Huge entries, reflink on DAX files, memory failure, and the journal.",
      "Of extents only what is behind a page, and who owns a block.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["dax_*", "xfs_*", "grab_mapping_entry", "vmf_insert_*", "wait_page_idle*", "ib_umem_get"],
  scenarios: daxScenarios,
  bugs: daxBugs,
})
