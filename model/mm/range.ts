/** A half-open range of pages of an address space. */
export type Range = { readonly start: number; readonly end: number }

/** The pages of a range, in order. */
export const pagesOf = (range: Range): ReadonlyArray<number> =>
  Array.from({ length: range.end - range.start }, (_, i) => range.start + i)

/** Whether a range has pages and lies in an address space of `pages` pages. */
export const isWithin = (pages: number, { start, end }: Range): boolean =>
  Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start < end && end <= pages

/** Whether two ranges have a page in common. */
export const overlaps = (a: Range, b: Range): boolean => a.start < b.end && b.start < a.end

/** A page's entry in a table that has one for each page. */
export const at = <A>(table: ReadonlyArray<A>, page: number): A => {
  const entry = table[page]
  if (entry === undefined) throw new RangeError(`there is no page ${page}`)
  return entry
}
