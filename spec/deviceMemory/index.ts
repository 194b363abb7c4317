import { protocol } from "../../checker/index.ts"
import {
  coreActors,
  coreMonitors,
  coreState,
  deviceCard,
  gpuMemoryState,
  swapState,
  walkMonitors,
} from "../described.ts"
import { described } from "../mm/operations.ts"
import { exclusiveBugs } from "./bugs/exclusive.ts"
import { migrationBugs } from "./bugs/migration.ts"
import { pageBugs } from "./bugs/pages.ts"
import { unannounced } from "./bugs/unannounced.ts"
import { coherentBugs } from "./coherent/bugs.ts"
import { coherentPairs } from "./coherent/pairs.ts"
import { acceptance } from "./coherent/seed000.ts"
import { seed003 } from "./coherent/seed003.ts"
import { gpuBugs } from "./gpu/bugs.ts"
import { gpuScenarios } from "./gpu/scenarios.ts"
import { devicePairs, pairedOperations } from "./pairs.ts"
import { deviceRaces } from "./races.ts"
import { deviceMemorySurvivors } from "./survivors.ts"

export const deviceMemory = protocol({
  id: "device",
  title: "Device memory: private, coherent and exclusive pages, and their migration",
  about: {
    purpose:
      "A device's memory has struct pages. Private pages only the device reaches: a CPU's fault brings them back. Coherent pages both reach. An exclusive page is system memory that a device has for itself for atomic accesses. Pages migrate there and back while the process, reclaim, fork, pins and other devices do what they do; of a page and the one that takes its place exactly one is reached, and nothing stored is lost. With it go the questions that two mails of 2015 and 2022 asked about such memory, with their answers.",
    actors: {
      init: coreActors.init,
      gpuN: "A GPU, with its driver: it loads, stores, accesses atomically, or takes the page to its memory.",
      cpuN: coreActors.cpuN,
      childN: coreActors.childN,
      kswapdN: coreActors.kswapdN,
      kcompactdN: coreActors.kcompactdN,
      oom_reaperN: coreActors.oom_reaperN,
      khugepagedN: coreActors.khugepagedN,
      driverN: "A GPU's driver that needs its memory back: it evicts a page, by its number, to system memory.",
      rmmodN:
        "Unbinds a GPU's driver: every page of its memory goes back to system memory, and the memory goes (memunmap_pages).",
    },
    state: {
      ...coreState,
      ...swapState,
      ...gpuMemoryState,
      cardN: deviceCard,
    },
    monitors: {
      ...coreMonitors,
      ...walkMonitors,
      migrates:
        "By fiber: the pages that it migrates and those that take their places, and the private page whose fault it handles.",
      migrations: "By rule of single steps of migration: whether it was broken.",
      answers:
        "By question of the mail of 2022: whether anything has happened that it is about, and whether the answer held.",
      cost: "How many faults the GPU took, and how many pages copy-on-write copied, for which story and accesses.",
    },
    operations: described(pairedOperations),
    notModelled: [
      "Huge pages, which may move as one: protocol device/selftests has those.",
      "Copying a page is one step; whether GPUs reach each other's memory is the scenario's choice.",
      "MEMORY_DEVICE_FS_DAX (protocol dax) and MEMORY_DEVICE_PCI_P2PDMA, but for what protocol hmm/dma maps.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: [
    "migrate_vma_*",
    "migrate_device_*",
    "folio_migrate_mapping",
    "folio_copy",
    "copy_page",
    "zone_device_*",
    "do_swap_page: trylock_page",
    "do_swap_page: unlock_page, put_page",
    "softleaf_entry_wait_on_locked",
    "folio_unlock, folio_put*",
    "*_device_exclusive*",
    "restore_exclusive_pte",
    "gpu_*",
    "nouveau_*",
    "mutex_lock(card#*",
  ],
  environment: ["gpu_store", "gpu_load", "gpu_atomic"],
  scenarios: [...devicePairs, ...deviceRaces, ...gpuScenarios, ...coherentPairs, ...seed003, acceptance],
  bugs: [...migrationBugs, ...pageBugs, ...exclusiveBugs, ...unannounced, ...gpuBugs, ...coherentBugs],
  survivors: deviceMemorySurvivors,
})
