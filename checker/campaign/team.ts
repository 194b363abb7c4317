/**
 * Worker threads that carry out one search by states together: they share the table of visited states, and whoever has
 * nothing left gets part of what another has. The main thread deals out pieces, makes segments for the table and adds up;
 * where it need not be free at any moment, it explores too.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { letOthersRun } from "../explore/explore.ts"
import { openIn, type Piece } from "../explore/piece.ts"
import type { StatesSearch } from "../explore/states.ts"
import { type Ending, emptyStatistics, type SearchOptions, type Statistics, type Survey } from "../explore/strategy.ts"
import type { Visited } from "../explore/visited.ts"
import { addTimes } from "../property/coverage.ts"
import { Here } from "./here.ts"
import { Member } from "./member.ts"
import { heapFull } from "./memory.ts"
import type { Figures, Order, Report } from "./messages.ts"
import { type Death, Pool, type Thread } from "./pool.ts"
import type { Source } from "./source.ts"

/** A worker cannot take part: it does not get the program that the main thread has. */
export class WorkersFailed extends Data.TaggedError("WorkersFailed")<{ readonly message: string }> {}

/** What all have done together. */
export interface Totals {
  readonly statistics: Statistics
  readonly exercised: ReadonlyArray<{ readonly id: string; readonly times: number }>
  readonly steps: ReadonlyMap<string, number>
}

/** Segments that are made before they are wanted, so that workers seldom wait for one. Untouched, they cost nothing. */
const spareSegments = 16

/** Milliseconds without an event after which `between` is called all the same. */
const tick = 100

/** Milliseconds beyond the limit for program code after which a worker that gives no sign is given up. */
const patience = 5000

export class Team {
  private readonly members: ReadonlyArray<Member>
  private readonly events: Queue.Queue<readonly [Member, Report | Death]>
  private readonly pieces: Array<Piece> = []
  private readonly stallMilliseconds: number
  private readonly survey: Survey | undefined
  private visited: Visited | undefined
  private base: Totals = { statistics: emptyStatistics(), exercised: [], steps: new Map() }
  private ending: Ending | undefined
  /** This thread's part. */
  private here: Here | undefined
  /** Why the workers cannot take part. */
  private failure: string | undefined
  /** Whether part of the search went down with a thread: what is left is then not known. */
  lost = false

  private constructor(
    threads: ReadonlyArray<Thread>,
    events: Queue.Queue<readonly [Member, Report | Death]>,
    stallMilliseconds: number,
    survey: Survey | undefined,
  ) {
    this.events = events
    this.stallMilliseconds = stallMilliseconds
    this.survey = survey
    this.members = threads.map((thread) => new Member(thread))
    for (const member of this.members) {
      member.thread.listener = (message) => void Queue.offerUnsafe(events, [member, message])
    }
  }

  /**
   * Gets threads that load the program, and ends those with the scope that have not finished by then.
   *
   * @param stallMilliseconds how long program code may run without coming back
   */
  static readonly recruit = Effect.fnUntraced(function* (
    count: number,
    source: Source,
    { survey, ...options }: SearchOptions,
    stallMilliseconds: number,
  ) {
    const pool = yield* Pool
    const events = yield* Queue.unbounded<readonly [Member, Report | Death]>()
    return yield* Effect.acquireRelease(
      Effect.sync(() => {
        const team = new Team(pool.take(count), events, stallMilliseconds, survey)
        team.tellAll({ kind: "load", source, options, survey: survey !== undefined, stallMilliseconds })
        return team
      }),
      (team, exit) => Effect.sync(() => team.dissolve(pool, Exit.hasInterrupts(exit))),
    )
  })

  /** Whether all have the program, or one cannot have it. Heeds what has arrived. */
  readonly isReady: Effect.Effect<boolean> = Effect.suspend(() => this.heedArrived()).pipe(
    Effect.map(() => this.failure !== undefined || this.members.every(({ phase }) => phase === "idle")),
  )

  /** How many threads explore. */
  get size(): number {
    return this.members.length + (this.here === undefined ? 0 : 1)
  }

  /** Whether the search has begun here, and nothing has ended it. */
  get isExploring(): boolean {
    return this.visited !== undefined && this.ending === undefined
  }

  /** Whether something has ended the search. */
  get isOver(): boolean {
    return this.ending !== undefined
  }

  /** What has been done, with what was done before the workers began. Exact once they have paused. */
  get totals(): Totals {
    const { statistics, exercised } = this.base
    const steps = new Map(this.base.steps)
    const sum = { ...statistics }
    const times = new Map(exercised.map(({ id, times }, position) => [position, { id, times }]))
    for (const figures of this.figures) {
      sum.states += figures.states
      sum.transitions += figures.transitions
      sum.maxDepth = Math.max(sum.maxDepth, figures.maxDepth)
      figures.exercised.forEach((each, position) => {
        times.set(position, { id: each.id, times: (times.get(position)?.times ?? 0) + each.times })
      })
      for (const [name, more] of figures.steps) addTimes(steps, name, more)
    }
    return { statistics: sum, exercised: [...times.values()], steps }
  }

  /** How many moves are known and not made, as far as the workers have said. */
  get open(): number {
    const waiting = this.pieces.reduce((sum, piece) => sum + openIn(piece), 0)
    return this.figures.reduce((sum, { open }) => sum + open, waiting)
  }

  /** What each has done. */
  private get figures(): ReadonlyArray<Figures> {
    const search = this.here?.search
    const others = this.members.map(({ figures }) => figures)
    if (search === undefined) return others
    const { statistics, exercised, steps, open } = search
    return [{ ...statistics, exercised, steps: [...steps], open }, ...others]
  }

  /** Who has nothing to explore. */
  private get idle(): ReadonlyArray<Member | Here> {
    const idle = this.members.filter(({ phase }) => phase === "idle")
    return this.here === undefined || this.here.isExploring ? idle : [...idle, this.here]
  }

  /** What is left to explore, once all have paused. */
  get rest(): ReadonlyArray<Piece> {
    return [...this.pieces, ...this.members.flatMap(({ rest }) => rest ?? [])]
  }

  /**
   * Explores the pieces until nothing is left, something ends the search, or `between`, called again and again, returns
   * how it is to end. The workers have paused when this returns an ending that leaves something to explore.
   *
   * @param visited the table, of which this thread is the only user so far
   * @param base what was done before
   * @param search one that is going on in this thread, which takes part with it
   */
  readonly explore = Effect.fnUntraced(function* <E, R>(
    this: Team,
    visited: Visited,
    pieces: ReadonlyArray<Piece>,
    base: Totals,
    between: () => Effect.Effect<Ending | undefined, E, R>,
    search?: StatesSearch,
  ) {
    while (!(yield* this.isReady)) yield* this.next
    if (this.failure !== undefined) return yield* new WorkersFailed({ message: this.failure })
    this.base = base
    this.pieces.push(...pieces)
    this.here = search === undefined ? undefined : new Here(search)
    this.join(visited)
    while (this.ending === undefined) {
      this.deal()
      if (this.pieces.length === 0 && this.idle.length === this.size) {
        this.ending = { kind: "exhausted" }
        break
      }
      if (this.here?.isExploring) yield* this.exploreHere(this.here)
      else yield* this.next
      this.giveUpSilent()
      this.ending ??= yield* between()
    }
    if (this.failure !== undefined) return yield* new WorkersFailed({ message: this.failure })
    if (this.ending.kind === "cut") yield* this.pause()
    return this.ending
  })

  private readonly exploreHere = (here: Here) =>
    Effect.flatMap(here.slice(this.stallMilliseconds), (ending) => {
      if (ending !== undefined) this.end(ending)
      return Effect.andThen(letOthersRun, this.heedArrived())
    })

  /** Makes all workers stop where they are: then `totals` and `rest` are exact, until `goOn`. */
  readonly pause = Effect.fnUntraced(function* (this: Team) {
    this.tellAll({ kind: "pause" })
    while (this.members.some(({ paused, thread }) => !paused && thread.isAlive)) {
      yield* this.next
      this.giveUpSilent()
    }
  })

  /** Takes the work up again after `pause`. */
  goOn(): void {
    for (const member of this.members) member.goOn()
  }

  /** Ends a worker that does not come back and does not even notice. */
  private giveUpSilent(): void {
    const limit = this.stallMilliseconds + patience
    for (const member of this.members) {
      if (!member.isSilentFor(limit)) continue
      member.thread.terminate()
      member.phase = "idle"
      this.lost = true
      this.end({
        kind: "unsound",
        message: `a worker has given no sign for ${limit / 1000} s: code that does not return`,
      })
    }
  }

  /** Notes how the search ends. Of several ways, one that shows something counts. */
  private end(ending: Ending): void {
    if (this.ending === undefined || rank(ending) > rank(this.ending)) this.ending = ending
  }

  private tellAll(order: Order): void {
    for (const member of this.members) member.tell(order)
  }

  /** Makes segments, and lets all have them; or says that there are no more. */
  private provide(asking: Member, wanted: number): void {
    const { visited } = this
    if (visited === undefined) throw new Error("segments are wanted of no table")
    if (visited.provided < wanted) visited.provide(wanted + spareSegments)
    if (visited.provided < wanted) asking.give([])
  }

  private dissolve(pool: Pool["Service"], interrupted: boolean): void {
    for (const member of this.members) {
      member.ring()
      // One that waits for a segment must not wait for ever.
      member.give([])
      if (interrupted) member.thread.terminate()
      else pool.giveBack(member.thread)
    }
    this.visited?.unshare()
  }

  /** Gives the idle pieces, and asks whoever has most to share. */
  private deal(): void {
    for (const idle of this.idle) {
      const piece = this.pieces.pop() ?? this.here?.share()
      if (piece === undefined) break
      idle.explore(piece)
    }
    const asked = this.members.filter((member) => member.asked).length
    const rich = this.members.filter(({ phase, asked, figures }) => phase === "exploring" && !asked && figures.open > 1)
    rich.sort((a, b) => b.figures.open - a.figures.open)
    for (const member of rich.slice(0, Math.max(0, this.idle.length - asked))) member.share()
  }

  private join(visited: Visited): void {
    this.visited = visited
    const table = visited.share((segments) => {
      for (const member of this.members) member.give(segments)
    })
    const mainBell = this.here?.bell ?? null
    for (const member of this.members) member.join(table, mainBell)
  }

  /** Waits for an event, or a tick. */
  private readonly next: Effect.Effect<void> = Effect.suspend(() => Queue.take(this.events)).pipe(
    Effect.timeoutOption(tick),
    Effect.flatMap(Option.match({ onNone: () => Effect.void, onSome: (event) => this.heed(event) })),
    Effect.andThen(Effect.suspend(() => this.heedArrived())),
  )

  /** Heeds the events that have arrived. */
  private readonly heedArrived = (): Effect.Effect<void> =>
    Effect.flatMap(
      Queue.poll(this.events),
      Option.match({
        onNone: () => Effect.void,
        onSome: (event) => Effect.flatMap(this.heed(event), this.heedArrived),
      }),
    )

  private readonly heed = ([member, message]: readonly [Member, Report | Death]): Effect.Effect<void> =>
    Effect.suspend(() => {
      member.sign()
      return this.note(member, message)
    })

  private note(member: Member, message: Report | Death): Effect.Effect<void> {
    switch (message.kind) {
      case "ready":
        member.phase = "idle"
        break
      case "failed":
        this.failure ??= message.message
        this.end({ kind: "cut", reason: message.message })
        break
      case "progress":
        member.figures = message.figures
        break
      case "found":
        for (const violation of message.violations) this.survey?.violation(violation)
        for (const { cells, deadlocked } of message.finals) this.survey?.final(cells, deadlocked)
        break
      case "ended":
        member.phase = "idle"
        member.figures = { ...message.figures, open: 0 }
        if (message.rest !== null) this.pieces.push(message.rest)
        if (message.ending.kind !== "exhausted") this.end(message.ending)
        break
      case "gift":
        member.asked = false
        if (message.piece === null) member.figures = { ...member.figures, open: 0 }
        else {
          this.pieces.push(message.piece)
          member.figures = { ...member.figures, open: Math.max(0, member.figures.open - openIn(message.piece)) }
        }
        break
      case "paused":
        member.paused = true
        member.rest = message.rest ?? undefined
        member.figures = message.figures
        break
      case "wants":
        this.provide(member, message.segments)
        break
      case "finished":
      case "underWay":
      case "concluded":
        break
      case "outOfMemory":
        this.lost = true
        member.phase = "idle"
        this.end({ kind: "cut", reason: heapFull })
        break
      case "broken":
        return Effect.die(message.error)
    }
    return Effect.void
  }
}

/** Which ending counts more. */
const rank = ({ kind }: Ending): number => (kind === "violated" ? 2 : kind === "unsound" ? 1 : 0)
