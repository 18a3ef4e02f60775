/**
 * SHA-256 (FIPS 180-4) without loading a whole library for it, which costs bun 3 ms at each commit.
 *
 * @module
 */

/** As much of Bun.CryptoHasher (https://bun.com/docs/api/hashing) as is used here. */
interface BunRuntime {
  readonly CryptoHasher: new (algorithm: "sha256") => { update(bytes: Uint8Array): { digest(): Buffer } }
}

/** The digest, 32 bytes. */
export function sha256(bytes: Uint8Array): Buffer {
  const { Bun } = globalThis as { Bun?: BunRuntime }
  if (Bun !== undefined) return new Bun.CryptoHasher("sha256").update(bytes).digest()
  return process.getBuiltinModule("node:crypto").createHash("sha256").update(bytes).digest()
}
