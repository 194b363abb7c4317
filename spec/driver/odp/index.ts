import { protocol } from "../../../checker/index.ts"
import { driverMonitors, invalidatingThread, processState, swapState } from "../../described.ts"
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
    actors: {
      nicN: "A queue of the network adapter that accesses a page by RDMA, with page faults: `nic0` stores, others load.",
      cpuN: invalidatingThread,
      ibv_reg_mr:
        "Another registration, which needs memory for the cache of keys and means to reclaim a page for that.",
      ibv_dereg_mr:
        "A thread that deregisters the memory region: page faults must end, the device forget the key, the pages go.",
    },
    state: {
      ...processState,
      ...swapState,
      cache:
        "The lock of the cache of keys (cache.rb_lock), in which keys of regions that have gone wait to be used again.",
      umr: "The queue of commands that change the device's translations: the error that has stopped it, or nothing.",
      mr: "The application's memory region (struct mlx5_ib_mr): its key, umem_mutex, pages, the device's translations (`mttN`), and its children.",
      childN:
        "A region of one page that an implicit region makes for a fault: by page, and by place, where one child follows another.",
    },
    monitors: {
      window: driverMonitors.window,
      slip: "The destruction of a child by a worker which another one has begun or done, in words.",
      ended: "By region: the last of its lives that a worker has begun to end.",
      "key slip": "The region that was freed, or the key that was kept, when it was not its turn, in words.",
      kept: "By region: whether its key has been put back for reuse.",
      unlocked: driverMonitors.unlocked,
    },
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
