import { protocol } from "../../../checker/index.ts"
import { liveBugs } from "./bugs.ts"
import { close, exclusive, longterm, pinned, unbind, unbindPinned, waiters } from "./migrations.ts"
import { takeFromEachOther } from "./pingPong.ts"
import { drain, faults } from "./scenarios.ts"
import { liveSurvivors } from "./survivors.ts"

export const deviceLive = protocol({
  id: "device/live",
  title: "What device memory promises to come about: faults, migrations and evictions come to their ends",
  about: {
    purpose:
      "An invariant says that nothing bad happens; these scenarios ask that something good does. Faults on private pages, migrations, exclusive access, long-term pins, eviction and the removal of a device come to their ends in every fair run, whoever gets in their way by a reference or a lock.",
    notModelled: [
      "Fairness is weak: whoever could go on from some point for ever does so. Of several that wait for a lock any may be next.",
      "No huge pages take part, and there is no time but steps.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["memunmap_pages*", "dmirror_fops_release*", "devmem_chunk*", "page->zone_device_data", "lru_add_drain*"],
  scenarios: [faults, drain, waiters, pinned, longterm, unbind, unbindPinned, close, exclusive, takeFromEachOther],
  bugs: liveBugs,
  survivors: liveSurvivors,
})
