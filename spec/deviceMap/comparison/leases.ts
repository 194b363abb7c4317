/** What is asked of leases and layouts, and what their steps are to the bill. */
import type { Bound, Property, Scenario } from "../../../checker/index.ts"
import type { LeaseContext } from "../../../model/lease/lease.ts"
import { at } from "../../../model/mm/range.ts"
import { fcntlBugs } from "../../lease/fcntl/bugs.ts"
import { opening } from "../../lease/fcntl/scenarios.ts"
import type { FcntlWorld } from "../../lease/fcntl/world.ts"
import { layoutBugs } from "../../lease/layout/bugs.ts"
import { bounded, fallingBack, race, unbounded } from "../../lease/layout/scenarios.ts"
import type { LayoutWorld } from "../../lease/layout/world.ts"
import { mappedBugs } from "../../lease/mapped/bugs.ts"
import { stores, unmapped } from "../../lease/mapped/scenarios.ts"
import type { MappedWorld } from "../../lease/mapped/world.ts"
import { asking, type SetleaseWorld } from "../../lease/setlease/index.ts"
import type { Tariff } from "./cost.ts"
import { type Question, question } from "./question.ts"

const mail = "LKML 2019-04-26, Direct block mapping through fs for device"

const begins: Tariff["begins"] = { "break_lease: list_empty_careful": ({ result }) => result === true }

const ofLayouts: Tariff = {
  begins,
  ends: { "xfs_break_layouts: retry": ({ result }) => result === false },
  faults: ["handle_pte_fault"],
  copies: {
    filemap_write_and_wait: ({ result }) => Number(result),
    submit_bio: () => 1,
    filemap_read_folio: () => 1,
    iomap_file_buffered_write: () => 1,
  },
  // LAYOUTGET, LAYOUTCOMMIT, LAYOUTRETURN
  calls: [
    "nfsd4_preprocess_layout_stateid",
    "nfsd4_layoutcommit: nfsd4_preprocess_layout_stateid",
    "nfsd4_return_file_layouts",
  ],
}

const ofFcntl: Tariff = {
  begins,
  ends: { do_dentry_open: () => true },
  faults: [],
  copies: {},
  // F_SETLEASE
  calls: ["generic_add_lease: check_conflicting_open", "generic_delete_lease", "lease_modify"],
}

const ofSetlease: Tariff = { ...ofFcntl, calls: ["vfs_setlease"] }

type Asks<World> = ReadonlyArray<string | Property<World>>

const layouts = (scenario: Scenario<LayoutWorld>, bound: Bound, ...asks: Asks<LayoutWorld>): Question =>
  question({
    scenario,
    bugs: layoutBugs,
    bound,
    asks,
    tariff: ofLayouts,
    held: (world) => holders(world).length > 0,
    now: ({ clock }) => clock.state.jiffies,
  })

const asker = (closes: number, ask: Property<SetleaseWorld>): Question =>
  question({ scenario: asking, bugs: [], bound: { closes }, asks: [ask], tariff: ofSetlease, held: hasLease })

const mapped = (
  scenario: Scenario<MappedWorld>,
  bound: Bound,
  ask: string | Property<MappedWorld>,
  bug?: string,
): Question =>
  question({
    scenario,
    bugs: mappedBugs,
    bound,
    ...(bug === undefined ? {} : { bug }),
    asks: [ask],
    tariff: ofLayouts,
    held: ({ client }) => client.segments.value.length > 0,
  })

const hasLease = ({ leases }: { readonly leases: LeaseContext }): boolean => leases.leases.value.length > 0

/** What is true, whatever else, while that is so. */
const whenever = <World>(
  id: string,
  statement: string,
  says: string,
  premise: (world: World) => boolean,
  holds: (world: World) => boolean,
): Property<World> => ({
  kind: "invariant",
  id,
  statement,
  source: `${mail}: ${says}`,
  premise,
  holds: (world) => !premise(world) || holds(world),
})

const holders = ({ clients }: LayoutWorld) => clients.filter(({ segments }) => segments.value.length > 0)

const together = (id: string, says: string): Property<LayoutWorld> =>
  whenever(
    id,
    "While two clients have layouts of the block, each accesses it as it was given to it.",
    says,
    (world) => holders(world).length > 1,
    ({ record: { seen } }) => seen.withoutLease + seen.outdated === 0,
  )

const besideWriter = whenever<FcntlWorld>(
  "ASK-TWO-WRITERS",
  "While a process has a lease for writing, and is not asked to give it up, another has the file open.",
  "only one process",
  // Whoever puts a lease on the list looks at those who have the file open once more before it gives up the lock.
  ({ leases, opened }) =>
    leases.lock.state.holder === "" &&
    leases.leases.value.some((lease) => lease.type === "write" && !lease.unlockPending && !lease.downgradePending) &&
    Object.values(opened).some((type) => type !== ""),
  () => true,
)

const byAddress = whenever<MappedWorld>(
  "ASK-ADDRESS",
  "When a process has unmapped the address, its device reaches nothing by what it was given for it.",
  "work on virtual addresses",
  ({ mm }) => at(mm.vma, 0).value === null && mm.mmapLock.state.writer === "",
  ({ client }) => client.segments.value.length === 0,
)

const noMemory = whenever<LayoutWorld>(
  "ASK-NO-MEMORY",
  "A page that only clients use, by its block, takes no memory.",
  "avoiding to waste main memory if file is only accessed by device",
  ({ record }) => record.seen.accesses > 0,
  ({ file }) => file.cache.every(({ value }) => value === null),
)

const noPin = whenever<LayoutWorld>(
  "ASK-NO-PIN",
  "A layout takes no references to pages.",
  "there is no pin",
  (world) => holders(world).length > 0,
  ({ file }) => file.state.pins === 0,
)

const revoked: Property<LayoutWorld> = {
  kind: "leadsTo",
  id: "ASK-REVOKED",
  statement: "What layouts are broken for is done in the end, whatever their holder does.",
  source: `${mail}: it can be revoke at any time from within the kernel`,
  from: ({ record }) => record.waiting.from >= 0,
  to: ({ record }) => record.seen.proceeded > 0,
}

const noTime = whenever<LayoutWorld>(
  "ASK-NO-TIME",
  "Who takes a layout back has not waited for a timer.",
  "lease break time induce latency",
  ({ record }) => record.waiting.until >= 0,
  ({ record }) => record.waiting.until === record.waiting.from,
)

/** A process that has asked for its lease, and has mapped the file. */
const asked = ({ process }: SetleaseWorld, role: string, file: string): boolean =>
  process.mapped && process.open && process.role === role && process.file === file

const onDevice = whenever<SetleaseWorld>(
  "ASK-DEVICE-FILE",
  "Who maps the file of a device may have a lease on it, as on any other.",
  "not only support filesystem but also vma that comes from device file",
  (world) => asked(world, "owner", "device"),
  ({ process }) => process.got === "0",
)

const anybody = whenever<SetleaseWorld>(
  "ASK-ANYBODY",
  "Who may open and map a file may have a lease on it.",
  "lease may require privileges for the applications",
  (world) => asked(world, "other", "regular"),
  ({ process }) => process.got === "0",
)

const afterClose = whenever<SetleaseWorld>(
  "ASK-MAPPED-IS-ENOUGH",
  "Who has a file mapped keeps what it was given when it closes the file.",
  "work on file descriptor not virtual addresses",
  ({ process }) => process.mapped && !process.open && process.got === "0",
  hasLease,
)

const silentFor = { leaseBreak: 5, end: 20 }

/** By what they are about; at bounds that a test may explore. */
export const leases = {
  twoProcesses: layouts(fallingBack, { clients: 2 }, together("ASK-TWO-PROCESSES", "support any number of process")),
  twoDevices: layouts(
    fallingBack,
    { clients: 2 },
    together("ASK-TWO-DEVICES", "allow multiple different devices to map the block"),
  ),
  twoWriters: question({
    scenario: opening,
    bugs: fcntlBugs,
    bound: { openers: 1, leaseBreakTime: 1, end: 3 },
    asks: [besideWriter],
    tariff: ofFcntl,
    held: hasLease,
    now: ({ clock }) => clock.state.jiffies,
  }),
  addresses: mapped(unmapped, {}, byAddress),
  fallBack: layouts(fallingBack, { clients: 2 }, "LEASE-FALLBACK", "LEASE-SAME-DATA"),
  sameData: mapped(stores, { accesses: 1, writebacks: 0 }, "LAYOUT-LAST-WRITE"),
  sameDataAsDocumented: mapped(
    stores,
    { accesses: 1, writebacks: 0 },
    "LAYOUT-LAST-WRITE",
    "mmap-store-over-committed-write",
  ),
  noMemory: layouts(race, { second: 0 }, noMemory),
  noPin: layouts(race, { second: 0 }, noPin),
  revocation: layouts(race, { second: 0 }, revoked, "LEASE-NO-STALE-BLOCK"),
  revocationFenced: layouts(bounded, { ...silentFor, fence: 2 }, revoked, "LEASE-NO-STALE-BLOCK"),
  revocationOld: layouts(unbounded, silentFor, revoked),
  noTime: layouts(bounded, { ...silentFor, fence: 2 }, noTime),
  deviceFile: asker(0, onDevice),
  privileges: asker(0, anybody),
  descriptor: asker(1, afterClose),
}
