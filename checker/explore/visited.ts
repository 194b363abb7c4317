/**
 * A set of 64-bit fingerprints that several threads can add to at once, and that grows without ever being copied.
 *
 * Extendible hashing (Fagin, Nievergelt, Pippenger and Strong, 1979): a directory says which segment a fingerprint
 * belongs to, by the first bits of its hash; a full segment is split in two by the next bit. Inside a segment, open
 * addressing with linear probing, 8 bytes a place. Segments are split at three quarters full, so a state costs between
 * 11 and 22 bytes of the table.
 *
 * Representation: a place is free iff both its halves are 0, and the fingerprint 0 is stored as (0, 1). A segment
 * begins with a header: a lock, the number of fingerprints in it, and how many bits of the hash they have in common.
 * Directory entries whose first bits are those of a segment all name that segment.
 *
 * Threads: whoever adds holds the lock of the segment, and looks into the directory again once it has it: a split holds
 * the lock of the segment that it splits. Looking is done without a lock. It may miss what is being added or moved, so
 * `add` looks again under the lock; and it may put a fingerprint together from halves of two others that were moved
 * meanwhile, which is no likelier than that two states have the same fingerprint.
 */

const headerWords = 16 // a cache line of its own
const places = 1 << 17
const fullest = (places / 4) * 3
const deepest = 16
const Header = { lock: 0, count: 1, depth: 2 } as const

/**
 * Fingerprints added or found lately that each thread keeps besides, in 256 KiB that stay in its processor's cache: most
 * states that are met again were met not long ago.
 */
const lately = 1 << 15

/** Bytes of a segment: the table grows by as much. */
export const segmentBytes = 4 * (headerWords + 2 * places)

/** Words that all threads share: how many segments are in use, and whether no more are to be had. */
const Control = { used: 0, full: 1 } as const

/** Where new segments come from: called with how many there must be; gives some made since the last call, or none. */
export type Supply = (wanted: number) => ReadonlyArray<SharedArrayBuffer>

/** A table as it is handed to another thread. Segments made later go to every thread, in one order. */
export interface SharedTable {
  readonly control: SharedArrayBuffer
  readonly directory: SharedArrayBuffer
  readonly segments: ReadonlyArray<SharedArrayBuffer>
}

/** Makes segments as they are wanted: the first, and others as long as `room` allows so many bytes more. */
export const ownSupply = (room: (bytes: number) => boolean = () => true): Supply => {
  let made = 0
  return (wanted) => {
    const segments: Array<SharedArrayBuffer> = []
    while (made < wanted && (made === 0 || room(segmentBytes))) {
      segments.push(new SharedArrayBuffer(segmentBytes))
      made++
    }
    return segments
  }
}

/** The set, as one thread has it. */
export class Visited {
  private readonly control: Int32Array
  private readonly directory: Int32Array
  private readonly segments: Array<Int32Array> = []
  private readonly supply: Supply
  /** Whether other threads use the table too. */
  private shared: boolean
  /** Told of the segments that this thread makes for all. */
  private told: (segments: ReadonlyArray<SharedArrayBuffer>) => void = () => undefined
  /** Some of the fingerprints in the table, each at a place given by its hash. */
  private readonly recent = new Int32Array(2 * lately)
  /** For splitting: what was in the segment. */
  private scratch: Int32Array | undefined

  /** An empty table of this thread's own, or one that others use too. */
  constructor(supply: Supply = ownSupply(), table?: SharedTable) {
    this.supply = supply
    this.shared = table !== undefined
    this.control = new Int32Array(table?.control ?? new SharedArrayBuffer(64))
    this.directory = new Int32Array(table?.directory ?? new SharedArrayBuffer(4 << deepest))
    for (const segment of table?.segments ?? supply(1)) this.segments.push(new Int32Array(segment))
    if (table === undefined) this.control[Control.used] = 1
  }

  /**
   * Hands the table to other threads: from now on this one is careful too.
   *
   * @param told told of all segments that are made from now on; each other thread must get them, in this order
   */
  share(told: (segments: ReadonlyArray<SharedArrayBuffer>) => void = () => undefined): SharedTable {
    this.shared = true
    this.told = told
    const buffers = [this.control, this.directory, ...this.segments].map(({ buffer }) => shared(buffer))
    const [control, directory, ...segments] = buffers
    if (control === undefined || directory === undefined) throw new Error("a table has lost its parts")
    return { control, directory, segments }
  }

  /** The other threads are gone. */
  unshare(): void {
    this.shared = false
    this.told = () => undefined
  }

  /** Gets segments until there are so many, or no more are to be had. */
  provide(wanted: number): void {
    while (this.segments.length < wanted) {
      const more = this.supply(wanted)
      if (more.length === 0) return
      for (const segment of more) this.segments.push(new Int32Array(segment))
      this.told(more)
    }
  }

  /** How many segments this thread knows of, in use or not. */
  get provided(): number {
    return this.segments.length
  }

  /** Whether no more segments are to be had: a search must end soon, while there is still room for a few more. */
  get full(): boolean {
    return this.control[Control.full] !== 0
  }

  /** How many fingerprints are in the table. Exact while no other thread adds. */
  get size(): number {
    let size = 0
    for (let i = 0; i < this.used; i++) size += this.segment(i)[Header.count] ?? 0
    return size
  }

  /** Bytes that the segments in use have. */
  get bytes(): number {
    return this.used * segmentBytes
  }

  /** Adds a fingerprint; false if it was there. */
  add(low: number, high: number): boolean {
    const above = (low | high) === 0 ? 1 : high
    const hash = hashOf(low, above)
    if (this.isRecent(hash, low, above)) return false
    this.remember(hash, low, above)
    const segment = this.segmentOf(hash)
    const place = find(segment, hash, low, above)
    // Not whether the place is taken: another thread may have put another fingerprint there just now.
    if (segment[place] === low && segment[place + 1] === above) return false
    if ((segment[Header.count] ?? 0) >= fullest) this.prepare(segment)
    return this.shared ? this.putWithOthers(low, above, hash) : this.put(segment, place, low, above, hash)
  }

  /** Adds a fingerprint unless another thread has. There are no more atomic operations here than must be: V8 calls them. */
  private putWithOthers(low: number, high: number, hash: number): boolean {
    let segment = this.segmentOf(hash)
    for (;;) {
      lock(segment)
      const now = this.segmentOf(hash)
      if (now === segment) break
      unlock(segment)
      segment = now
    }
    try {
      const place = find(segment, hash, low, high)
      return !isTaken(segment, place) && this.put(segment, place, low, high, hash)
    } finally {
      unlock(segment)
    }
  }

  has(low: number, high: number): boolean {
    const above = (low | high) === 0 ? 1 : high
    const hash = hashOf(low, above)
    if (this.isRecent(hash, low, above)) return true
    const segment = this.segmentOf(hash)
    const place = find(segment, hash, low, above)
    const found = segment[place] === low && segment[place + 1] === above
    if (found) this.remember(hash, low, above)
    return found
  }

  private isRecent(hash: number, low: number, high: number): boolean {
    const at = 2 * (hash & (lately - 1))
    return this.recent[at] === low && this.recent[at + 1] === high
  }

  private remember(hash: number, low: number, high: number): void {
    const at = 2 * (hash & (lately - 1))
    this.recent[at] = low
    this.recent[at + 1] = high
  }

  /** The fingerprints, low half and high half in turn, a segment's at a time. For when nobody adds. */
  *contents(): Generator<Int32Array<ArrayBuffer>> {
    for (let i = 0; i < this.used; i++) {
      const segment = this.segment(i)
      const packed = new Int32Array(2 * (segment[Header.count] ?? 0))
      let length = 0
      for (let at = headerWords; at < segment.length; at += 2) {
        if (!isTaken(segment, at)) continue
        packed[length++] = segment[at] ?? 0
        packed[length++] = segment[at + 1] ?? 0
      }
      yield packed
    }
  }

  private get used(): number {
    return Math.min(this.control[Control.used] ?? 0, this.segments.length)
  }

  private segmentOf(hash: number): Int32Array {
    return this.segment(this.directory[hash >>> (32 - deepest)] ?? 0)
  }

  private segment(position: number): Int32Array {
    if (position >= this.segments.length) this.provide(position + 1)
    const segment = this.segments[position]
    if (segment === undefined) throw new Error(`there is no segment ${position}`)
    return segment
  }

  /** Fills a free place. */
  private put(segment: Int32Array, place: number, low: number, high: number, hash: number): true {
    segment[place] = low
    segment[place + 1] = high
    const count = (segment[Header.count] ?? 0) + 1
    segment[Header.count] = count
    if (count > fullest) this.split(segment, hash)
    // A search that heeds `full` ends thousands of places before this.
    if (count >= places - 1) throw new Error("a full table was added to")
    return true
  }

  /**
   * Makes sure that there is a segment to split this one into, or notes that there is none to be had. May have to wait
   * for the thread that makes them, so it is done without a lock: that thread may wait for one.
   */
  private prepare(segment: Int32Array): void {
    if (this.full) return
    const next = this.nextFree
    if ((segment[Header.depth] ?? 0) < deepest) this.provide(next + 1)
    if (next >= this.segments.length || segment[Header.depth] === deepest) Atomics.store(this.control, Control.full, 1)
  }

  private get nextFree(): number {
    return Atomics.load(this.control, Control.used)
  }

  /** Takes the next segment that nobody uses. */
  private takeFree(): number | undefined {
    for (;;) {
      const next = this.nextFree
      if (next >= this.segments.length) return undefined
      if (Atomics.compareExchange(this.control, Control.used, next, next + 1) === next) return next
    }
  }

  /** Moves about half of a segment into a new one; if another thread got that first, it is for the next time. */
  private split(segment: Int32Array, hash: number): void {
    const depth = segment[Header.depth] ?? 0
    const position = depth < deepest ? this.takeFree() : undefined
    if (position === undefined) return
    const fresh = this.segment(position)
    this.scratch ??= new Int32Array(2 * places)
    this.scratch.set(segment.subarray(headerWords))
    segment.fill(0, headerWords)
    segment[Header.count] = 0
    segment[Header.depth] = depth + 1
    fresh[Header.depth] = depth + 1
    const bit = 31 - depth
    for (let i = 0; i < this.scratch.length; i += 2) {
      const low = this.scratch[i] ?? 0
      const high = this.scratch[i + 1] ?? 0
      if ((low | high) === 0) continue
      const where = hashOf(low, high)
      const target = (where >>> bit) & 1 ? fresh : segment
      const place = find(target, where, low, high)
      target[place] = low
      target[place + 1] = high
      target[Header.count] = (target[Header.count] ?? 0) + 1
    }
    const first = ((hash >>> (32 - deepest)) >>> (deepest - depth)) << (deepest - depth)
    const half = 1 << (deepest - depth - 1)
    for (let entry = first + half; entry < first + 2 * half; entry++) Atomics.store(this.directory, entry, position)
  }
}

const hashOf = (low: number, high: number): number => low ^ Math.imul(high, 0x9e3779b1)

/** Where in the segment the fingerprint is, or the free place where it belongs. */
const find = (segment: Int32Array, hash: number, low: number, high: number): number => {
  let place = hash & (places - 1)
  for (;;) {
    const at = headerWords + 2 * place
    const there = segment[at] ?? 0
    const above = segment[at + 1] ?? 0
    if ((there | above) === 0 || (there === low && above === high)) return at
    place = (place + 1) & (places - 1)
  }
}

const isTaken = (segment: Int32Array, place: number): boolean => segment[place] !== 0 || segment[place + 1] !== 0

/** How often a thread looks at a lock before it lets others run. */
const patience = 1000

/** Takes a segment's lock. Whoever has it waits for nobody: it is free in a microsecond, or a millisecond if it splits. */
const lock = (segment: Int32Array): void => {
  for (let tries = 0; Atomics.compareExchange(segment, Header.lock, 0, 1) !== 0; tries++) {
    if (tries >= patience) Atomics.wait(segment, Header.lock, 1, 1)
  }
}

const unlock = (segment: Int32Array): void => {
  Atomics.store(segment, Header.lock, 0)
}

const shared = (buffer: ArrayBufferLike): SharedArrayBuffer => {
  if (buffer instanceof SharedArrayBuffer) return buffer
  throw new Error("a table is not in shared memory")
}

/**
 * The odds that a search of this many states missed one because two fingerprints of 64 bits were equal: at most
 * n² / 2⁶⁵ (as TLC reports it), if fingerprints are as good as random.
 */
export const missedStateOdds = (states: number): number => (states * states) / 2 ** 65
