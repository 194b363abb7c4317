/** Which pages are one area: merging, and the anon_vmas that decide on it (mm/vma.c: vma_merge_new_range; mm/rmap.c). */
import { changeVmas, findVma, type Mm } from "./mm.ts"
import type { Range } from "./range.ts"
import { continues, sameVma, type Vma } from "./vma.ts"

/** Whether a page is in one area with the page before it. */
const isJoined = (mm: Mm, va: number): boolean => {
  const before = findVma(mm, va - 1)
  const here = findVma(mm, va)
  return before !== null && here !== null && sameVma(before, here)
}

/** The area that a page is in. Within a step. */
export const areaOf = (mm: Mm, va: number): Range => {
  let start = va
  while (isJoined(mm, start)) start--
  let end = va + 1
  while (isJoined(mm, end)) end++
  return { start, end }
}

/** `vma_is_fork_child`: such an area merges with none that has no anon_vma yet, so that its chain stays as short. */
const isForkChild = (vma: Vma): boolean => vma.anonVmas.length > 1

/** `is_mergeable_anon_vma`: whether the anon_vma of one area can be that of both, or is. */
const anonVmasFit = (target: Vma, source: Vma): boolean => {
  if (target.anonVmas.length === 0 && source.anonVmas.length > 0) return !isForkChild(source)
  if (target.anonVmas.length > 0 && source.anonVmas.length === 0) return !isForkChild(target)
  return target.anonVmas.at(-1) === source.anonVmas.at(-1)
}

/**
 * `vma_merge_new_range`, `vma_merge_existing_range`: a range that was mapped or changed just now, all of one kind,
 * becomes one area with those before and behind it that fit. All of it then has the anon_vma that a part of it had. Those
 * that do not fit differ in that, and stay areas of their own. Within a step.
 */
export const vmaMerge = (mm: Mm, range: Range): void => {
  const first = findVma(mm, range.start)
  const last = findVma(mm, range.end - 1)
  if (first === null || last === null) return
  const prev = findVma(mm, range.start - 1)
  const next = findVma(mm, range.end)
  const left = prev !== null && continues(prev, first) && anonVmasFit(prev, first) ? prev : null
  const fits = next !== null && continues(last, next) && anonVmasFit(next, last) ? next : null
  // Each of them may fit the range, which has no anon_vma, and not the other.
  const right = left === null || fits === null || bothFit(left, fits) ? fits : null
  const anonVmas = [left, right, first].find((vma) => vma !== null && vma.anonVmas.length > 0)?.anonVmas ?? []
  const merged = {
    start: left === null ? range.start : areaOf(mm, range.start - 1).start,
    end: right === null ? range.end : areaOf(mm, range.end).end,
  }
  changeVmas(mm, merged, (vma) => (vma.detached ? vma : { ...vma, anonVmas }))
}

const bothFit = (left: Vma, right: Vma): boolean =>
  left.anonVmas.length === 0 || right.anonVmas.length === 0 || left.anonVmas.at(-1) === right.anonVmas.at(-1)

/** `find_mergeable_anon_vma`: that of a neighbour with which the area might be merged later, whatever the protection. */
const findMergeableAnonVma = (mm: Mm, { start, end }: Range): string | undefined => {
  const reusable = (neighbour: Vma | null, before: Vma | null, behind: Vma | null): string | undefined => {
    const compatible = before !== null && behind !== null && continues({ ...before, prot: behind.prot }, behind)
    return compatible && neighbour?.anonVmas.length === 1 ? neighbour.anonVmas[0] : undefined
  }
  const next = findVma(mm, end)
  const prev = findVma(mm, start - 1)
  return reusable(next, findVma(mm, end - 1), next) ?? reusable(prev, prev, findVma(mm, start))
}

/** `anon_vma_alloc`: the first name that no area of the process goes by: its own, then that with a number. Within a step. */
export const anonVmaAlloc = (mm: Mm): string => {
  const used = new Set(mm.vma.flatMap(({ value }) => value?.anonVmas ?? []))
  for (let number = 0; ; number++) {
    const name = number === 0 ? mm.name : `${mm.name}.${number}`
    if (!used.has(name)) return name
  }
}

/** `__anon_vma_prepare`, of an area that has none. Within a step. */
export const giveAnonVma = (mm: Mm, area: Range): void => {
  const anonVmas = [findMergeableAnonVma(mm, area) ?? anonVmaAlloc(mm)]
  changeVmas(mm, area, (vma) => ({ ...vma, anonVmas }))
}
