import { protocol } from "../../../checker/index.ts"
import { odpBugs2014 } from "./bugs.ts"
import { overlapping, register, swappedIn } from "./scenarios.ts"

export const odp2014 = protocol({
  id: "driver/odp2014",
  title: "RDMA's on-demand paging of 2014 (drivers/infiniband/core/umem_odp.c): counters for each piece of memory",
  steps: ["ib_*", "mlx5_*", "pagefault_*", "*umem_rwsem", "rdma_*", "wait_for_completion_timeout"],
  scenarios: [overlapping, swappedIn, register],
  bugs: odpBugs2014,
})
