/** A thread that adds fingerprints to a table which it is given: see `visited.test.ts`. */
import { parentPort } from "node:worker_threads"
import { register } from "tsx/esm/api"

register()
const { Visited } = await import("../../checker/explore/visited.ts")

parentPort.on("message", ({ table, fingerprints }) => {
  const visited = new Visited(() => [], table)
  let added = 0
  for (let i = 0; i < fingerprints.length; i += 2) if (visited.add(fingerprints[i], fingerprints[i + 1])) added++
  parentPort.postMessage(added)
})
parentPort.postMessage("ready")
