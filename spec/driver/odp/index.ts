import { protocol } from "../../../checker/index.ts"
import { odpBugs } from "./bugs.ts"
import {
  deregister,
  deregisterImplicit,
  implicit,
  implicitQueues,
  keyCache,
  overlapping,
  swappedIn,
} from "./scenarios.ts"

export const odp = protocol({
  id: "driver/odp",
  title: "RDMA's on-demand paging (drivers/infiniband/core/umem_odp.c), with mlx5: regions that are not pinned",
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
  scenarios: [overlapping, swappedIn, deregister, keyCache, implicit, implicitQueues, deregisterImplicit],
  bugs: odpBugs,
})
