/** Where a worker thread begins: in JavaScript, because a new thread cannot load TypeScript before it has learnt to. */
import { register } from "tsx/esm/api"

register()
await import("./worker.ts")
