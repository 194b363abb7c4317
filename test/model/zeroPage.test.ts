/** Pins for reading where nothing was stored yet: whoever keeps a page for good is to see what is stored later. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { step } from "../../checker/index.ts"
import { userLoad, userStore } from "../../model/mm/access.ts"
import { folioOf } from "../../model/mm/folio.ts"
import type { GupFlags } from "../../model/mm/gup.ts"
import { getUserPagesFast } from "../../model/mm/gupFast.ts"
import { addressSpace } from "../../model/mm/mm.ts"
import { mmap } from "../../model/mm/mmap.ts"
import { system } from "../../model/mm/system.ts"
import { runAlone } from "./alone.ts"

/** What a pin finds of a store behind it; `null` where it is of the zero page. */
const seen = (flags: GupFlags) =>
  runAlone(() => {
    const of = system({ folios: 4, cgroups: ["process"] })
    const mm = addressSpace(of, "process", 1, ["cpu"])
    return Effect.gen(function* () {
      yield* mmap(mm, { start: 0, end: 1 }, { prot: "rw", shared: false })
      yield* userLoad(mm, "cpu", 0)
      const { frame } = yield* getUserPagesFast(mm, 0, flags)
      yield* userStore(mm, "cpu", 0, "stored")
      return yield* step("look", () => (frame === null ? null : folioOf(of.folios, frame).content))
    })
  })

describe("a pin for reading where nothing was stored", () => {
  it("is of the zero page for one transfer", () => expect(seen({ write: false, pin: true })).toBeNull())
  it("is of a page of the process's own for good", () =>
    expect(seen({ write: false, pin: true, longterm: true })).toBe("stored"))
})
