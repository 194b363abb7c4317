/** The invariants of the memory-management core, as executable specs. */
import { mirrorProperties } from "../mirror/properties.ts"
import { countProperties } from "./properties/counts.ts"
import { cowProperties } from "./properties/cow.ts"
import { fileProperties } from "./properties/files.ts"
import { memoryProperties } from "./properties/memory.ts"
import type { Spec } from "./properties/places.ts"
import { tableProperties } from "./properties/tables.ts"
import { translationProperties } from "./properties/translations.ts"
import { releaseProperties, unmapProperties } from "./properties/unmap.ts"

export const mmProperties: ReadonlyArray<Spec> = [
  ...memoryProperties,
  ...countProperties,
  ...cowProperties,
  ...unmapProperties,
  ...tableProperties,
  ...translationProperties,
  ...fileProperties,
  ...releaseProperties,
  ...mirrorProperties,
]
