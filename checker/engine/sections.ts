import { Forbidden, type Operation } from "../program/operation.ts"
import type { Hindrance, Section } from "../program/section.ts"

/** An operation as it is reached inside sections: it knows their names, and fails where one of them forbids its wait. */
export const reachedIn = (sections: ReadonlyArray<Section>, operation: Operation): Operation => {
  if (sections.length === 0) return operation
  const within = sections.map(({ name }) => name)
  const wait = operation.kind === "step" ? operation.wait : undefined
  if (operation.kind !== "step" || wait === undefined) return { ...operation, within }
  for (const section of sections) {
    const reason = section.forbids(wait)
    if (reason === undefined) continue
    const fail = () => {
      throw new Forbidden(`in ${section.name} it waits for ${describeWait(wait.on, wait.hindrances())}: ${reason}`)
    }
    return { ...operation, within, guard: undefined, body: fail }
  }
  return { ...operation, within }
}

/** What is waited for, and who keeps it from being had. */
export const describeWait = (on: string, hindrances: ReadonlyArray<Hindrance>): string => {
  if (hindrances.length === 0) return on
  return `${on}, which ${hindrances.map(({ fiber, how }) => `${fiber} ${how}`).join(" and ")}`
}
