/**
 * One execution of an Effect program that knows nothing of steps. A move is the turn of a fiber, from where it was
 * suspended to where it is suspended next; the execution ends when the main fiber has.
 */
import * as Effect from "effect/Effect"
import type { Operation } from "../../program/operation.ts"
import type { Plain } from "../../program/plain.ts"
import { type Actor, breakRule, noteThatCounts, promiseMade, runtime } from "../../program/runtime.ts"
import { PropertyTracker } from "../../property/tracker.ts"
import { builtIn, type Violation } from "../../property/violation.ts"
import type { Instance, NamedFiber, PlainEffect, Program, Woken } from "../../scenario/program.ts"
import { describeError } from "../fault.ts"
import type { PlainExecution } from "../plainExecution.ts"
import { fiberOf, type Move, moveOf, optionOf, waitingIn } from "../system.ts"
import { promised } from "./awaited.ts"
import { Control, type Member } from "./control.ts"
import { describeExit, endOf, faultOf } from "./exit.ts"

/** A fiber as strategies know it: by its name. What it does is Effect's affair. */
const named = (name: string): NamedFiber => ({ name, effect: Effect.void, rewrite: () => undefined })

export class EffectExecution implements PlainExecution {
  readonly instance: Instance
  readonly tracker: PropertyTracker
  /** How the last turn ended. */
  lastResult: Plain = undefined
  /** It has no steps for a seeded bug to leave out. */
  readonly leftOut = []
  /** How many moves were made: no two states of a run are taken for one, as what its future depends on is not known. */
  low = 0
  readonly high = 0
  private readonly effect: PlainEffect
  private readonly control: Control
  private readonly names: Array<NamedFiber> = []
  private readonly operations: Array<Operation | undefined> = []
  private broken: Violation | undefined
  /** Whether it is still to be chosen when fibers go on that are woken. */
  private choosing = false
  private over = false

  constructor(program: Program) {
    this.instance = program.start()
    const { plain } = this.instance
    if (plain === undefined) throw new Error(`${program.scenario} is a program of steps`)
    this.effect = plain
    this.tracker = new PropertyTracker(this.instance.store, this.instance.properties, false)
    this.control = this.acting(new TurnActor("main", "before its start"), () => new Control(plain.main, plain))
    if (plain.woken === "either") this.choosing = true
    else this.control.woken = plain.woken
    this.notice()
  }

  get fibers(): ReadonlyArray<NamedFiber> {
    return this.names
  }

  begin(): ReadonlyArray<Violation> {
    return this.broken === undefined ? [] : [this.broken]
  }

  moves(): ReadonlyArray<Move> {
    if (this.over || this.broken !== undefined) return []
    if (this.choosing) return choices.options.map((_, option) => moveOf(0, option))
    return Array.from(this.control.ready(), (fiber) => moveOf(fiber, 0))
  }

  take(move: Move): ReadonlyArray<Violation> {
    return this.follow(move)
  }

  follow(move: Move): ReadonlyArray<Violation> {
    const position = fiberOf(move)
    const member = this.control.members[position]
    const operation = this.operation(position)
    if (member === undefined || operation === undefined) throw new Error(`move ${move} is not possible`)
    this.low++
    if (this.choosing) return this.choose(optionOf(move))
    const actor = new TurnActor(member.name, `after ${operation.name}`)
    try {
      this.acting(actor, () => this.control.run(member))
    } catch (error) {
      this.broken ??= { property: builtIn.defect, message: `${placeOf(actor)} threw ${describeError(error)}` }
    }
    this.operations.length = 0
    this.notice()
    this.lastResult = this.broken === undefined ? this.cameTo(member) : undefined
    return this.begin()
  }

  private choose(option: number): ReadonlyArray<Violation> {
    const { [option]: woken } = ways
    if (woken === undefined) throw new Error(`there is no option ${option}`)
    this.control.woken = woken
    this.choosing = false
    this.lastResult = woken
    return []
  }

  /** Runs code of the program. */
  private acting<A>(actor: TurnActor, run: () => A): A {
    const before = runtime.actor
    runtime.actor = actor
    try {
      return run()
    } finally {
      runtime.actor = before
      if (actor.blamed !== undefined) {
        const message = `${placeOf(actor)}: ${actor.blamed === promiseMade ? insteadOfPromises : actor.blamed}`
        this.broken ??= { property: builtIn.rules, message }
      }
    }
  }

  /** Takes note of the fibers that have come, and of the end of the first. */
  private notice(): void {
    const { members, main } = this.control
    for (const { name } of members.slice(this.names.length)) this.names.push(named(name))
    const exit = main.fiber.pollUnsafe()
    if (exit === undefined || this.over) return
    this.over = true
    this.effect.ended(exit, describeExit(exit))
  }

  /** Where a turn ended. */
  private cameTo(member: Member): Plain {
    if (member.kind === "backlog") return undefined
    const exit = member.fiber.pollUnsafe()
    return exit === undefined ? this.control.describe(member) : endOf(exit)
  }

  operation(fiber: number): Operation | undefined {
    const member = this.control.members[fiber]
    if (member === undefined || this.broken !== undefined || this.over || this.isOver(member)) return undefined
    if (this.choosing) return fiber === 0 ? choices : undefined
    this.operations[fiber] ??= turn(this.control.describe(member))
    return this.operations[fiber]
  }

  private isOver(member: Member): boolean {
    return member.kind === "backlog" ? member.tasks.length === 0 : member.fiber.pollUnsafe() !== undefined
  }

  hasEnded(fiber: number): boolean {
    const member = this.control.members[fiber]
    return member?.kind === "fiber" && member.fiber.pollUnsafe() !== undefined
  }

  get width(): number {
    return this.names.length
  }

  place(): undefined {
    return undefined
  }

  isRunning(fiber: string): boolean {
    const position = this.names.findIndex(({ name }) => name === fiber)
    return position >= 0 && !this.hasEnded(position)
  }

  /** No operation asks for it: what a fiber ends with is Effect's to hand on. */
  valueOf(): undefined {
    return undefined
  }

  /** None of its fibers is parked at a step. */
  actor(): undefined {
    return undefined
  }

  get rest(): "ended" | "stuck" | "broken" {
    if (this.broken !== undefined) return "broken"
    return this.over ? "ended" : "stuck"
  }

  deadlock(): string {
    return waitingIn(this)
      .map(({ fiber, step }) => `${fiber} waits in ${step}`)
      .join("; ")
  }

  end(): ReadonlyArray<Violation> {
    if (this.broken !== undefined) return []
    const exit = this.control.main.fiber.pollUnsafe()
    if (exit !== undefined) {
      const fault = faultOf(exit, this.instance.properties.length > 0)
      return [...(fault === undefined ? [] : [fault]), ...this.tracker.end([], () => "")]
    }
    const waiting = waitingIn(this)
    const outside = waiting.find(({ step }) => step.endsWith(promised))
    if (outside === undefined) return this.tracker.end(waiting, () => this.deadlock())
    const message = `fiber ${outside.fiber} waits in ${outside.step}: ${insteadOfPromises}`
    return [{ property: builtIn.rules, message }]
  }
}

const insteadOfPromises = `${promiseMade}; give the program a service that answers by Effect's own means`

/** Today's way first: of two counterexamples that are as simple it is the one to show. */
const ways: ReadonlyArray<Woken> = ["at once", "later"]
const choices: Operation & { readonly kind: "choice" } = { kind: "choice", name: "woken", args: [], options: ways }

const turns = new Map<string, Operation>()
const nothing = () => undefined

/** The turn of a fiber that stands there. */
const turn = (standing: string): Operation => {
  const known = turns.get(standing)
  if (known !== undefined) return known
  const operation: Operation = { kind: "step", name: standing, args: [], guard: undefined, body: nothing }
  turns.set(standing, operation)
  return operation
}

const placeOf = ({ name, place }: Actor): string => `fiber ${name}, ${place}`

const noSteps = (what: string): never => breakRule(`${what} is for scenarios; this program is an Effect without steps`)

/** Whose turn it is, as the guards against the real world know it. */
class TurnActor implements Actor {
  readonly name: string
  readonly place: string
  blamed: string | undefined

  constructor(name: string, place: string) {
    this.name = name
    this.place = place
  }
  perform(): never {
    return noSteps("a step")
  }
  passCheckpoint(): never {
    return noSteps("a checkpoint")
  }
  enterLoop(): never {
    return noSteps("a loop's head")
  }
  enterProcedure(): never {
    return noSteps("a procedure")
  }
  blame(message: string): void {
    this.blamed = noteThatCounts(this.blamed, message)
  }
}
