import { collapseTwoPages } from "./collapse.ts"
import { svaPermissionUpgrade, svaTwoAreas } from "./sva.ts"
import { lazyResume, lazyUnmap, switchShootdown } from "./switch.ts"
import { dontneedHugePmd, zapWritebackStore } from "./translations.ts"

/** Every focused race. */
export const races = [
  zapWritebackStore,
  dontneedHugePmd,
  collapseTwoPages,
  switchShootdown,
  lazyUnmap,
  lazyResume,
  svaPermissionUpgrade,
  svaTwoAreas,
]
