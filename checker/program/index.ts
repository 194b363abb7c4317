/** What programs are written in. Models import this and nothing else of the checker. */
export { type Arena, arena, type Slot } from "./arena.ts"
export { type Cell, cell, dataCell, dataStruct, type Struct, struct } from "./cell.ts"
export { type Forked, fork, interrupt, join } from "./fork.ts"
export { declareLock, type Holder, type Lock, type Taking } from "./lock.ts"
export { assert, checkpoint, choose, enterLoop, guardedStep, procedure, self, step } from "./operation.ts"
export type { Plain } from "./plain.ts"
export { type Hindrance, type Section, type Wait, within } from "./section.ts"
