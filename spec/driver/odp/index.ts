import { protocol } from "../../../checker/index.ts"
import { odpBugs } from "./bugs.ts"
import {
  deregister,
  deregisterChild,
  deregisterImplicit,
  implicit,
  implicitQueues,
  keyCache,
  overlapping,
  swappedIn,
} from "./scenarios.ts"
import { odpSurvivors } from "./survivors.ts"

export const odp = protocol({
  id: "driver/odp",
  title: "RDMA's on-demand paging (drivers/infiniband/core/umem_odp.c), with mlx5: regions that are not pinned",
  about: {
    purpose:
      "A network card reaches memory that an application has registered but not pinned. Each region has an interval notifier and a mutex that a fault holds from the moment its pages are known to be current until the card has them. Around that: deregistration while faults are under way, a cache of keys that reclaim empties, and implicit regions, whose children come with the first fault and go when their last page is invalidated.",
    notModelled: [
      "DMA addresses: the card's table names pages; protocol hmm/dma has the mapping.",
      "Regions of more pages than the scenarios' bounds, and huge pages.",
      "The card's queue of commands but for one thing: a command that names a key which is no more stops it.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: [
    "mlx5*",
    "ib_umem*",
    "find_odp_mkey",
    "xa_*",
    "__xa_*",
    "mmput_async",
    "refcount_inc_not_zero",
    "free_implicit_child_mr_work",
    "cache_ent*",
    "rdma_*",
  ],
  scenarios: [
    overlapping,
    swappedIn,
    deregister,
    keyCache,
    implicit,
    implicitQueues,
    deregisterImplicit,
    deregisterChild,
  ],
  bugs: odpBugs,
  survivors: odpSurvivors,
})
