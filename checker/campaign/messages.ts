/** What the main thread and the workers say to each other. All of it is decoded where it arrives. */
import { MessagePort } from "node:worker_threads"
import * as Schema from "effect/Schema"
import { Source } from "./source.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Shared = Schema.instanceOf(SharedArrayBuffer)
const Move = Count

/** See `explore/piece.ts`. */
export const PieceSchema = Schema.Struct({
  path: Schema.Array(Move),
  open: Schema.Array(Schema.Array(Schema.Int)),
})

export const ViolationSchema = Schema.Struct({ property: Schema.String, message: Schema.String })

/** All of `SearchOptions` that workers know: no survey, no breadth-first order. Another one is refused where it arrives. */
export const PlainOptions = Schema.Struct({
  maxSteps: Count,
  seed: Schema.Int,
  maxStates: Schema.optionalKey(Count),
  executions: Schema.optionalKey(Count),
  preemptions: Schema.optionalKey(Count),
  target: Schema.optionalKey(Schema.String),
  symmetry: Schema.optionalKey(Schema.Boolean),
  keepEnds: Schema.optionalKey(Schema.Boolean),
  parkedLimit: Schema.optionalKey(Count),
  paranoid: Schema.optionalKey(Schema.Boolean),
})

export const Exercised = Schema.Array(Schema.Struct({ id: Schema.String, times: Count }))

/** How often steps were taken, by name. */
export const Steps = Schema.Array(Schema.Tuple([Schema.String, Count]))

/** What a worker has done in this search so far. */
export const Figures = Schema.Struct({
  states: Count,
  transitions: Count,
  maxDepth: Count,
  /** Moves that it knows and has not made. */
  open: Count,
  exercised: Exercised,
  steps: Steps,
})
export type Figures = typeof Figures.Type

const EndingSchema = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("exhausted") }),
  Schema.Struct({ kind: Schema.Literal("violated"), violation: ViolationSchema, moves: Schema.Array(Move) }),
  Schema.Struct({ kind: Schema.Literal("unsound"), message: Schema.String }),
  Schema.Struct({ kind: Schema.Literal("cut"), reason: Schema.String }),
])

const StatisticsSchema = Schema.Struct({
  states: Count,
  executions: Count,
  blocked: Count,
  transitions: Count,
  maxDepth: Count,
})

const ProgressSchema = Schema.Struct({
  statistics: StatisticsSchema,
  seconds: Schema.Finite,
  workers: Count,
  open: Count,
})

/** What a campaign came to; what is absent is `undefined`. */
export const ConcludedResult = Schema.Struct({
  outcome: Schema.Literals(["holds", "violated", "inconclusive"]),
  statistics: StatisticsSchema,
  graphStates: Count,
  seconds: Schema.Finite,
  exercised: Exercised,
  steps: Steps,
  violation: Schema.optionalKey(ViolationSchema),
  moves: Schema.optionalKey(Schema.Array(Move)),
  cycle: Schema.optionalKey(Count),
  reason: Schema.optionalKey(Schema.String),
  workers: Count,
  peakMemory: Count,
})
export type ConcludedResult = typeof ConcludedResult.Type

/** To a worker. */
export const Order = Schema.Union([
  /** A search is going to begin: get the program. */
  Schema.Struct({
    kind: Schema.Literal("load"),
    source: Source,
    options: PlainOptions,
    /** Whether everything that is found is to be reported. */
    survey: Schema.Boolean,
    stallMilliseconds: Schema.Finite,
  }),
  /** Take part, with this table. */
  Schema.Struct({
    kind: Schema.Literal("join"),
    table: Schema.Struct({ control: Shared, directory: Shared, segments: Schema.Array(Shared) }),
    /** New segments come here, to be taken while a slice of the search runs. */
    supply: Schema.instanceOf(MessagePort),
    /** Words that can be looked at while a slice runs; see `Bell`. */
    bell: Shared,
    /** The main thread's, if it explores too. */
    mainBell: Schema.NullOr(Shared),
  }),
  /** Carry out a campaign alone, from its beginning to its conclusion. */
  Schema.Struct({
    kind: Schema.Literal("campaign"),
    source: Source,
    options: PlainOptions,
    stallMilliseconds: Schema.Finite,
    milliseconds: Schema.NullOr(Schema.Finite),
    /** Bytes that the process may have resident. */
    memory: Count,
  }),
  Schema.Struct({ kind: Schema.Literal("explore"), piece: PieceSchema }),
  /** Give away some of what is left. */
  Schema.Struct({ kind: Schema.Literal("share") }),
  /** Say what is left, and wait. */
  Schema.Struct({ kind: Schema.Literal("pause") }),
  Schema.Struct({ kind: Schema.Literal("goOn") }),
  /** The search is over. */
  Schema.Struct({ kind: Schema.Literal("finish") }),
])
export type Order = typeof Order.Type

/** From a worker. */
export const Report = Schema.Union([
  /** It has the program. */
  Schema.Struct({ kind: Schema.Literal("ready") }),
  /** It cannot have the program, or not set it up; or why a campaign has failed. */
  Schema.Struct({
    kind: Schema.Literal("failed"),
    message: Schema.String,
    failure: Schema.optionalKey(Schema.Literals(["WorkersFailed", "SetupFailed", "Stalled"])),
  }),
  Schema.Struct({ kind: Schema.Literal("progress"), figures: Figures }),
  /** For surveys. */
  Schema.Struct({
    kind: Schema.Literal("found"),
    violations: Schema.Array(ViolationSchema),
    finals: Schema.Array(Schema.Struct({ cells: Schema.String, deadlocked: Schema.Boolean })),
  }),
  /** How its piece ended, and what is left of it. */
  Schema.Struct({
    kind: Schema.Literal("ended"),
    ending: EndingSchema,
    rest: Schema.NullOr(PieceSchema),
    figures: Figures,
  }),
  Schema.Struct({ kind: Schema.Literal("gift"), piece: Schema.NullOr(PieceSchema) }),
  Schema.Struct({ kind: Schema.Literal("paused"), rest: Schema.NullOr(PieceSchema), figures: Figures }),
  /** The table must have so many segments; the worker stands still until it is told of them. */
  Schema.Struct({ kind: Schema.Literal("wants"), segments: Count }),
  /** How far a campaign is. */
  Schema.Struct({ kind: Schema.Literal("underWay"), progress: ProgressSchema }),
  Schema.Struct({ kind: Schema.Literal("concluded"), result: ConcludedResult }),
  Schema.Struct({ kind: Schema.Literal("finished") }),
])
export type Report = typeof Report.Type

/** Through the supply port: the segments made since the last; none when no more are to be had. */
export const Supplied = Schema.Array(Shared)

/** Words of a worker's bell. */
export const Bell = {
  /** Not 0 when an order is waiting: the slice should end. */
  attention: 0,
  /** Changes when something comes through the supply port. */
  supplied: 1,
} as const
