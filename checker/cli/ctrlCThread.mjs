/**
 * The thread of ctrlC.ts. It sleeps in a script that ctrl-C gets it out of, and that script in another, which hears what
 * comes while the inner one begins anew.
 */
import { runInThisContext } from "node:vm"
import { parentPort } from "node:worker_threads"

const never = new Int32Array(new SharedArrayBuffer(4))

/** @param code sees globals only */
const interruptible = (code) => {
  try {
    runInThisContext(code, { breakOnSigint: true })
  } catch {
    parentPort.postMessage("heard")
  }
}

globalThis.sleep = () => Atomics.wait(never, 0, 0)
globalThis.listen = () => {
  parentPort.postMessage("listening")
  for (;;) interruptible("sleep()")
}

for (;;) interruptible("listen()")
