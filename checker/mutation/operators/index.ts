import type { Operator } from "../mutation.ts"
import { dropLock } from "./dropLock.ts"
import { leaveOut } from "./leaveOut.ts"
import { loseWakeUp } from "./loseWakeUp.ts"
import { openGuard } from "./openGuard.ts"
import { split } from "./split.ts"
import { swap } from "./swap.ts"
import { wakeEarly } from "./wakeEarly.ts"

/** All operators, in the order in which their mutants are made. */
export const operators: ReadonlyArray<Operator> = [leaveOut, swap, split, dropLock, openGuard, wakeEarly, loseWakeUp]

/** The operator of that name. */
export const operatorNamed = (name: string): Operator => {
  const operator = operators.find((each) => each.name === name)
  if (operator === undefined) throw new Error(`there is no mutation operator ${name}`)
  return operator
}
