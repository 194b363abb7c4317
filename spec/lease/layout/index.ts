import { protocol } from "../../../checker/index.ts"
import { layoutState, leaseClock, recallService } from "../../described.ts"
import { layoutBugs } from "./bugs.ts"
import { layoutsAsPublished } from "./published.ts"
import { layoutScenarios } from "./scenarios.ts"
import { layoutSurvivors } from "./survivors.ts"

export const layouts = protocol({
  id: "lease/layout",
  title:
    "Layout leases (fs/locks.c, fs/nfsd/nfs4layouts.c, fs/xfs/xfs_pnfs.c): blocks of files that clients use directly",
  about: {
    purpose:
      "nfsd lets a client of pNFS read and write the blocks of an XFS file behind the server's back, under a layout that is a lease. Truncation, hole punching, clones and writes recall it first, and wait; a client that does not answer is waited for (as kernels up to 2025 do) or fenced. No client may write to a block that is another file's, and what one side wrote the other must find.",
    actors: {
      clientN:
        "A client of pNFS: asks the server for a layout of the file, writes the blocks on the device, and may return it.",
      "clientN.N": "A second thread of that client, which also asks for a block and writes it.",
      "clientN-cb": recallService,
      cpuN: "A thread of the server that truncates, punches, clones, writes, reads or maps the file, breaking layouts where it must.",
      gup: "A process that pins the file's page, which is memory (pin_user_pages), and unpins it.",
      "fence-clientN":
        "The server's worker that has the device refuse a client that does not answer (nfsd4_layout_fence_worker).",
      clock: "Time, which passes in ticks: by it leases that are recalled run out.",
    },
    state: {
      clock: leaseClock,
      ...layoutState,
    },
    monitors: {
      seen: "How often what is asked about has happened, such as accesses, grants and commits, and how often wrongly.",
      looked:
        "What the server's thread has looked for, and not found, since it took the IOLOCK: pinned pages, layouts.",
      pinnedSince: "Who waits for a page that has been pinned ever since.",
      waiting: "When the first break began to wait and when it went on, in ticks; -1 before.",
      called: "The pins that there are, and the size that a commit has claimed, by what was called.",
      written: "What was written last, and whether anybody wrote by the server, or could not write at all.",
    },
    notModelled: [
      "Signals, but for those that end the wait for a layout: who waits for a page that is pinned sleeps until nobody has it pinned.",
      "The network: a callback and its reply are steps.",
      "The kernel's giving up of a callback after the client's own lease time.",
      "Blocks are pages; the journal, and crashes, but for what a commit makes lasting.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["exit", "xfs_bmapi_write", "mmap_store", "munmap", "xfs_growfs_data", "xfs_force_shutdown"],
  scenarios: layoutScenarios,
  bugs: [...layoutBugs, ...layoutsAsPublished],
  survivors: layoutSurvivors,
})
