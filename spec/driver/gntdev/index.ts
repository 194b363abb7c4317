import { protocol } from "../../../checker/index.ts"
import { gntdevBugs } from "./bugs.ts"
import { overlapping, pinned } from "./scenarios.ts"

export const gntdev = protocol({
  id: "driver/gntdev",
  title: "gntdev (drivers/xen/gntdev.c): pages of other domains, given back when nobody refers to them any more",
  steps: ["unmap_grant_pages", "__gnttab_*", "gnttab_*"],
  scenarios: [pinned, overlapping],
  bugs: gntdevBugs,
})
