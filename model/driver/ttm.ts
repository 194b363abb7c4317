/**
 * Buffer objects (drivers/gpu/drm/ttm): memory that a GPU's driver moves between the device and the system, and that
 * processes map through the device's file, without pages (VM_PFNMAP). The core neither counts such a mapping nor finds it
 * from the memory: it is the driver that unmaps what it moves, by the object's place in the file.
 */
import * as Effect from "effect/Effect"
import {
  enterLoop,
  fork,
  guardedStep,
  procedure,
  type Struct,
  self,
  step,
  struct,
  type Wait,
} from "../../checker/program/index.ts"
import { type Inode, inode } from "../file/inode.ts"
import { unmapMappingRange } from "../file/truncate.ts"
import { type Content, type Frame, folioAlloc, folioOf, folioPut } from "../mm/folio.ts"
import { hasTable, type Mm, mmapReadUnlock, pageTableLock } from "../mm/mm.ts"
import { at } from "../mm/range.ts"
import type { System } from "../mm/system.ts"
import { mostAccess, type Vma } from "../mm/vma.ts"
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../sync/mutex.ts"
import { underLock } from "../sync/spinlock.ts"

/** `struct ttm_buffer_object`, of one page. */
export interface BufferObject {
  readonly name: string
  /** Its page in the device's file (`vma_node`). */
  readonly index: number
  /** `resv` (struct dma_resv): who has reserved the object may move it, and nobody maps it meanwhile. */
  readonly resv: Mutex
  readonly state: Struct<{
    /** `resource`: the memory in which it lies. */
    resource: Frame
    /** The fences of the reservation that are not signalled: jobs of the device that work on it. */
    fences: number
  }>
}

/** `struct ttm_device`: a GPU whose own memory has room for one object. */
export interface TtmDevice {
  readonly system: System
  /** What processes map: `dev_mapping`. */
  readonly file: Inode
  /** The device's memory, which the core's allocator does not have. */
  readonly vram: Frame
  /** `ttm_resource_manager` of that memory: the object that has it, by name. */
  readonly manager: Struct<{ owner: string }>
  readonly objects: ReadonlyArray<BufferObject>
}

/** Makes a device with `count` objects, all in the system's memory. */
export const ttmDevice = (of: System, name: string, count: number): TtmDevice => {
  const allocate = (): Frame => {
    const frame = folioAlloc(of.folios, name)
    if (frame === null) throw new RangeError("there is too little memory for the objects")
    return frame
  }
  const vram = allocate()
  const objects = Array.from({ length: count }, (_, index): BufferObject => {
    const bo = `bo${index}`
    return {
      name: bo,
      index,
      resv: mutex(`${bo}.resv`, "dma_resv"),
      state: struct(bo, { resource: allocate(), fences: 0 }),
    }
  })
  const fault = (mm: Mm, va: number, vma: Vma) => ttmBoVmFault(mm, va, vma, objectAt(objects, vma.pgoff))
  const file = inode(of, name, { size: count, tracksDirty: false, pfnmap: { fault } })
  return { system: of, file, vram, manager: struct(`${name}.vram`, { owner: "" }), objects }
}

/** The object at that page of the device's file. */
export const objectAt = (objects: ReadonlyArray<BufferObject>, index: number): BufferObject => {
  const bo = objects[index]
  if (bo === undefined) throw new RangeError(`the device's file has no page ${index}`)
  return bo
}

/**
 * `ttm_bo_vm_fault`: maps the memory in which the object lies now. Who has it reserved is not waited for under
 * `mmap_lock`, of which others may be in need.
 */
const ttmBoVmFault = procedure(function* (mm: Mm, va: number, vma: Vma, bo: BufferObject) {
  if (!(yield* mutexTrylock(bo.resv))) {
    yield* mmapReadUnlock(mm)
    yield* mutexLock(bo.resv)
    yield* mutexUnlock(bo.resv)
    return "UNLOCKED" as const
  }
  yield* underLock(pageTableLock(mm, va), "vmf_insert_pfn_prot", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    if (pte.value !== null || !hasTable(mm, va)) return
    pte.value = { kind: "special", page: bo.state.resource, access: mostAccess(vma) }
  })
  yield* mutexUnlock(bo.resv)
  return "done" as const
})

/**
 * `ttm_bo_handle_move_mem`, the object reserved: its mappings go, the device's jobs are waited for, and its contents are
 * copied; only then is the memory given up in which it lay.
 */
const ttmBoHandleMoveMem = procedure(function* (device: TtmDevice, bo: BufferObject, to: Frame) {
  const { system, file } = device
  const { folios } = system
  yield* unmapMappingRange(system, file, { start: bo.index, end: bo.index + 1 })
  yield* guardedStep(
    "ttm_bo_wait_ctx",
    [bo.name],
    () => bo.state.fences === 0,
    () => undefined,
    fenceWait(bo),
  )
  yield* step("ttm_move_memcpy", [bo.name], () => {
    folioOf(folios, to).content = folioOf(folios, bo.state.resource).content
  })
  yield* step("ttm_bo_move_sync_cleanup", [bo.name], () => {
    const from = bo.state.resource
    bo.state.resource = to
    if (from.pfn === device.vram.pfn) device.manager.owner = ""
    else folioPut(folios, from)
  })
})

const fenceWait = (bo: BufferObject): Wait => ({
  on: `the fences of ${bo.name}`,
  kind: "dma_fence",
  sleeps: true,
  hindrances: () => [],
})

/**
 * `ttm_bo_validate`, the object reserved: brings it into the device's memory, for which another may have to go to the
 * system's. False where that one is busy, or there is no memory for it.
 */
const ttmBoValidate = procedure(function* (device: TtmDevice, bo: BufferObject) {
  const { folios } = device.system
  const compatible = yield* step("ttm_resource_compatible", [bo.name], () => bo.state.resource.pfn === device.vram.pfn)
  if (compatible) return true
  const head = yield* enterLoop("ttm_bo_alloc_resource")
  for (;;) {
    yield* head()
    const other = yield* ttmResourceAlloc(device, bo)
    if (other === bo) break
    if (other === null) return false
    const place = yield* step("ttm_tt_populate", [other.name], () => folioAlloc(folios, device.file.name))
    if (place !== null) yield* ttmBoHandleMoveMem(device, other, place)
    yield* mutexUnlock(other.resv)
    if (place === null) return false
  }
  yield* ttmBoHandleMoveMem(device, bo, device.vram)
  return true
})

/**
 * `ttm_resource_alloc` and, where there is no room, `ttm_bo_evict_alloc`, under the manager's `lru_lock`: the object
 * itself if it has got the device's memory, else the one that has it, reserved; `null` where that is not to be had.
 */
const ttmResourceAlloc = (device: TtmDevice, bo: BufferObject): Effect.Effect<BufferObject | null> =>
  Effect.map(
    step("ttm_resource_alloc", [bo.name], () => {
      if (device.manager.owner === "") device.manager.owner = bo.name
      const owner = device.objects.find(({ name }) => name === device.manager.owner)
      if (owner === undefined || owner === bo) return bo.index
      if (owner.resv.state.holder !== "") return null
      owner.resv.state.holder = self()
      return owner.index
    }),
    (index) => (index === null ? null : objectAt(device.objects, index)),
  )

/**
 * An ioctl of a driver that has the device work on an object (DRM_IOCTL_AMDGPU_CS and others): the object is brought into
 * the device's memory and gets the job's fence.
 *
 * @param content what the job stores, and its name
 */
export const submitJob = procedure(function* (device: TtmDevice, bo: BufferObject, content: Content) {
  yield* mutexLock(bo.resv)
  if (yield* ttmBoValidate(device, bo)) {
    yield* step("dma_resv_add_fence", [bo.name], () => {
      bo.state.fences++
    })
    yield* fork(`job.${content}`, runJob(device, bo, content))
  }
  yield* mutexUnlock(bo.resv)
})

/** The job: the device stores to its own memory, at the address that the object had when the job was submitted. */
const runJob = ({ system, vram }: TtmDevice, bo: BufferObject, content: Content): Effect.Effect<void> =>
  Effect.andThen(
    step("gpu_store", [bo.name, content], () => {
      folioOf(system.folios, vram).content = content
    }),
    step("dma_fence_signal", [bo.name], () => {
      bo.state.fences--
    }),
  )
