/** The matrix of device memory: what a GPU does races on a page with everything that can happen to it. */
import { type Scenario, scenario } from "../../checker/index.ts"
import { canMeet, operations } from "../mm/operations.ts"
import type { NamedOperation } from "../mm/world.ts"
import { deviceKinds, gpuOperations } from "./operations.ts"
import { deviceProperties } from "./properties.ts"
import { type DeviceWorld, deviceRace } from "./world.ts"

/** Whether an operation of the core makes a difference to pages that a device may have. */
const concerns = ({ pages, actor }: NamedOperation): boolean => actor !== "sva" && pages.some((kind) => kind === "anon")

/** At a device's page a core operation does what it does at an anonymous one. */
const kindsOf = (operation: NamedOperation) =>
  gpuOperations.includes(operation) || !operation.pages.includes("anon")
    ? operation.pages
    : [...operation.pages, "device" as const, "exclusive" as const]

const common = (a: NamedOperation, b: NamedOperation) =>
  deviceKinds.filter((kind) => kindsOf(a).includes(kind) && kindsOf(b).includes(kind))

const cellOf = (a: NamedOperation, b: NamedOperation): Scenario<DeviceWorld> =>
  scenario({
    id: `device/pairs/${a.id}+${b.id}`,
    summary: `${a.id} and ${b.id} meet on a page`,
    setup: () => deviceRace(common(a, b), [a, b]),
    properties: deviceProperties,
  })

/** What is paired: the operations of GPUs, and those of the core that concern them. */
export const pairedOperations: ReadonlyArray<NamedOperation> = [...gpuOperations, ...operations.filter(concerns)]

/** Every two that a GPU has a part in. */
export const devicePairs: ReadonlyArray<Scenario<DeviceWorld>> = gpuOperations.flatMap((a, position) => [
  ...gpuOperations.slice(position).map((b) => cellOf(a, b)),
  ...operations.filter((b) => concerns(b) && canMeet(a, b)).map((b) => cellOf(a, b)),
])
