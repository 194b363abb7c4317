/** "Did you mean": the known name that is closest to a mistyped one. */

/** How many letters must be put in, left out or replaced to turn one text into the other (Levenshtein). */
const distance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}

/** Where to look for a name. */
export const listed = "; npm run check -- list shows those that there are"

/** `; did you mean X?` when a known name is close or ends like the one asked for, otherwise where to look. */
export const suggestion = (asked: string, known: Iterable<string>, elsewhere = listed): string => {
  if (asked === "" || asked.length > 200) return elsewhere
  const candidates = [...known].map((name) => {
    const within = name.endsWith(`/${asked}`) || name.startsWith(`${asked}/`)
    return { name, distance: within ? 0 : distance(asked, name) }
  })
  const [best] = candidates.sort((a, b) => a.distance - b.distance)
  return best !== undefined && best.distance <= Math.max(2, asked.length / 4)
    ? `; did you mean ${best.name}?`
    : elsewhere
}
