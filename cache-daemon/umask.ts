/**
 * The mask for the modes of new files (umask(2)).
 *
 * @module
 */

/** Runs `make` with a mask. The mask belongs to the whole process, so `make` MUST NOT wait for anything. */
export function withUmask<T>(mask: number, make: () => T): T {
  const before = process.umask(mask)
  try {
    return make()
  } finally {
    process.umask(before)
  }
}
