/**
 * mlx5's implicit regions (drivers/infiniband/hw/mlx5/odp.c): one region for all of the process's memory, whose table
 * leads to the keys of child regions. A child is made by the first fault that needs it, and goes when its last page is
 * invalidated: it is the callback that finds so, and a worker that does it.
 */
import type * as Effect from "effect/Effect"
import {
  type Cell,
  cell,
  enterLoop,
  fork,
  procedure,
  type Struct,
  self,
  step,
  struct,
} from "../../checker/program/index.ts"
import type { Content } from "../mm/folio.ts"
import { at } from "../mm/range.ts"
import { mmuIntervalNotifierInsert } from "../notifier/interval.ts"
import { type Mutex, mutex, underMutex } from "../sync/mutex.ts"
import {
  derefOdpMkey,
  findOdpMkey,
  type Mkey,
  type Mlx5Dev,
  mlx5IbDeregMr,
  type OdpMr,
  odpMr,
  pagefaultRealMr,
  stopPageFaults,
  umrUpdateXlt,
  useEntry,
  waitUnused,
} from "./mlx5Odp.ts"

/** A child as its parent's tables name it: the place, and which of its lives. */
export type ChildRef = { readonly name: string; readonly life: number }

/** `struct mlx5_ib_mr` of all memory; a child covers one page. */
export interface ImplicitMr {
  readonly name: string
  readonly dev: Mlx5Dev
  readonly mkey: Struct<Mkey>
  /** `umem_mutex` of its own umem, which maps nothing. */
  readonly mutex: Mutex
  /** `implicit_children`, by the process's addresses. */
  readonly children: ReadonlyArray<Cell<ChildRef | null>>
  /** The device's table: which key an address leads to. */
  readonly ksm: ReadonlyArray<Cell<ChildRef | null>>
  /** The places for children, by name. */
  readonly places: ReadonlyMap<string, OdpMr>
}

/**
 * Makes an implicit region without children.
 *
 * @param placesPerPage how many children of a page there can be at once: one that is in use, and those that go
 */
export const implicitMr = (dev: Mlx5Dev, name: string, placesPerPage: number): ImplicitMr => {
  const places = new Map<string, OdpMr>()
  const imr: ImplicitMr = {
    name,
    dev,
    mkey: struct(`${name}.mkey`, { exists: true, found: true, usecount: 1 }),
    mutex: mutex(`${name}.umem_mutex`),
    children: dev.mm.pte.map((_, va) => cell<ChildRef | null>(`${name}.child${va}`, null)),
    ksm: dev.mm.pte.map((_, va) => cell<ChildRef | null>(`${name}.ksm${va}`, null)),
    places,
  }
  for (const va of dev.mm.pte.keys()) {
    for (let place = 0; place < placesPerPage; place++) {
      const child = `child${va}.${place}`
      const range = { start: va, end: va + 1 }
      places.set(
        child,
        odpMr(dev, child, range, false, () => destroyUnusedImplicitChildMr(imr, child)),
      )
    }
  }
  return imr
}

/** The region in a place. */
export const placeOf = ({ places }: ImplicitMr, name: string): OdpMr => {
  const mr = places.get(name)
  if (mr === undefined) throw new RangeError(`there is no place ${name}`)
  return mr
}

const pageOf = ({ umem }: OdpMr): number => umem.iv.range.start

/**
 * `destroy_unused_implicit_child_mr`, under the child's `umem_mutex`: whoever takes the child out of the table has it
 * destroyed; nobody else does, and nobody whose parent is being destroyed, which destroys all its children itself.
 */
const destroyUnusedImplicitChildMr = procedure(function* (imr: ImplicitMr, child: string) {
  const mr = placeOf(imr, child)
  const alive = yield* step("refcount_inc_not_zero", [imr.name], () => {
    if (imr.mkey.usecount > 0) imr.mkey.usecount++
    return imr.mkey.usecount > 0
  })
  if (!alive) return
  const taken = yield* step("__xa_cmpxchg: erase", [child], () => {
    const entry = at(imr.children, pageOf(mr))
    if (entry.value?.name !== child || entry.value.life !== mr.state.life) return null
    entry.value = null
    return { by: self(), life: mr.state.life }
  })
  if (taken === null) return yield* derefOdpMkey(imr.name, imr.mkey)
  yield* fork(`kworker/${child}/${taken.life}/${taken.by}`, freeImplicitChildMrWork(imr, mr, taken.life))
})

/** `free_implicit_child_mr_work`: faults that still use the child are waited for, and the parent's table is put right. */
const freeImplicitChildMrWork = procedure(function* (imr: ImplicitMr, mr: OdpMr, life: number) {
  yield* step("free_implicit_child_mr_work", [mr.name, life], () => {
    mr.mkey.usecount--
  })
  yield* waitUnused(mr.name, mr.mkey)
  yield* updateKsm(imr, pageOf(mr))
  yield* mlx5IbDeregMr(imr.dev, mr)
  yield* derefOdpMkey(imr.name, imr.mkey)
})

/** The parent's table comes to lead to what is among its children now. */
const updateKsm = (imr: ImplicitMr, va: number): Effect.Effect<void> =>
  underMutex(imr.mutex, "mlx5r_umr_update_xlt", [imr.name, "lead on", va], () =>
    umrUpdateXlt(imr.dev, imr.name, imr.mkey, () => {
      at(imr.ksm, va).value = at(imr.children, va).value
    }),
  )

/** `implicit_get_child_mr`: the name of a new child, or of the one that somebody else has made meanwhile; referenced. `null` is -ENOMEM. */
const implicitGetChildMr = procedure(function* (imr: ImplicitMr, va: number) {
  const name = yield* step("ib_umem_odp_alloc_child", [va], () => {
    const free = [...imr.places.values()].find((place) => pageOf(place) === va && !place.state.live)
    if (free === undefined) return null
    free.state.live = true
    free.state.life++
    return free.name
  })
  if (name === null) return null
  const mr = placeOf(imr, name)
  yield* mmuIntervalNotifierInsert(imr.dev.mm.subscriptions, mr.umem.iv)
  yield* step("mlx5_mr_cache_alloc", [name], () => {
    mr.state.private = true
    // One reference is the table's, one the caller's.
    Object.assign(mr.mkey, { exists: true, usecount: 2 })
  })
  const first = yield* step("__xa_cmpxchg: insert", [va, name], () => {
    const entry = at(imr.children, va)
    const other = entry.value
    if (other === null) entry.value = { name, life: mr.state.life }
    else placeOf(imr, other.name).mkey.usecount++
    return other
  })
  if (first === null) return name
  yield* mlx5IbDeregMr(imr.dev, mr)
  return first.name
})

/** `pagefault_implicit_mr`, of one page: false where it cannot be had. */
const pagefaultImplicitMr = procedure(function* (imr: ImplicitMr, va: number) {
  const known = yield* step("xa_load: implicit_children", [va], () => {
    const entry = at(imr.children, va).value
    if (entry !== null) placeOf(imr, entry.name).mkey.usecount++
    return entry
  })
  const child = known === null ? yield* implicitGetChildMr(imr, va) : known.name
  if (child === null) return false
  const mr = placeOf(imr, child)
  const mapped = yield* pagefaultRealMr(imr.dev, mr, va)
  yield* derefOdpMkey(mr.name, mr.mkey)
  if (known === null) yield* updateKsm(imr, va)
  return mapped
})

/**
 * An access of the device through the implicit region, with the page faults that it takes.
 *
 * @returns false when it ends in an error
 */
export const implicitAccess = procedure(function* (imr: ImplicitMr, va: number, content?: Content) {
  const { dev } = imr
  const head = yield* enterLoop("rdma_access")
  for (;;) {
    yield* head()
    const done = yield* step(content === undefined ? "rdma_read" : "rdma_write", [imr.name, va], () => {
      if (!imr.mkey.exists) return "error"
      const child = at(imr.ksm, va).value
      if (child === null) return "fault"
      const mr = placeOf(imr, child.name)
      if (mr.mkey.exists && mr.state.life === child.life) return useEntry(dev, mr, va, content)
      dev.umr.error = `${va} of ${imr.name} led to ${child.name}`
      return "error"
    })
    if (done !== "fault") return done === "done"
    if (!(yield* findOdpMkey(imr.name, imr.mkey))) return false
    const mapped = yield* pagefaultImplicitMr(imr, va)
    yield* derefOdpMkey(imr.name, imr.mkey)
    if (!mapped) return false
  }
})

/**
 * `mlx5_ib_dereg_mr` of an implicit region: page faults and workers are waited for, the key goes, and then all the children
 * that are left (`mlx5_ib_free_odp_mr`).
 */
export const deregImplicitMr = procedure(function* (imr: ImplicitMr) {
  yield* stopPageFaults(imr.name, imr.mkey)
  yield* underMutex(imr.mutex, "mlx5_umr_revoke_mr_with_lock", [imr.name], () => {
    imr.mkey.exists = false
    for (const entry of imr.ksm) entry.value = null
  })
  for (const va of imr.children.keys()) {
    const child = yield* step("xa_erase: implicit_children", [va], () => {
      const entry = at(imr.children, va)
      const found = entry.value
      entry.value = null
      return found
    })
    if (child !== null) yield* mlx5IbDeregMr(imr.dev, placeOf(imr, child.name))
  }
})
