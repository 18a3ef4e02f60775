/**
 * Checks signatures on as many threads as pay (node:worker_threads): a thread costs a start and its own caches.
 *
 * @module
 */

import { existsSync } from "node:fs"
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import { type CheckedObject, checkObject, type StoredObject } from "./check.ts"

/** More threads than this did not pay anywhere: the objects come from one stream. */
const MAX_JOBS = 8

/** From how many objects on a second thread pays; measured, see `npm run bench`. */
const WORTH_A_THREAD = 200

/** How many threads to use for so many objects where nobody has said. */
export const jobsFor = (objects: number): number =>
  objects < WORTH_A_THREAD ? 1 : Math.max(1, Math.min(MAX_JOBS, availableParallelism()))

/** Checks batches of objects. */
export interface Checker {
  /** How many batches it works on at a time. */
  readonly jobs: number
  check(objects: readonly StoredObject[]): Promise<readonly CheckedObject[]>
  close(): Promise<void>
}

/** Makes a checker; with one job it works in this thread. */
export function createChecker(trustedRoot: TrustedRoot, jobs: number): Checker {
  const here: Checker = {
    jobs: 1,
    check: (objects) => Promise.resolve(objects.map((object) => checkObject(object, trustedRoot))),
    close: () => Promise.resolve(),
  }
  const file = workerFile()
  if (jobs <= 1 || file === undefined) return here
  const threads = Array.from({ length: jobs }, () => new CheckThread(file, trustedRoot))
  let next = 0
  return {
    jobs,
    check: async (objects) => {
      // The least busy one; an answer that never comes is one that this thread gives.
      const thread = threads.reduce(
        (best, one) => (one.waiting < best.waiting ? one : best),
        threads[next++ % jobs] as CheckThread,
      )
      return (await thread.check(objects)) ?? here.check(objects)
    },
    close: async () => {
      await Promise.all(threads.map((thread) => thread.close()))
    },
  }
}

/** Where the worker's code is: inside of the standalone executable, or beside this file in dist/; nowhere when run from source. */
function workerFile(): URL | undefined {
  if ("Bun" in globalThis) return new URL("./src/audit/worker.js", import.meta.url)
  const file = new URL("./audit-worker.mjs", import.meta.url)
  return existsSync(file) ? file : undefined
}

class CheckThread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, (checked: readonly CheckedObject[] | undefined) => void>()
  #seq = 0
  #gone = false

  constructor(file: URL, trustedRoot: TrustedRoot) {
    this.#worker = new Worker(file, { workerData: { trustedRoot } })
    this.#worker.on("message", ({ seq, checked }: { seq: number; checked: readonly CheckedObject[] }) => {
      this.#waiting.get(seq)?.(checked)
      this.#waiting.delete(seq)
    })
    this.#worker.on("error", () => this.#end())
    this.#worker.on("exit", () => this.#end())
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Undefined when the thread ended before it answered. */
  check(objects: readonly StoredObject[]): Promise<readonly CheckedObject[] | undefined> {
    if (this.#gone) return Promise.resolve(undefined)
    const seq = this.#seq++
    return new Promise((resolve) => {
      this.#waiting.set(seq, resolve)
      // A view would take the whole chunk along that git's answer came in.
      const copies = objects.map((object) => ({ ...object, raw: new Uint8Array(object.raw) }))
      this.#worker.postMessage(
        { seq, objects: copies },
        copies.map(({ raw }) => raw.buffer),
      )
    })
  }

  async close(): Promise<void> {
    this.#gone = true
    await this.#worker.terminate()
  }

  #end(): void {
    this.#gone = true
    for (const resolve of this.#waiting.values()) resolve(undefined)
    this.#waiting.clear()
  }
}
