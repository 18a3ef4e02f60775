/**
 * Throws away what finished requests have left in memory, tokens among it, without waiting for the runtime to need the room.
 *
 * @module
 */

/** As much of Bun (https://bun.com/docs/api/utils#bun-gc) as is used here. */
interface BunRuntime {
  readonly gc: (synchronously: boolean) => void
}

/**
 * The function that frees what nobody holds any more; takes some milliseconds. Node's memory for new objects stays as small as it is
 * at the start: it would grow from 1 MiB to 16 with the work, and stay there (V8, semi-space).
 */
export async function loadCollector(): Promise<() => void> {
  const { Bun } = globalThis as { Bun?: BunRuntime }
  if (Bun !== undefined) return () => Bun.gc(true)
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([import("node:v8"), import("node:vm")])
  setFlagsFromString("--semi-space-growth-factor=1")
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  return () => collect()
}
