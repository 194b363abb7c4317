import { ownExclusive, ownMigrate, readBegin, secondaryTlb, twoPass, twoPassRefused } from "./devices.ts"
import {
  firstInsert,
  getPut,
  insertRemove,
  moduleExit,
  nonBlockable,
  overlapping,
  register,
  releaseOnce,
  unregister,
  young,
} from "./subscriptions.ts"

export const mmuNotifierScenarios = [
  register,
  firstInsert,
  insertRemove,
  overlapping,
  nonBlockable,
  unregister,
  releaseOnce,
  getPut,
  moduleExit,
  young,
  twoPass,
  twoPassRefused,
  secondaryTlb,
  ownMigrate,
  ownExclusive,
  readBegin,
]
