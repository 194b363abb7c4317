/** What seeded bugs do once a start was refused on the list. */
import * as Effect from "effect/Effect"
import type { Operation, Plain, Replacements } from "../../checker/index.ts"

/**
 * After each refusal by nouveau's notifier, the next step of that name is left out.
 *
 * @param result what it then returns
 * @param which tells which of the steps of that name are meant
 */
export const afterRefusal = (
  name: string,
  result: Plain,
  which: (operation: Operation) => boolean = () => true,
): Replacements => {
  let refused = false
  return {
    "nouveau_svmm_invalidate_range_start: -EAGAIN": (original) =>
      Effect.tap(original, () =>
        Effect.sync(() => {
          refused = true
        }),
      ),
    [name]: (original, operation) =>
      Effect.suspend(() => {
        if (!refused || !which(operation)) return original
        refused = false
        return Effect.succeed(result)
      }),
  }
}
