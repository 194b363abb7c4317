/** Flags that several commands have, and kinds of flags. */
import { availableParallelism } from "node:os"
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"

export const json = Flag.String("json").pipe(
  Flag.withMetavar("FILE"),
  Flag.withDescription("Write one JSON document there; - is standard output, and the report goes to standard error"),
  Flag.optional,
)

export const save = Flag.Boolean("save").pipe(
  Flag.withDescription("Save each counterexample that is found as a file"),
  Flag.withDefault(false),
)

/** A whole number from `min` on. */
export const whole = (name: string, min: number) =>
  Flag.String(name).pipe(
    Flag.withMetavar("N"),
    Flag.mapEffect((text) => {
      const value = Number(text)
      if (/^-?\d+$/.test(text) && Number.isSafeInteger(value) && value >= min) return Effect.succeed(value)
      const from = min === Number.MIN_SAFE_INTEGER ? "" : `, at least ${min}`
      return Effect.fail(
        new CliError.InvalidValue({ option: name, value: text, expected: `a whole number${from}`, kind: "flag" }),
      )
    }),
  )

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Wall-clock milliseconds, from `500ms`, `60s`, `5m`, `1h`; a bare number is seconds. */
export const duration = (name: string, example: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar(example),
    Flag.mapEffect((text) => {
      const [, value, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? []
      const milliseconds = Number(value) * (units[unit ?? "s"] ?? Number.NaN)
      if (Number.isFinite(milliseconds) && milliseconds > 0) return Effect.succeed(milliseconds)
      return Effect.fail(
        new CliError.InvalidValue({
          option: name,
          value: text,
          expected: "a time such as 60s, 5m or 500ms",
          kind: "flag",
        }),
      )
    }),
  )

const byteUnits: Readonly<Record<string, number>> = { KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 }

/** Bytes, from `500MB`, `2GB`. */
export const memory = Flag.String("memory").pipe(
  Flag.withMetavar("2GB"),
  Flag.withDescription("Memory that may be used, such as 500MB or 2GB (default: four fifths of what there is)"),
  Flag.mapEffect((text) => {
    const [, value, unit] = /^(\d+(?:\.\d+)?)(KB|MB|GB)$/i.exec(text) ?? []
    const bytes = Math.floor(Number(value) * (byteUnits[(unit ?? "").toUpperCase()] ?? Number.NaN))
    if (Number.isFinite(bytes) && bytes > 0) return Effect.succeed(bytes)
    return Effect.fail(
      new CliError.InvalidValue({
        option: "memory",
        value: text,
        expected: "a size such as 500MB or 2GB",
        kind: "flag",
      }),
    )
  }),
  Flag.optional,
)

export const workers = whole("workers", 1).pipe(
  Flag.withDescription(
    "Threads that explore, each a scenario by itself where there are enough (default: as many as there are cores)",
  ),
  Flag.withDefault(availableParallelism()),
)
