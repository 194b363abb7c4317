import { readFileSync } from "node:fs"
import * as Schema from "effect/Schema"

const packageUrl = new URL("../../package.json", import.meta.url)

const Package = Schema.fromJsonString(Schema.Struct({ name: Schema.String, version: Schema.String }))

/** This tool's name and version, as documents carry them. */
export const tool: { readonly name: string; readonly version: string } = (() => {
  const { name, version } = Schema.decodeUnknownSync(Package)(readFileSync(packageUrl, "utf8"))
  return { name, version }
})()
