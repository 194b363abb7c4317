/** The invariants of device memory: what the core promises, and what migration, device pages and exclusive pages add. */
import { mmProperties } from "../mm/properties.ts"
import { exclusiveProperties } from "./properties/exclusive.ts"
import { migrationProperties } from "./properties/migration.ts"
import { pageProperties } from "./properties/pages.ts"
import type { Spec } from "./properties/places.ts"

export const deviceProperties: ReadonlyArray<Spec> = [
  ...mmProperties,
  ...migrationProperties,
  ...pageProperties,
  ...exclusiveProperties,
]
