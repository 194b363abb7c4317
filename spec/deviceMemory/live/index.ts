import { protocol } from "../../../checker/index.ts"
import { liveBugs } from "./bugs.ts"
import { close, exclusive, longterm, pinned, unbind, unbindPinned, waiters } from "./migrations.ts"
import { takeFromEachOther } from "./pingPong.ts"
import { drain, faults } from "./scenarios.ts"

export const deviceLive = protocol({
  id: "device/live",
  title: "What device memory promises to come about: faults, migrations and evictions come to their ends",
  steps: ["memunmap_pages*", "dmirror_fops_release*", "devmem_chunk*", "page->zone_device_data", "lru_add_drain*"],
  scenarios: [faults, drain, waiters, pinned, longterm, unbind, unbindPinned, close, exclusive, takeFromEachOther],
  bugs: liveBugs,
})
