/**
 * Strategy `auto`, for who does not want to choose: `states` and `optimal` take turns on the same program, and the first
 * that comes to an end decides, as neither wins everywhere: some programs have few states and many orders, others the
 * other way round. When neither has an end within its limits, or most of the time is over, samplers get the rest.
 *
 * Turns are counted in steps and not in time, so that the same program is decided by the same one on every machine.
 */
import type { Program } from "../scenario/program.ts"
import { livenessSearch } from "./liveness.ts"
import { optimal } from "./optimal/optimal.ts"
import { pct } from "./pct.ts"
import { pos } from "./pos.ts"
import { random } from "./random.ts"
import { states } from "./states.ts"
import type { Ending, Search, SearchOptions, Statistics, Strategy } from "./strategy.ts"
import { surw } from "./surw.ts"

/** Steps in a turn. */
const turn = 2_000

/** The share of the time, if there is a limit, that exhaustive strategies may take. */
const forExhaustive = 0.75

/** Schedules that each sampler draws where nothing else is said. */
const samples = 2_500

/** A strategy that takes its turns. */
interface Player {
  readonly strategy: Strategy
  readonly search: Search
}

class Auto implements Search {
  private readonly program: Program
  private readonly options: SearchOptions
  private readonly started = Date.now()
  /** Those that take turns now, those that were cut, and which of them decided. */
  private players: ReadonlyArray<Player>
  private readonly cut: Array<Player> = []
  private decider: Player | undefined
  private isSampling = false
  private readonly reasons: Array<string> = []
  private ending: Ending | undefined

  constructor(program: Program, options: SearchOptions) {
    const { executions: _, ...rest } = options
    this.program = program
    this.options = options
    this.players = [states, optimal].map((strategy) => ({ strategy, search: strategy.search(program, rest) }))
  }

  get statistics(): Statistics {
    const transitions = this.everybody.reduce((sum, { search }) => sum + search.statistics.transitions, 0)
    const { decider } = this
    if (decider !== undefined) return { ...decider.search.statistics, transitions }
    const most = (what: keyof Statistics) => Math.max(...this.everybody.map(({ search }) => search.statistics[what]))
    const sum = (what: keyof Statistics) => this.everybody.reduce((all, { search }) => all + search.statistics[what], 0)
    return {
      states: most("states"),
      executions: sum("executions"),
      blocked: sum("blocked"),
      transitions,
      maxDepth: most("maxDepth"),
    }
  }

  get decidedBy() {
    return this.decider?.strategy.name
  }

  get exercised() {
    return this.busiest.exercised
  }

  get steps() {
    return this.busiest.steps
  }

  get compared() {
    return this.busiest.compared
  }

  get visited() {
    return this.decider?.search.visited
  }

  get isReduced() {
    return this.decider?.search.isReduced ?? false
  }

  get everyRunEnds() {
    return this.decider?.search.everyRunEnds ?? false
  }

  get share() {
    return Math.max(0, ...this.players.map(({ search }) => search.share ?? 0))
  }

  get soFar() {
    if (!this.isSampling) return undefined
    const drawn = this.everybody.flatMap(({ search, strategy }) =>
      strategy.exhaustive ? [] : [`${search.statistics.executions} by ${strategy.name}`],
    )
    return [...this.reasons, `schedules were drawn: ${drawn.join(", ")} (seed ${this.options.seed})`].join("; ")
  }

  advance(steps: number): Ending | undefined {
    for (let made = 0; this.ending === undefined && made < steps; made += turn) this.takeTurn()
    return this.ending
  }

  private get everybody(): ReadonlyArray<Player> {
    return [...this.players, ...this.cut]
  }

  /** The search to speak for all: the one that decided, or has done most. */
  private get busiest(): Search {
    const [busiest] = this.everybody.toSorted((a, b) => stepsOf(b) - stepsOf(a))
    const player = this.decider ?? busiest
    if (player === undefined) throw new Error("nobody searches")
    return player.search
  }

  private takeTurn(): void {
    const { milliseconds } = this.options
    if (!this.isSampling && milliseconds !== undefined && Date.now() - this.started > forExhaustive * milliseconds) {
      this.reasons.push("the exhaustive strategies had their share of the time")
      this.cut.push(...this.players)
      this.players = []
    }
    const [player] = this.players.toSorted((a, b) => stepsOf(a) - stepsOf(b))
    if (player === undefined) {
      if (this.isSampling) this.ending = { kind: "cut", reason: this.reasons.join("; ") }
      else this.sample()
      return
    }
    const ending = player.search.advance(turn)
    if (ending === undefined) return
    if (ending.kind === "cut") {
      this.reasons.push(`${player.strategy.name}: ${ending.reason}`)
      this.cut.push(player)
      this.players = this.players.filter((other) => other !== player)
      return
    }
    this.decider = player
    this.ending = ending
  }

  /** Lets the samplers take turns. */
  private sample(): void {
    const { executions = samples } = this.options
    this.isSampling = true
    this.players = [surw, pct, pos, random].map((strategy) => ({
      strategy,
      search: strategy.search(this.program, { ...this.options, executions }),
    }))
  }
}

const stepsOf = ({ search }: Player): number => search.statistics.transitions

export const auto: Strategy = {
  name: "auto",
  summary:
    "states and optimal take turns, and the first that comes to an end decides: what a pass means is then what it means there, and the report says which it was. If neither does within its limits or three quarters of --time, samplers get the rest: surw, pct, pos and random, --executions N of each (default 2,500), from --seed N",
  exhaustive: true,
  covers: "every state within the bound",
  needsSteps: true,
  takes: new Set(["executions", "paranoid"]),
  search: (program, options) => new Auto(program, options),
  liveness: livenessSearch,
}
