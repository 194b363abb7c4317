import { protocol } from "../../../checker/index.ts"
import { kvmBugs } from "./bugs.ts"
import {
  aging,
  calls,
  exit,
  lockless,
  memslots,
  memslotsMove,
  overlapping,
  pfnCache,
  retries,
  zapAll,
} from "./scenarios.ts"

export const kvm = protocol({
  id: "driver/kvm",
  title: "KVM: guests whose page table follows the process that runs them, by counts and a sequence",
  scenarios: [calls, overlapping, lockless, exit, aging, memslots, memslotsMove, zapAll, pfnCache, retries],
  bugs: kvmBugs,
})
