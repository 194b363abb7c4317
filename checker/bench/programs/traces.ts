/** Programs of which the published number is that of their executions, and whose states are too many or were not counted. */
import * as Effect from "effect/Effect"
import { fork, join } from "../../program/index.ts"
import type { Family } from "./published.ts"
import { litmus, lock, type Memory, names, read, swap, type Threads, times, unlock, write } from "./threads.ts"

/** Two threads set a shared pointer, each to the other's variable, and add 3 to what it then points to. */
const sharedPtr = (n: number): Threads => ({
  cells: ["x", "y", "p"],
  fibers: (memory) =>
    (["x", "y"] as const).map((own, me) =>
      Effect.gen(function* () {
        const others = 1 - me
        yield* write(memory("p"), others)
        for (let i = 0; i < n; i++) yield* read(memory(own))
        const target = memory((yield* read(memory("p"))) === 0 ? "x" : "y")
        yield* write(target, (yield* read(target)) + 3)
      }),
    ),
})

const slots = 128

/** Threads put four numbers each into a hash table. */
const indexer = (n: number): Threads => ({
  cells: names("t", slots),
  fibers: (memory) =>
    times(n, (me) =>
      Effect.gen(function* () {
        for (let i = 0; i < 4; i++) {
          const number = 11 * i + me
          let hash = (7 * number) % slots
          // An empty slot holds 0, so the numbers are stored with 1 added.
          while (!(yield* swap(memory(`t${hash}`), 0, number + 1))) hash = (hash + 1) % slots
        }
      }),
    ),
})

const inodes = 32
const blocks = 26

/** Threads allocate a block each for an inode that has none. */
const filesystem = (n: number): Threads => ({
  cells: [
    ...names("inodeLock", inodes),
    ...names("inode", inodes),
    ...names("blockLock", blocks),
    ...names("busy", blocks),
  ],
  fibers: (memory) =>
    times(n, (me) =>
      Effect.gen(function* () {
        const inode = me % inodes
        yield* lock(memory(`inodeLock${inode}`))
        if ((yield* read(memory(`inode${inode}`))) === 0) yield* allocate(memory, inode)
        yield* unlock(memory(`inodeLock${inode}`))
      }),
    ),
})

const allocate = (memory: Memory, inode: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let block = (2 * inode) % blocks; ; block = (block + 1) % blocks) {
      yield* lock(memory(`blockLock${block}`))
      const isFree = (yield* read(memory(`busy${block}`))) === 0
      if (isFree) {
        yield* write(memory(`busy${block}`), 1)
        yield* write(memory(`inode${inode}`), block + 1)
      }
      yield* unlock(memory(`blockLock${block}`))
      if (isFree) return
    }
  })

const mpat = (n: number): Threads =>
  litmus(...times(n, (k) => `La${k} Ua${k}`), ...times(n, (k) => `Li La${k} Ua${k} Ui`))

/** Producers hand two requests each to workers by way of a shared buffer. */
const mpc = (producers: number, workers: number): Threads => ({
  cells: ["bufferLock", "buffer", ...names("lock", workers), ...names("requests", workers)],
  fibers: (memory) => [
    ...times(producers, (me) =>
      Effect.gen(function* () {
        let value = 0
        for (let round = 0; round < 2; round++) {
          yield* lock(memory("bufferLock"))
          value = (yield* read(memory("buffer"))) * producers + me
          yield* write(memory("buffer"), value)
          yield* unlock(memory("bufferLock"))
        }
        const worker = value % workers
        yield* lock(memory(`lock${worker}`))
        yield* write(memory(`requests${worker}`), (yield* read(memory(`requests${worker}`))) + 1)
        yield* unlock(memory(`lock${worker}`))
      }),
    ),
    ...times(workers, (me) =>
      Effect.gen(function* () {
        for (let round = 0; round < 2; round++) {
          yield* lock(memory(`lock${me}`))
          const requests = yield* read(memory(`requests${me}`))
          if (requests > 0) yield* write(memory(`requests${me}`), requests - 1)
          yield* unlock(memory(`lock${me}`))
        }
      }),
    ),
  ],
})

/** Workers set a flag each; in rounds, one thread changes an index and another clears the flag that it points to. */
const poke = (n: number, rounds: number): Threads => ({
  cells: ["indexLock", "index", ...names("lock", n), ...names("flag", n)],
  fibers: (memory) => [
    Effect.gen(function* () {
      const locked = <A>(at: string, body: Effect.Effect<A>) =>
        Effect.gen(function* () {
          yield* lock(memory(at))
          const result = yield* body
          yield* unlock(memory(at))
          return result
        })
      const workers = []
      for (let i = 0; i < n; i++)
        workers.push(yield* fork(`worker${i}`, locked(`lock${i}`, write(memory(`flag${i}`), 1))))
      for (let round = 0; round < rounds; round++) {
        const changing = Effect.gen(function* () {
          for (let x = 1; x < n; x++) yield* locked("indexLock", write(memory("index"), x))
        })
        const clearing = Effect.gen(function* () {
          const index = yield* locked("indexLock", read(memory("index")))
          const flag = memory(`flag${index}`)
          const clear = Effect.flatMap(read(flag), (set) => (set === 1 ? write(flag, 0) : Effect.void))
          yield* locked(`lock${index}`, clear)
        })
        const a = yield* fork(`changing${round}`, changing)
        const b = yield* fork(`clearing${round}`, clearing)
        yield* join(a)
        yield* join(b)
      }
      for (const worker of workers) yield* join(worker)
    }),
  ],
})

/** One thread counts up and starts another each time, which marks the place that it finds counted. */
const sigma = (n: number): Threads => ({
  cells: ["count", ...names("a", n)],
  fibers: (memory) => [
    Effect.gen(function* () {
      const marking = Effect.flatMap(read(memory("count")), (count) => write(memory(`a${count - 1}`), 1))
      const started = []
      for (let i = 0; i < n; i++) {
        yield* write(memory("count"), (yield* read(memory("count"))) + 1)
        started.push(yield* fork(`marking${i}`, marking))
      }
      for (const each of started) yield* join(each)
      for (let i = 0; i < n; i++) yield* read(memory(`a${i}`))
    }),
  ],
})

/** Programs with published numbers of executions alone. */
export const tracedPrograms: Family = {
  title: "Counted by executions alone",
  source:
    "Abdulla and others, POPL 2014; GenMC, tests/correct; Nidhugg, programs; cesaro/dpu-cav18-exp for Nguyen and others, CAV 2018",
  programs: [
    { name: "indexer(12)", threads: indexer(12), complete: 8 },
    { name: "filesystem(14)", threads: filesystem(14), complete: 2 },
    { name: "filesystem(16)", threads: filesystem(16), complete: 8 },
    { name: "SharedPtr(100)", threads: sharedPtr(100), complete: 410 },
    {
      name: "big0",
      threads: litmus(
        "Rx Ry Rz Rw Rx Ry Rz",
        "Rx Ry Rz",
        "Wx=1 Wy=1 Wx=2 Wy=2 Wx=3 Wy=3",
        "Wz=1 Ww=1 Wz=2 Ww=2 Wz=3 Ww=3",
      ),
      complete: 69_112,
    },
    { name: "sigma(3)", threads: sigma(3), complete: 15 },
    { name: "mpat(4)", threads: mpat(4), complete: 384 },
    { name: "mpc(2,5)", threads: mpc(2, 5), complete: 60 },
    { name: "poke(7,3)", threads: poke(7, 3), complete: 2440 },
    { name: "poke(9,3)", threads: poke(9, 3), complete: 5332 },
  ],
}
