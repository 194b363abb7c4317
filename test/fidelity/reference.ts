/** The kernel that the model is compared with: one whose rules are those that the model follows. */
import { release } from "node:os"
import { type Kernel, kernel } from "./kernel.ts"

/** From 6.17 on mremap moves several areas; how areas merge was put right in 6.18. */
const oldest = [6, 18] as const

/** Why a kernel of that release is none to compare with, if it is not. */
export const tooOld = (of: string): string | undefined => {
  const [major = 0, minor = 0] = of.split(".").map((part) => Number.parseInt(part, 10))
  const isOld = !(major > oldest[0] || (major === oldest[0] && minor >= oldest[1]))
  return isOld ? `Linux ${of} runs here, and the model follows the rules of ${oldest.join(".")}` : undefined
}

/** The kernel that runs here, or why there is nothing to compare with: then a test has to say that instead of passing. */
export const referenceKernel = (): Kernel | string => tooOld(release()) ?? kernel()
