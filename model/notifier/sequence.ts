/**
 * The numbers of invalidations (mm/mmu_notifier.c: invalidate_seq), and what they are compared for: whether a
 * subscription has been told of an invalidation since somebody read its number, and whether the invalidation that this
 * is the number of has ended.
 *
 * The numbers only ever grow. Where fibers go on for ever, that would tell every round from the one before: there
 * (`forgetNumbers`) it is noted for every reader what its comparisons will say, the numbers themselves are those of the
 * first invalidation again and again, and the states are finitely many. Nothing that a reader can see is left out or
 * added.
 */
import { type Cell, cell, self } from "../../checker/program/index.ts"
import type { IntervalSubscription, NotifierSubscriptions } from "./interval.ts"

/** What the comparisons will say to a fiber that has read the number of a subscription. */
export type SeqReader = {
  readonly fiber: string
  readonly of: string
  readonly stale: boolean
  /** Whether the invalidation of that number has not ended. */
  readonly goesOn: boolean
}

/** Makes an address space forget its numbers. Before anything runs. */
export const forgetNumbers = (subs: NotifierSubscriptions): void => {
  const nobody: ReadonlyArray<SeqReader> = []
  const readers: Cell<ReadonlyArray<SeqReader>> = cell(`${subs.mm}.subs.readers`, nobody)
  subs.readers = readers
}

const isMine =
  (of: string) =>
  (reader: SeqReader): boolean =>
    reader.fiber === self() && reader.of === of

/** The running fiber reads the number of a subscription, or of what is under way. Within a step. */
export const noteReader = ({ readers }: NotifierSubscriptions, of: string, goesOn: boolean): void => {
  if (readers === null) return
  const others = readers.value.filter((reader) => !isMine(of)(reader))
  readers.value = [...others, { fiber: self(), of, stale: false, goesOn }].sort((a, b) =>
    `${a.fiber} ${a.of}` < `${b.fiber} ${b.of}` ? -1 : 1,
  )
}

/** It compares it for the last time. Within a step. */
export const forgetReader = ({ readers }: NotifierSubscriptions, of: string): void => {
  if (readers !== null) readers.value = readers.value.filter((reader) => !isMine(of)(reader))
}

/** Whether the subscription's number is another one than the running fiber has read. Within a step. */
export const isStale = ({ name, state, subs }: IntervalSubscription, seq: number): boolean =>
  subs.readers === null ? state.seq !== seq : subs.readers.value.find(isMine(name))?.stale !== false

/** Whether the number of what is under way is another one than the running fiber has read. Within a step. */
export const hasEnded = ({ readers, state }: NotifierSubscriptions, of: string, seq: number): boolean =>
  readers === null ? state.seq !== seq : readers.value.find(isMine(of))?.goesOn !== true

/** The subscription has that number. Within a step. */
export const setSeq = ({ name, state, subs: { readers } }: IntervalSubscription, seq: number): void => {
  if (readers !== null && state.seq !== seq) {
    readers.value = readers.value.map((reader) => (reader.of === name ? { ...reader, stale: true } : reader))
  }
  state.seq = seq
}

/** The last invalidation of a number has ended, and no callback has it. Within a step. */
export const endSeq = ({ readers, state, byName }: NotifierSubscriptions): void => {
  state.seq++
  if (readers === null) return
  for (const iv of byName.values()) iv.state.seq = Math.min(iv.state.seq, firstSeq - 1)
  readers.value = readers.value.map((reader) => ({ ...reader, goesOn: false }))
  state.seq = firstSeq
}

/** `invalidate_seq` before the first invalidation. */
export const firstSeq = 2
