/** How system calls and accesses fail: the kernel's error numbers and signals, as typed failures. */
import * as Data from "effect/Data"

/** An error number of a system call (include/uapi/asm-generic/errno-base.h). */
export type ErrorNumber =
  | "EAGAIN"
  | "EBUSY"
  | "EEXIST"
  | "EFAULT"
  | "EINVAL"
  | "EIO"
  | "ENOENT"
  | "ENOMEM"
  | "EOPNOTSUPP"
  | "EPERM"
  | "ESRCH"

/** A system call failed. */
export class Errno extends Data.TaggedError("Errno")<{ readonly call: string; readonly errno: ErrorNumber }> {
  override get message() {
    return `${this.call} fails with ${this.errno}`
  }
}

/** A thread's access ended in a signal; SIGKILL where there was no memory for it. */
export class Signal extends Data.TaggedError("Signal")<{
  readonly signal: "SIGSEGV" | "SIGBUS" | "SIGKILL"
  readonly va: number
}> {
  override get message() {
    return `the access to page ${this.va} ends in ${this.signal}`
  }
}
