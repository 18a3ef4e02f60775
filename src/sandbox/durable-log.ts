/**
 * A file of records that survives a crash at any moment: what was acknowledged stays, what was half-written goes.
 *
 * Records that arrive while the disk is busy go out together in one frame, with one write and one fdatasync. The next
 * frame is not begun before the last one is on the disk, so only the last frame of the file can be incomplete:
 *
 *     frame  = length (4 bytes, big-endian) | SHA-256(length)[0..4] | SHA-256(body)[0..8] | body
 *     body   = { record length (4 bytes) | record } ...
 *
 * The check over the length tells a frame that was cut off from a file that was damaged: the first is dropped, the
 * second is an error, because acknowledged records may lie behind it.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { constants } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { dirname } from "node:path"
import { GitsignError } from "../errors.ts"

const HEADER = 16
/** The most that one frame takes, in bytes; a record MUST be smaller. */
const MAX_FRAME = 16 * 1_048_576

interface Waiting {
  readonly record: Buffer
  readonly resolve: (index: number) => void
  readonly reject: (error: unknown) => void
}

/** Called for every record that is on the disk, in order: first for those found at the start, then for new ones. */
export type RecordListener = (record: Buffer, index: number) => void

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** One open log file. Two processes MUST NOT open the same file: the second one's first append fails. */
export class DurableLog {
  readonly #path: string
  readonly #file: FileHandle
  readonly #onRecord: RecordListener
  /** Where each record begins in the file, and its length. */
  readonly #offsets: number[] = []
  readonly #lengths: number[] = []
  #end = 0
  #waiting: Waiting[] = []
  #busy = false
  #flushed: Promise<void> = Promise.resolve()
  #failure: unknown

  private constructor(path: string, file: FileHandle, onRecord: RecordListener) {
    this.#path = path
    this.#file = file
    this.#onRecord = onRecord
  }

  /**
   * Opens or creates the file, drops an incomplete last frame, and hands every record to `onRecord`.
   *
   * @throws ERR_SANDBOX when a frame that is not the last one is damaged
   */
  static async open(path: string, onRecord: RecordListener): Promise<DurableLog> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
    const log = new DurableLog(path, file, onRecord)
    try {
      await log.#recover()
      // The name itself has to be on the disk before the first record is acknowledged.
      await syncDirectory(dirname(path))
    } catch (error) {
      await file.close()
      throw error
    }
    return log
  }

  /** The number of records on the disk. */
  get size(): number {
    return this.#offsets.length
  }

  /**
   * Adds one record; resolves with its index when it is on the disk.
   *
   * @throws ERR_SANDBOX when it could not be written; from then on every append fails until the log is opened again
   */
  append(record: Buffer): Promise<number> {
    if (record.length > MAX_FRAME - HEADER - 4) throw new RangeError("record too large")
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, resolve, reject })
      if (this.#busy) return
      this.#busy = true
      this.#flushed = this.#flush()
    })
  }

  /** Reads one record back. */
  async read(index: number): Promise<Buffer> {
    const offset = this.#offsets[index]
    const length = this.#lengths[index]
    if (offset === undefined || length === undefined) throw new RangeError(`no record ${index}`)
    const record = Buffer.alloc(length)
    await this.#file.read(record, 0, length, offset)
    return record
  }

  /** Waits for the appends under way, then closes the file. */
  async close(): Promise<void> {
    await this.#flushed
    await this.#file.close()
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch()
      try {
        if (this.#failure !== undefined) throw this.#failure
        await this.#writeFrame(batch.map(({ record }) => record))
      } catch (error) {
        // After a failed write or fsync nobody knows what the disk holds. Opening the log again finds out.
        this.#failure = error
        for (const { reject } of batch) {
          reject(new GitsignError("ERR_SANDBOX", `${this.#path}: the entry could not be written`, { cause: error }))
        }
        continue
      }
      const first = this.#offsets.length
      this.#note(batch.map(({ record }) => record))
      batch.forEach(({ record, resolve }, i) => {
        this.#onRecord(record, first + i)
        resolve(first + i)
      })
    }
    // In the same turn as the test above: an append between the two would wait for ever.
    this.#busy = false
  }

  /** Notes where the records of the frame at the end are, and moves the end behind it. */
  #note(records: readonly Buffer[]): void {
    this.#end += HEADER
    for (const record of records) {
      this.#offsets.push(this.#end + 4)
      this.#lengths.push(record.length)
      this.#end += 4 + record.length
    }
  }

  #takeBatch(): Waiting[] {
    let bytes = HEADER
    let count = 0
    for (const { record } of this.#waiting) {
      bytes += 4 + record.length
      if (count > 0 && bytes > MAX_FRAME) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #writeFrame(records: readonly Buffer[]): Promise<void> {
    const frame = encodeFrame(records)
    const { size } = await this.#file.stat()
    if (size !== this.#end) throw new Error("another process writes to this log")
    for (let written = 0; written < frame.length; ) {
      const { bytesWritten } = await this.#file.write(frame, written, frame.length - written, this.#end + written)
      written += bytesWritten
    }
    await this.#file.datasync()
  }

  async #recover(): Promise<void> {
    const { size } = await this.#file.stat()
    while (this.#end < size) {
      const body = await this.#readFrame(this.#end, size)
      if (body === undefined) {
        await this.#file.truncate(this.#end)
        await this.#file.datasync()
        return
      }
      const first = this.#offsets.length
      const records = splitBody(body)
      this.#note(records)
      records.forEach((record, i) => {
        this.#onRecord(record, first + i)
      })
    }
  }

  /** The body of the frame at `offset`, or undefined when the file ends inside it. */
  async #readFrame(offset: number, size: number): Promise<Buffer | undefined> {
    if (size - offset < HEADER) return undefined
    const header = Buffer.alloc(HEADER)
    await this.#file.read(header, 0, HEADER, offset)
    const lengthField = header.subarray(0, 4)
    const length = header.readUInt32BE(0)
    if (!sha256(lengthField).subarray(0, 4).equals(header.subarray(4, 8)) || length > MAX_FRAME) {
      // After a power failure a file can end in zeros: its length was written, its content was not.
      if (await this.#zerosFrom(offset, size)) return undefined
      throw this.#damaged(offset)
    }
    if (size - offset - HEADER < length) return undefined
    const body = Buffer.alloc(length)
    await this.#file.read(body, 0, length, offset + HEADER)
    if (sha256(body).subarray(0, 8).equals(header.subarray(8, 16))) return body
    if (offset + HEADER + length === size) return undefined
    throw this.#damaged(offset)
  }

  async #zerosFrom(offset: number, size: number): Promise<boolean> {
    const chunk = Buffer.alloc(Math.min(size - offset, MAX_FRAME))
    await this.#file.read(chunk, 0, chunk.length, offset)
    return size - offset <= MAX_FRAME && chunk.every((byte) => byte === 0)
  }

  #damaged(offset: number): GitsignError {
    return new GitsignError("ERR_SANDBOX", `${this.#path} is damaged at byte ${offset}`, {
      hint: "remove the sandbox's directory to begin again; its old signatures then no longer verify",
    })
  }
}

function encodeFrame(records: readonly Buffer[]): Buffer {
  const parts: Buffer[] = []
  for (const record of records) {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(record.length)
    parts.push(length, record)
  }
  const body = Buffer.concat(parts)
  const header = Buffer.alloc(8)
  header.writeUInt32BE(body.length)
  sha256(header.subarray(0, 4)).copy(header, 4, 0, 4)
  return Buffer.concat([header, sha256(body).subarray(0, 8), body])
}

function splitBody(body: Buffer): Buffer[] {
  const records: Buffer[] = []
  for (let at = 0; at < body.length; ) {
    const end = at + 4 + body.readUInt32BE(at)
    records.push(body.subarray(at + 4, end))
    at = end
  }
  return records
}

/** Puts the names in a directory on the disk. Where directories cannot be opened (Windows) the system does it itself. */
export async function syncDirectory(path: string): Promise<void> {
  let handle: FileHandle
  try {
    handle = await open(path, "r")
  } catch {
    return
  }
  try {
    await handle.sync()
  } catch {
    // Some file systems refuse to sync a directory; there is nothing else to try.
  } finally {
    await handle.close()
  }
}
