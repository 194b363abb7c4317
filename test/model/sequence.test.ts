/** Numbers of invalidations that are forgotten: whoever compares one sees what he sees where they grow. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { cell, explore, protocolOf, scenario, step, strategies } from "../../checker/index.ts"
import { notifierRange } from "../../model/notifier/events.ts"
import {
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalCheckRetry,
  mmuIntervalNotifierInsert,
  mmuIntervalNotifierRemove,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
  mmuIntervalSetSeq,
  mnItreeInvalidateEnd,
  mnItreeInvalidateStart,
  notifierSubscriptions,
} from "../../model/notifier/interval.ts"
import { forgetNumbers } from "../../model/notifier/sequence.ts"

const states = strategies.find(({ name }) => name === "states")
const window = notifierRange("CLEAR", "zap_page_range_single", { start: 0, end: 1 })

/** Who runs: one who reads, two who invalidate, the second twice, and one who subscribes and goes. */
type Who = "reader" | "once" | "twice" | "guest"

/** All that a reader and one who removes a subscription can come to while there are invalidations, two of them at once. */
const observed = async (forgets: boolean, who: ReadonlyArray<Who>): Promise<ReadonlyArray<string>> => {
  const seen = new Set<string>()
  const { scenarios } = protocolOf(
    scenario({
      id: "sequence",
      summary: "a reader, an invalidation twice and another once, and a subscription that is removed",
      setup: () => {
        const subs = notifierSubscriptions("mm")
        if (forgets) forgetNumbers(subs)
        const said = cell("said", "")
        const subscribed = (name: string): IntervalSubscription => {
          const iv: IntervalSubscription = intervalSubscription(subs, name, { start: 0, end: 1 }, (_, seq) =>
            Effect.as(mmuIntervalSetSeq(iv, seq), true),
          )
          return iv
        }
        const [iv, other] = [subscribed("iv"), subscribed("other")]
        const say = (what: string) =>
          step("say", [what], () => {
            said.value = `${said.value} ${what}`
          })
        const invalidates = (name: string, times: number) =>
          Effect.gen(function* () {
            for (let time = 0; time < times; time++) {
              yield* mnItreeInvalidateStart(subs, window)
              yield* say(name)
              yield* mnItreeInvalidateEnd(subs, window)
            }
          })
        const reads = Effect.gen(function* () {
          for (const round of ["first", "second"]) {
            const seq = yield* mmuIntervalReadBegin(subs, iv)
            yield* say(round)
            const hint = yield* mmuIntervalCheckRetry(iv, seq)
            yield* say(`${hint} ${yield* mmuIntervalReadRetry(iv, seq)}`)
          }
        })
        const comesAndGoes = Effect.gen(function* () {
          yield* mmuIntervalNotifierInsert(subs, other)
          yield* mmuIntervalNotifierRemove(subs, other)
          yield* say("removed")
        })
        const all = {
          reader: Effect.andThen(mmuIntervalNotifierInsert(subs, iv), reads),
          once: invalidates("once", 1),
          twice: invalidates("twice", 2),
          guest: comesAndGoes,
        }
        return { world: { said }, fibers: Object.fromEntries(who.map((name) => [name, all[name]])) }
      },
      properties: [
        {
          kind: "atEnd",
          id: "seen",
          statement: "What was seen is noted.",
          source: "the test",
          holds: ({ said }) => seen.add(said.value) !== undefined,
        },
      ],
    }),
  )
  const program = scenarios[0]?.program()
  if (program === undefined) throw new Error("a protocol of one scenario has none")
  if (states === undefined) throw new Error("no strategy states")
  const result = await Effect.runPromise(explore(program, states, { maxSteps: 1000, seed: 1 }))
  expect(result.outcome).toBe("holds")
  return [...seen].sort()
}

describe("numbers of invalidations", () => {
  const together: ReadonlyArray<ReadonlyArray<Who>> = [
    ["reader", "twice"],
    ["reader", "once", "guest"],
    ["guest", "twice"],
  ]
  it.each(together.map((who) => [who]))("may be forgotten: %j see the same", async (who) => {
    const grown = await observed(false, who)
    expect(grown.length).toBeGreaterThan(1)
    expect(await observed(true, who)).toEqual(grown)
  })
})
