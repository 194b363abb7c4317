/**
 * The questions of the mail on coherent memory (mm: add zone device coherent type memory support, LKML 2022), one by one,
 * each as a scenario whose properties are the answers.
 */
import * as Effect from "effect/Effect"
import { choose, fork, type Scenario, scenario } from "../../../checker/index.ts"
import { gpuAccess } from "../../../model/driver/gpu.ts"
import { svmMigrateVramToRam } from "../../../model/driver/gpuToSystem.ts"
import { userLoad, userStore } from "../../../model/mm/access.ts"
import { dupMmap } from "../../../model/mm/fork.ts"
import { parameter } from "../../define.ts"
import { operation } from "../../mm/operations.ts"
import { page } from "../../mm/pages.ts"
import { asAllowed, forWriting, readOnly } from "./cost.ts"
import { type CoherentWorld, makeExclusive, type Story, tell } from "./machine.ts"
import {
  cowAnswers,
  exclusiveAnswers,
  exclusivePinAnswers,
  freeAnswers,
  judges,
  pinAnswers,
  privatePinAnswers,
  type Spec,
} from "./properties.ts"

const here = { start: page, end: page + 1 }

const question = (name: string, summary: string, story: Story, answers: ReadonlyArray<Spec>): Scenario<CoherentWorld> =>
  scenario({
    id: `device/seed003/${name}`,
    summary,
    setup: () => tell(story),
    properties: [...answers, ...judges],
  })

/**
 * A question that can be asked without one who has a part in it.
 *
 * @param other whether that one does what it does, in words
 */
const questionOf = (
  name: string,
  summary: string,
  other: string,
  story: (other: boolean) => Story,
  answers: ReadonlyArray<Spec>,
): Scenario<CoherentWorld> =>
  scenario({
    id: `device/seed003/${name}`,
    summary,
    parameters: { other: parameter(other, 1, 1, 0) },
    setup: ({ other }) => tell(story(other === 1)),
    properties: [...answers, ...judges],
  })

/** An operation of the core. */
const does = (id: string, world: CoherentWorld, fiber: string) => Effect.ignore(operation(id).run(world, fiber))

/** One of several operations of the core, whichever. */
const doesOne = Effect.fnUntraced(function* (ids: ReadonlyArray<string>, world: CoherentWorld, fiber: string) {
  yield* does(yield* choose("operation", ids), world, fiber)
})

/** A GPU of the machine stores; nothing where there is none. */
const gpuStores = ({ gpus }: CoherentWorld, which = 0) => {
  const gpu = gpus[which]
  return gpu === undefined ? Effect.void : gpuAccess(gpu, page, { kind: "store", content: gpu.name })
}

const gpuTakesAlone = ({ gpus }: CoherentWorld, which = 0) => {
  const gpu = gpus[which]
  return gpu === undefined ? Effect.void : gpuAccess(gpu, page, { kind: "atomic", content: gpu.name })
}

/** Forks; then the child goes on. */
const forks = Effect.fnUntraced(function* (
  { parent, child }: CoherentWorld,
  childDoes: Effect.Effect<unknown, unknown> | null,
) {
  const forked = yield* Effect.as(dupMmap(parent, child), true).pipe(Effect.orElseSucceed(() => false))
  if (forked && childDoes !== null) yield* fork("child0", Effect.ignore(childDoes))
})

export const cow = questionOf(
  "cow",
  'question 1: "What are expected CoW semantics for DEVICE_COHERENT?" A process forks, its GPU and the child store',
  "whether the GPU stores",
  (other) => ({
    kind: "coherent",
    gpus: ["coherent"],
    gpuPages: 2,
    names: ["cpu0", "gpu0", "child0"],
    fibers: (world) => ({
      cpu0: forks(world, userStore(world.child, "child0", page, "child0")),
      ...(other ? { gpu0: gpuStores(world) } : {}),
    }),
  }),
  cowAnswers,
)

export const coherentAndExclusive = question(
  "coherent-and-exclusive",
  'question 1, continued: "I suspect there may even be a possibility that a page can be both DEVICE_EXCLUSIVE and DEVICE_COHERENT." A process forks while another GPU has a coherent page for itself',
  {
    kind: "coherent",
    gpus: ["coherent", "private"],
    names: ["cpu0", "gpu1", "child0"],
    layOut: (world) => makeExclusive(world, 1),
    fibers: (world) => ({
      cpu0: forks(world, userLoad(world.child, "child0", page)),
      gpu1: gpuTakesAlone(world, 1),
    }),
  },
  [...cowAnswers.slice(0, 1), ...exclusiveAnswers],
)

export const free = question(
  "free",
  'question 2: "How are these pages freed to clear/invalidate PageAnon()?" A coherent page loses its last user in one way or another, while its GPU stores to it or gives it back',
  {
    kind: "coherent",
    gpus: ["coherent"],
    names: ["cpu0", "gpu0"],
    fibers: (world) => ({
      cpu0: doesOne(["munmap", "exit", "pin-longterm"], world, "cpu0"),
      gpu0: Effect.gen(function* () {
        const [gpu] = world.gpus
        if (gpu === undefined) return
        if ((yield* choose("gpu", ["store", "migrate-to-system"])) === "store") yield* gpuStores(world)
        else yield* svmMigrateVramToRam(gpu.mm, gpu.memory, here)
      }),
    }),
  },
  freeAnswers,
)

export const pinCoherent = questionOf(
  "pin-coherent",
  'question 3: "FOLL_PIN: while you write no one should be allowed to pin such memory, patch 2 only blocks FOLL_LONGTERM." A coherent page is pinned, for one transfer or for good, while its driver wants it back or the process forks',
  "whether the driver wants it back or the process forks",
  (other) => ({
    kind: "coherent",
    gpus: ["coherent"],
    names: ["cpu0", "cpu1"],
    fibers: (world) => ({
      cpu0: doesOne(["pin-fast-write", "pin-longterm"], world, "cpu0"),
      ...(other ? { cpu1: forksOrTakesBack(world) } : {}),
    }),
  }),
  pinAnswers,
)

const forksOrTakesBack = Effect.fnUntraced(function* (world: CoherentWorld) {
  const [gpu] = world.gpus
  if (gpu === undefined) return
  if ((yield* choose("cpu1", ["fork", "migrate-to-system"])) === "fork") yield* forks(world, null)
  else yield* svmMigrateVramToRam(gpu.mm, gpu.memory, here)
})

export const pinPrivate = question(
  "pin-private",
  'question 3, continued: "I\'m pretty sure we cannot FOLL_PIN DEVICE_PRIVATE pages." A private page is pinned while the process forks',
  {
    kind: "device",
    gpus: ["private"],
    names: ["cpu0", "cpu1"],
    fibers: (world) => ({
      cpu0: does("pin-fast-write", world, "cpu0"),
      cpu1: forks(world, null),
    }),
  },
  privatePinAnswers,
)

export const privateAfterFork = questionOf(
  "private-after-fork",
  "beside question 3: a private page that fork has shared is brought back by the child while the parent stores to it",
  "whether the child loads from it",
  (other) => ({
    kind: "device",
    gpus: ["private"],
    names: ["cpu0", "child0"],
    fibers: (world) => ({
      cpu0: Effect.andThen(
        forks(world, other ? userLoad(world.child, "child0", page) : null),
        Effect.ignore(userStore(world.parent, "cpu0", page, "cpu0")),
      ),
    }),
  }),
  privatePinAnswers,
)

export const pinExclusive = question(
  "pin-exclusive",
  'question 3, continued: "can we FOLL_PIN DEVICE_EXCLUSIVE pages? I strongly assume so?" A coherent page that another GPU has for itself is pinned while that GPU goes on',
  {
    kind: "coherent",
    gpus: ["coherent", "private"],
    names: ["cpu0", "gpu1"],
    layOut: (world) => makeExclusive(world, 1),
    fibers: (world) => ({
      cpu0: does("pin-fast-write", world, "cpu0"),
      gpu1: gpuTakesAlone(world, 1),
    }),
  },
  exclusivePinAnswers,
)

export const seed003: ReadonlyArray<Scenario<CoherentWorld>> = [
  cow,
  coherentAndExclusive,
  free,
  pinCoherent,
  pinPrivate,
  privateAfterFork,
  pinExclusive,
  forWriting,
  readOnly,
  asAllowed,
]
