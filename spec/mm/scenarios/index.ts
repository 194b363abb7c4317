import { collapseTwoPages } from "./collapse.ts"
import {
  dirtyCow,
  faultsAndUnmap,
  forcedWriteAndUnmap,
  forkAndFault,
  forkAndPin,
  hintAndMigrate,
  hintAndPin,
  lazyFree,
  migrationWait,
  readIn,
  recycledPage,
  shrink,
  storeAndFork,
  storeAndMigrate,
  storeAndProtect,
  truncatedUnmapped,
  twoSwapIns,
  vmspliceAndStore,
} from "./races.ts"
import { svaPermissionUpgrade, svaTwoAreas } from "./sva.ts"
import { lazyResume, lazyUnmap, switchShootdown } from "./switch.ts"
import { dontneedHugePmd, zapWritebackStore } from "./translations.ts"

/** Every focused race. */
export const races = [
  dirtyCow,
  forcedWriteAndUnmap,
  vmspliceAndStore,
  forkAndPin,
  forkAndFault,
  recycledPage,
  hintAndMigrate,
  hintAndPin,
  twoSwapIns,
  storeAndFork,
  storeAndMigrate,
  storeAndProtect,
  lazyFree,
  truncatedUnmapped,
  readIn,
  faultsAndUnmap,
  shrink,
  migrationWait,
  zapWritebackStore,
  dontneedHugePmd,
  collapseTwoPages,
  switchShootdown,
  lazyUnmap,
  lazyResume,
  svaPermissionUpgrade,
  svaTwoAreas,
]
