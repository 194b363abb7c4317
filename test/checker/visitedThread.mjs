/** A thread that adds fingerprints to a table which it is given: see `visited.test.ts`. */
import { parentPort } from "node:worker_threads"
import { register } from "tsx/esm/api"

register()
const { Visited } = await import("../../checker/explore/visited.ts")

/** Waits a while, so that two threads keep abreast: `who` is 0 or 1. */
const keepAbreast = (abreast, who, position) => {
  Atomics.store(abreast, who, position)
  for (let tries = 0; Atomics.load(abreast, 1 - who) < position && tries < 1e6; tries++);
}

parentPort.on("message", ({ table, fingerprints, abreast, who }) => {
  const visited = new Visited(() => [], table)
  let added = 0
  for (let i = 0; i < fingerprints.length; i += 2) {
    if (abreast !== undefined && i % 32 === 0) keepAbreast(abreast, who, i + 1)
    if (visited.add(fingerprints[i], fingerprints[i + 1])) added++
  }
  parentPort.postMessage(added)
})
parentPort.postMessage("ready")
