import { parameter, scenariosOf } from "../../define.ts"
import { faultsEnd, noGup, ttmProperties } from "./properties.ts"
import { ttmWorld } from "./world.ts"

const define = scenariosOf("driver/ttm", ttmWorld, ttmProperties)

const processes = (initial: number) => parameter("processes that store to an object and load", initial, 3)
const jobs = (initial: number) => parameter("jobs that are submitted, to one object after the other", initial, 3, 0)

export const evict = define(
  "evict",
  "objects take turns in a device's memory, which has room for one, while processes store to them",
  { objects: parameter("objects", 2, 2), processes: processes(2), jobs: jobs(2) },
  (bound) => bound,
)

export const unmapped = define(
  "unmapped",
  "a process unmaps an object while the driver moves it to the device",
  { processes: processes(1), jobs: jobs(1) },
  (bound) => ({ ...bound, objects: 1, unmaps: 1 }),
  [faultsEnd],
)

export const directIo = define(
  "direct-io",
  "another device is to write to an object that a process maps",
  { jobs: jobs(1), transfers: parameter("devices that are to write to it", 1, 2) },
  (bound) => ({ ...bound, objects: 1, processes: 1 }),
  [noGup],
)

export const ttmScenarios = [evict, unmapped, directIo]
