/** What a driver of one's own is written with (`shootdown/driver`): the kernel's side of it, and what it is checked against. */
export { mmgetNotZero, mmput } from "../../model/mm/exit.ts"
export type { Frame } from "../../model/mm/folio.ts"
export { getUserPages, putUserPage, type UserPage } from "../../model/mm/gup.ts"
export type { Mm } from "../../model/mm/mm.ts"
export type { Range } from "../../model/mm/range.ts"
export type { NotifierRange } from "../../model/notifier/events.ts"
export {
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalNotifierInsert,
  mmuIntervalNotifierRemove,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
  mmuIntervalSetSeq,
} from "../../model/notifier/interval.ts"
export type { MmuNotifierOps } from "../../model/notifier/mmuNotifierOps.ts"
export { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../../model/sync/mutex.ts"
export { keep, release, type SpinLock, spinLock, underLock } from "../../model/sync/spinlock.ts"
export { allCalls, type Call } from "./calls.ts"
export { type Driver, type DriverScenario, type DriverWorld, driverScenario } from "./driverScenario.ts"
export type { Mapping } from "./mappings.ts"
export { type Change, closes, ends, opens, starts } from "./windows.ts"
