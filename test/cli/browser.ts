/** The system's Chromium, for tests that look at pages as a reader does. */
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]

/** Its path: what CHROMIUM names, or the first in PATH; not there if there is none. */
export const chromium: string | undefined =
  process.env.CHROMIUM ??
  names
    .flatMap((name) => (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, name)))
    .find(isExecutable)
