import type { Registry } from "../checker/index.ts"
import { dax } from "./dax/index.ts"
import { deviceMap } from "./deviceMap/index.ts"
import { deviceFree } from "./deviceMemory/free/index.ts"
import { deviceMemory } from "./deviceMemory/index.ts"
import { deviceLive } from "./deviceMemory/live/index.ts"
import { selftests } from "./deviceMemory/selftests/index.ts"
import { gntdev } from "./driver/gntdev/index.ts"
import { gru } from "./driver/gru/index.ts"
import { i915Userptr } from "./driver/i915-userptr/index.ts"
import { kvm } from "./driver/kvm/index.ts"
import { nouveau } from "./driver/nouveau/index.ts"
import { odp } from "./driver/odp/index.ts"
import { odp2014 } from "./driver/odp2014/index.ts"
import { testHmm } from "./driver/testHmm/index.ts"
import { ttm } from "./driver/ttm/index.ts"
import { hmm2019 } from "./hmm/2019/index.ts"
import { hmmDma } from "./hmm/dma/index.ts"
import { hmmHuge } from "./hmm/huge/index.ts"
import { hmmRangeFault } from "./hmm/rangeFault/index.ts"
import { hmmRequests } from "./hmm/requests/index.ts"
import { hmmSeed001 } from "./hmm/seed001/index.ts"
import { hugetlb } from "./hugetlb/index.ts"
import { blocks } from "./lease/blocks/index.ts"
import { pnfsStateids } from "./lease/client/index.ts"
import { lockContexts } from "./lease/context/index.ts"
import { layoutDrain } from "./lease/drain/index.ts"
import { fcntlLeases } from "./lease/fcntl/index.ts"
import { layouts } from "./lease/layout/index.ts"
import { mappedLayouts } from "./lease/mapped/index.ts"
import { setlease } from "./lease/setlease/index.ts"
import { memoryManagement } from "./mm/index.ts"
import { notifier2008 } from "./notifier/2008/index.ts"
import { intervalNotifier } from "./notifier/interval/index.ts"
import { mmuNotifier } from "./notifier/mmuNotifier/index.ts"
import { synchronisation } from "./sync/index.ts"

/** The protocols that the command line knows. */
export const registry: Registry = [
  synchronisation,
  intervalNotifier,
  mmuNotifier,
  notifier2008,
  kvm,
  nouveau,
  odp,
  odp2014,
  testHmm,
  gru,
  i915Userptr,
  gntdev,
  ttm,
  memoryManagement,
  hugetlb,
  deviceMemory,
  deviceLive,
  hmmRangeFault,
  hmmRequests,
  hmmDma,
  hmmSeed001,
  hmmHuge,
  hmm2019,
  deviceFree,
  selftests,
  dax,
  deviceMap,
  fcntlLeases,
  setlease,
  lockContexts,
  layouts,
  mappedLayouts,
  pnfsStateids,
  layoutDrain,
  blocks,
]
