/** Tables whose rows can be printed one by one, before the later ones are known. */

export interface Column {
  readonly title: string
  readonly width: number
  readonly align: "left" | "right"
}

/** A column as wide as its title and the texts that it will hold. */
export const column = (title: string, texts: ReadonlyArray<string>, align: Column["align"] = "left"): Column => ({
  title,
  width: Math.max(title.length, ...texts.map(({ length }) => length)),
  align,
})

/**
 * One row. Where the table is wider than `width`, the text of the last column stands on a line of its own below.
 *
 * @param paint colours the cell at a position, after it was padded
 */
export const row = (
  columns: ReadonlyArray<Column>,
  cells: ReadonlyArray<string>,
  width: number,
  paint: (cell: string, position: number) => string = (cell) => cell,
): ReadonlyArray<string> => {
  const total = columns.reduce((sum, { width }) => sum + width + 2, -2)
  const padded = columns.map(({ width, align }, position) => {
    const cell = cells[position] ?? ""
    return paint(align === "left" ? cell.padEnd(width) : cell.padStart(width), position)
  })
  if (total <= width) return [padded.join("  ").trimEnd()]
  const last = (cells.at(columns.length - 1) ?? "").trim()
  const first = padded.slice(0, -1).join("  ").trimEnd()
  return last === "" ? [first] : [first, `    ${paint(last, columns.length - 1)}`]
}

/** The row of titles. */
export const titles = (columns: ReadonlyArray<Column>, width: number): ReadonlyArray<string> =>
  row(
    columns,
    columns.map(({ title }) => title),
    width,
  )
