/** Where the model and the kernel part, told so that one sees what happened. */
import { isDeepStrictEqual } from "node:util"
import { runOnModel } from "./model.ts"
import { short } from "./operations.ts"
import type { Observation, Operation, Sequence } from "./sequence.ts"

const aspects = ["result", "frames", "changed", "areas"] as const

const operationText = ({ op, ...rest }: Operation): string => `${op} ${JSON.stringify(rest)}`

const told = (observation: Observation): string =>
  `${short(observation.result)}  ${observation.frames.map((frames) => frames ?? "gone").join(" ")}`

/** The first operation after which something else is seen, and what; `undefined` where all is alike. */
const firstDifference = (
  kernel: ReadonlyArray<Observation>,
  model: ReadonlyArray<Observation>,
): { readonly position: number; readonly lines: ReadonlyArray<string> } | undefined => {
  for (const [position, expected] of kernel.entries()) {
    const seen = model[position]
    const differing = aspects.filter((aspect) => !isDeepStrictEqual(plain(seen?.[aspect]), plain(expected[aspect])))
    if (differing.length === 0) continue
    const lines = differing.flatMap((aspect) => [
      `  ${aspect}`,
      `    of the kernel ${JSON.stringify(expected[aspect])}`,
      `    of the model  ${JSON.stringify(seen?.[aspect])}`,
    ])
    return { position, lines }
  }
  return undefined
}

/** The same as JSON has it. */
const plain = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))

/**
 * Performs a sequence on the model and compares all that is seen with what was seen of the kernel.
 *
 * @returns how they differ: the operations as far as that, and what both made of the last; `undefined` if they do not
 */
export const difference = (sequence: Sequence, kernel: ReadonlyArray<Observation>): string | undefined => {
  const { files, operations } = sequence
  const head = `with files of ${files.join(" and ")} pages`
  let model: ReadonlyArray<Observation>
  try {
    model = runOnModel(sequence)
  } catch (error) {
    const all = operations.map((operation, position) => `  ${position} ${operationText(operation)}`)
    return [`${head} the model fails: ${error instanceof Error ? error.message : error}`, ...all].join("\n")
  }
  const found = firstDifference(kernel, model)
  if (found === undefined) return undefined
  const { position, lines } = found
  const shown = operations.slice(0, position + 1).map((operation, at) => {
    const observation = at < position ? kernel[at] : undefined
    return `  ${at} ${operationText(operation)}${observation === undefined ? "" : `  ${told(observation)}`}`
  })
  return [`${head} the model and the kernel differ in operation ${position}:`, ...shown, ...lines].join("\n")
}
