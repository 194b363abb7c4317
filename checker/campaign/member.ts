/** The part that a worker thread takes in a search by several, as the main thread sees it. */
import { MessageChannel, type MessagePort } from "node:worker_threads"
import { openIn, type Piece } from "../explore/piece.ts"
import type { SharedTable } from "../explore/visited.ts"
import { Bell, type Figures, type Order } from "./messages.ts"
import type { Thread } from "./pool.ts"

const nothingDone: Figures = { states: 0, transitions: 0, maxDepth: 0, open: 0, exercised: [], steps: [] }

export class Member {
  readonly thread: Thread
  private readonly bell = new SharedArrayBuffer(8)
  private readonly words = new Int32Array(this.bell)
  /** The way for new segments, once it has joined. */
  private supply: MessagePort | undefined
  figures = nothingDone
  /** `exploring` until its piece has ended. */
  phase: "loading" | "idle" | "exploring" = "loading"
  /** What is left of its piece, while it has paused. */
  rest: Piece | undefined
  paused = false
  /** It was asked to share, and has not answered yet. */
  asked = false
  /** When it last said something, or was given something to do. */
  private lastSign = Date.now()

  constructor(thread: Thread) {
    this.thread = thread
  }

  /** Sends an order, and makes the worker look for it. */
  tell(order: Order): void {
    this.ring()
    this.thread.tell(order)
  }

  /** Makes the worker end its slice. */
  ring(): void {
    Atomics.store(this.words, Bell.attention, 1)
  }

  /** Lets it have the table. `mainBell` is the main thread's, if that explores too. */
  join(table: SharedTable, mainBell: SharedArrayBuffer | null): void {
    const { port1, port2 } = new MessageChannel()
    port1.unref()
    this.supply = port1
    this.thread.tell({ kind: "join", table, supply: port2, bell: this.bell, mainBell }, [port2])
  }

  /** Lets it have segments of the table; none says that there are no more. */
  give(segments: ReadonlyArray<SharedArrayBuffer>): void {
    this.supply?.postMessage(segments)
    Atomics.add(this.words, Bell.supplied, 1)
    Atomics.notify(this.words, Bell.supplied)
  }

  explore(piece: Piece): void {
    this.phase = "exploring"
    this.lastSign = Date.now()
    this.figures = { ...this.figures, open: openIn(piece) }
    this.thread.tell({ kind: "explore", piece })
  }

  share(): void {
    this.asked = true
    this.tell({ kind: "share" })
  }

  goOn(): void {
    this.paused = false
    this.rest = undefined
    this.lastSign = Date.now()
    this.tell({ kind: "goOn" })
  }

  /** It has said something. */
  sign(): void {
    this.lastSign = Date.now()
  }

  /** Whether it explores, and has said nothing for so many milliseconds. */
  isSilentFor(milliseconds: number): boolean {
    return this.phase === "exploring" && !this.paused && Date.now() - this.lastSign >= milliseconds
  }
}
