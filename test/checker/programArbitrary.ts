/** Random small programs, which fast-check generates and shrinks: what they mean is in randomProgram.ts. */
import fc from "fast-check"
import type { Block, Instruction, Limits, RandomProgram, Returns, Value } from "./randomProgram.ts"

const place = fc.nat({ max: 2 })
const small = fc.nat({ max: 2 })
const value: fc.Arbitrary<Value> = fc.oneof(small, fc.constant("r" as const))

const plainInstruction: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constant("read" as const), at: place }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant("write" as const), at: place, value }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("swap" as const), at: place, expected: small, value }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("add" as const), at: place, value: small }) },
  { weight: 2, arbitrary: fc.constant({ op: "lock" as const }) },
  { weight: 2, arbitrary: fc.constant({ op: "unlock" as const }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("await" as const), at: place, value: small, reads: place }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("choose" as const), options: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("assert" as const), at: place, not: small, value: small }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("fail" as const), when: small }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("die" as const), when: small }) },
)

const forking: fc.Arbitrary<Instruction> = fc.record({
  op: fc.constant("fork" as const),
  body: fc.array(plainInstruction, { minLength: 1, maxLength: 2 }),
  ending: fc.constantFrom("join" as const, "interrupt" as const, "leave" as const),
})

const personalInstruction: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 4, arbitrary: plainInstruction },
  {
    weight: 2,
    arbitrary: fc.constantFrom({ op: "count" as const }, { op: "sign" as const }, { op: "signed" as const }),
  },
)

const instruction: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 8, arbitrary: plainInstruction },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("branch" as const),
      on: small,
      yes: fc.array(plainInstruction, { maxLength: 2 }),
      no: fc.array(plainInstruction, { maxLength: 2 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("loop" as const),
      times: fc.integer({ min: 1, max: 2 }),
      until: small,
      body: fc.array(plainInstruction, { minLength: 1, maxLength: 2 }),
    }),
  },
)

const roundsOf = (body: fc.Arbitrary<Block>): fc.Arbitrary<Instruction> =>
  fc.record({
    op: fc.constant("rounds" as const),
    times: fc.integer({ min: 1, max: 2 }),
    until: small,
    body,
  })

const callOf = (inside: fc.Arbitrary<Instruction>, length: number): fc.Arbitrary<Instruction> =>
  fc.record({
    op: fc.constantFrom("call" as const, "attempt" as const),
    returns: fc.constantFrom<Returns>("r", "odd", "nothing"),
    body: fc.array(inside, { minLength: 1, maxLength: length }),
  })

const shortRounds = roundsOf(fc.array(plainInstruction, { minLength: 1, maxLength: 1 }))

const calling: fc.Arbitrary<Instruction> = callOf(
  fc.oneof(
    { weight: 6, arbitrary: plainInstruction },
    { weight: 1, arbitrary: callOf(plainInstruction, 2) },
    { weight: 1, arbitrary: shortRounds },
  ),
  2,
)

/** A checkpoint in a procedure names all live values: so the caller has none, but what the procedure returns. */
const callingLoop: fc.Arbitrary<Instruction> = fc.record({
  op: fc.constant("call" as const),
  returns: fc.constantFrom("r" as const, "odd" as const),
  body: fc.array(instruction, { minLength: 1, maxLength: 1 }),
})

const nested: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 12, arbitrary: instruction },
  { weight: 1, arbitrary: forking },
  { weight: 1, arbitrary: calling },
  { weight: 1, arbitrary: callingLoop },
  {
    weight: 1,
    arbitrary: roundsOf(
      fc.array(
        fc.oneof(
          { weight: 4, arbitrary: plainInstruction },
          { weight: 1, arbitrary: shortRounds },
          { weight: 1, arbitrary: callOf(plainInstruction, 2) },
        ),
        { minLength: 1, maxLength: 2 },
      ),
    ),
  },
)

const fibers = fc
  .constantFrom(
    { count: 2, length: 5 },
    { count: 2, length: 4 },
    { count: 3, length: 3 },
    { count: 3, length: 2 },
    { count: 4, length: 2 },
  )
  .chain(({ count, length }) =>
    fc.array(fc.array(nested, { minLength: 1, maxLength: length, size: "max" }), {
      minLength: count,
      maxLength: count,
    }),
  )

const limits: fc.Arbitrary<Limits> = fc.record({
  sum: fc.integer({ min: 2, max: 6 }),
  selector: small,
  one: small,
  other: small,
  final: fc.integer({ min: 2, max: 6 }),
})

export const randomProgram: fc.Arbitrary<RandomProgram> = fc.record({
  fibers,
  limits,
})

/** Random programs with fibers that do the same, the first `alike` of them. */
export const symmetricProgram: fc.Arbitrary<RandomProgram & { readonly alike: number }> = fc
  .record({
    shape: fc.constantFrom(
      { alike: 2, length: 3, others: 0 },
      { alike: 2, length: 2, others: 1 },
      { alike: 3, length: 2, others: 0 },
    ),
    same: fc.array(
      fc.oneof(
        { weight: 8, arbitrary: personalInstruction },
        { weight: 1, arbitrary: forking },
        { weight: 1, arbitrary: callOf(personalInstruction, 2) },
      ),
      { minLength: 3, maxLength: 3, size: "max" },
    ),
    other: fc.array(plainInstruction, { minLength: 1, maxLength: 2 }),
    limits,
  })
  .map(({ shape: { alike, length, others }, same, other, limits }) => ({
    alike,
    limits,
    fibers: [
      ...Array.from({ length: alike }, () => same.slice(0, length)),
      ...Array.from({ length: others }, () => other),
    ],
  }))

/** Looks, and acts if it likes what it saw: what goes wrong needs another fiber between. */
const checkThenAct: fc.Arbitrary<Block> = fc
  .record({ at: place, counter: place, writes: fc.integer({ min: 1, max: 2 }), adds: fc.integer({ min: 1, max: 2 }) })
  .map(({ at, counter, writes, adds }) => [
    { op: "read", at },
    {
      op: "branch",
      on: 0,
      yes: [
        { op: "write", at, value: writes },
        { op: "add", at: counter, value: adds },
      ],
      no: [],
    },
  ])

/** Random programs whose violations mostly need preemptions. */
export const racyProgram: fc.Arbitrary<RandomProgram> = fc.record({
  fibers: fc.array(checkThenAct, { minLength: 2, maxLength: 3 }),
  limits,
})
