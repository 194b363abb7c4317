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
  scenarios: [overlapping, swappedIn, deregister, keyCache, implicit, implicitQueues, deregisterImplicit],
  bugs: odpBugs,
})
