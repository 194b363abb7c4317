/** What is true of the self tests. */
import type { Property } from "../../../checker/index.ts"
import type { SelftestWorld } from "./world.ts"

const source = "tools/testing/selftests/mm/hmm-tests.c"

/** Pages in use that are in no page cache, and references to those that are, in words. */
const leaks = ({ system, file, shmem, parent, child }: SelftestWorld): ReadonlyArray<string> => {
  const cached = new Set([...file.cache, ...shmem.cache].flatMap(({ value }) => (value === null ? [] : [value.pfn])))
  const pages = system.folios.arena.slots.flatMap(({ live, index, refcount, mapcount }) => {
    if (!live) return []
    if (!cached.has(index)) return [`page ${index} is in use`]
    return refcount === 1 && mapcount === 0 ? [] : [`page ${index} of a file has ${refcount} references`]
  })
  const counted = [parent, child].flatMap(({ name, rss }) =>
    rss.anon === 0 && rss.file === 0 && rss.swap === 0 ? [] : [`pages are counted for the ${name}`],
  )
  return [...pages, ...counted]
}

export const selftestProperties: ReadonlyArray<Property<SelftestWorld>> = [
  {
    kind: "invariant",
    id: "SELFTEST-OUTCOME",
    statement: "What every command, call and access of the test comes to is what the kernel's test expects.",
    source,
    premise: ({ outcome }) => outcome.asExpected > 0,
    holds: ({ outcome }) => outcome.wrong === "",
    explain: ({ outcome }) => outcome.wrong,
  },
  {
    kind: "atEnd",
    id: "SELFTEST-NO-LEAK",
    statement: "When the buffer is unmapped and the devices are closed, no memory is in use but that of files.",
    source: `${source}: hmm_buffer_free; mm/memremap.c: free_zone_device_folio`,
    holds: (world) => leaks(world).length === 0,
    explain: (world) => leaks(world).join(", "),
  },
]
