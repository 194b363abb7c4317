/** The matrix of device memory: what a GPU does races on a page with everything that can happen to it. */
import { type Scenario, scenario } from "../../checker/index.ts"
import { canMeet, operations } from "../mm/operations.ts"
import type { Operation } from "../mm/world.ts"
import { deviceKinds, gpuOperations } from "./operations.ts"
import { deviceProperties } from "./properties.ts"
import { type DeviceWorld, deviceRace } from "./world.ts"

/** Whether an operation of the core makes a difference to pages that a device may have. */
const concerns = ({ pages, actor }: Operation): boolean => actor !== "sva" && pages.some((kind) => kind === "anon")

/** At a device's page a core operation does what it does at an anonymous one. */
const kindsOf = (operation: Operation) =>
  gpuOperations.includes(operation) || !operation.pages.includes("anon")
    ? operation.pages
    : [...operation.pages, "device" as const, "exclusive" as const]

const common = (a: Operation, b: Operation) =>
  deviceKinds.filter((kind) => kindsOf(a).includes(kind) && kindsOf(b).includes(kind))

const cellOf = (a: Operation, b: Operation): Scenario<DeviceWorld> =>
  scenario({
    id: `device/pairs/${a.id}+${b.id}`,
    summary: `${a.id} and ${b.id} meet on a page`,
    setup: () => deviceRace(common(a, b), [a, b]),
    properties: deviceProperties,
  })

/** Every two that a GPU has a part in. */
export const devicePairs: ReadonlyArray<Scenario<DeviceWorld>> = gpuOperations.flatMap((a, position) => [
  ...gpuOperations.slice(position).map((b) => cellOf(a, b)),
  ...operations.filter((b) => concerns(b) && canMeet(a, b)).map((b) => cellOf(a, b)),
])
