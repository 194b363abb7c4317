/** The invariants of device memory: what the core promises, and what migration, device pages and exclusive pages add. */
import { mmProperties } from "../mm/properties.ts"
import { exclusiveProperties } from "./properties/exclusive.ts"
import { migrationProperties } from "./properties/migration.ts"
import { pageProperties } from "./properties/pages.ts"
import type { Spec } from "./properties/places.ts"

/** What the core promises of files, of devices that walk the CPU's page table, and of CPUs that come and go: there are none here. */
const elsewhere: ReadonlySet<string> = new Set([
  "IOTLB-NO-UAF",
  "IOTLB-UNBOUND",
  "PROT-LAZY-WINDOW",
  "PT-NO-CPU",
  "SHOOTDOWN-COMPLETE",
  "TRUNC-LOCKED",
  "TRUNC-NO-BLOCKS",
  "TRUNC-NO-MAP",
])

export const deviceProperties: ReadonlyArray<Spec> = [
  ...mmProperties.filter(({ id }) => !elsewhere.has(id)),
  ...migrationProperties,
  ...pageProperties,
  ...exclusiveProperties,
]
