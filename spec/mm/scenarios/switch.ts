/** CPUs that come to a process, leave it, or idle in it, while another flushes its translations. */
import * as Effect from "effect/Effect"
import { userLoad } from "../../../model/mm/access.ts"
import type { Cpu } from "../../../model/mm/switch.ts"
import { enterLazyTlb, switchMm, walkSpeculatively } from "../../../model/mm/switch.ts"
import { operation } from "../operations.ts"
import { page } from "../pages.ts"
import type { MmWorld, Operation } from "../world.ts"
import { raceOf } from "./race.ts"

const cpuOf = (world: MmWorld, name: string): Cpu => {
  const found = world.cpus.find((one) => one.name === name)
  if (found === undefined) throw new RangeError(`there is no CPU ${name}`)
  return found
}

/** The CPUs of those names have the process loaded. Within a step. */
const load = (world: MmWorld, names: ReadonlyArray<string>): void => {
  for (const name of names) cpuOf(world, name).state.loaded = world.parent.name
  if (world.parent.context !== null) world.parent.context.state.cpumask = [...names].sort()
}

/** A thread of the process is scheduled on a CPU that last ran it some time ago. */
const comeBack: Operation = {
  id: "come-back",
  actor: "cpu",
  pages: ["anon"],
  run: Effect.fnUntraced(function* (world: MmWorld, name: string) {
    yield* switchMm(cpuOf(world, name), world.parent)
    yield* userLoad(world.parent, name, page)
  }),
}

/** A CPU turns to a kernel thread, with the process's page table still loaded, and its hardware walks that. */
const idle = Effect.fnUntraced(function* (world: MmWorld, name: string) {
  yield* enterLazyTlb(cpuOf(world, name))
  yield* walkSpeculatively(cpuOf(world, name), world.parent, page)
})

export const switchShootdown = raceOf({
  name: "switch-shootdown",
  summary: "a CPU switches to a process, of which it has kept translations, while another flushes them",
  pages: ["anon"],
  operations: [operation("madvise-dontneed"), comeBack],
  switching: true,
  layOut: (world) => load(world, ["cpu0"]),
})

export const lazyUnmap = raceOf({
  name: "lazy-unmap",
  summary: "a CPU idles in a process, whose page table is unmapped and freed",
  pages: ["anon", "private"],
  operations: [operation("munmap"), { id: "idle", actor: "cpu", pages: ["anon"], run: idle }],
  switching: true,
  layOut: (world) => load(world, ["cpu0", "cpu1"]),
})

export const lazyResume = raceOf({
  name: "lazy-resume",
  summary: "a CPU idles in a process and goes on in it, while another flushes its translations",
  pages: ["anon"],
  operations: [
    operation("madvise-dontneed"),
    {
      id: "resume",
      actor: "cpu",
      pages: ["anon"],
      run: Effect.fnUntraced(function* (world: MmWorld, name: string) {
        yield* idle(world, name)
        yield* switchMm(cpuOf(world, name), world.parent)
        yield* userLoad(world.parent, name, page)
      }),
    },
  ],
  switching: true,
  layOut: (world) => load(world, ["cpu0", "cpu1"]),
})
