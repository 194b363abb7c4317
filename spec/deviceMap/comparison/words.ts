/** The answers and costs of the comparison in words. */
import type { Costs, Span } from "./cost.ts"
import type { Answer } from "./question.ts"

/** An answer, without the run that shows it. */
export const answerInWords = (answer: Answer): string => {
  switch (answer.kind) {
    case "holds":
      return "holds"
    case "never arises":
      return `never arises: ${answer.property}`
    case "violated":
      return `violated: ${answer.property}, in ${answer.steps} steps with ${counted([answer.preemptions, answer.preemptions], "preemption")}`
  }
}

/** Costs, from the cheapest run to the dearest. */
export const costsInWords = ({ revocation, faults, copies, calls }: Costs): string => {
  const rest = [counted(faults, "fault"), counted(copies, "copy", "copies"), counted(calls, "call")].join(", ")
  if (revocation === null) return `nothing revoked; ${rest}`
  const { own, all, ticks } = revocation
  const time = ticks[1] === 0 ? "" : ` and ${counted(ticks, "tick")}`
  return `revoked in ${counted(all, "step")}${time}, ${from(own)} of the revoker; ${rest}`
}

const from = ([least, most]: Span): string => (least === most ? `${least}` : `${least} to ${most}`)

const counted = (span: Span, one: string, many = `${one}s`): string => {
  if (span[1] === 0) return `no ${many}`
  return `${from(span)} ${span[1] === 1 && span[0] === 1 ? one : many}`
}
