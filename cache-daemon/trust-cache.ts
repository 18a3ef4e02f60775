/**
 * Trusted roots by the SHA-256 of the files they were made from, so that each is parsed once.
 *
 * @module
 */

import { createHash } from "node:crypto"
import type { TrustedRoot } from "../src/formats/trusted-root.ts"
import { trustedRootOf } from "../src/trust/load.ts"
import type { TrustFiles } from "./protocol.ts"

/** One person signs with one Sigstore, or a few. */
const MAX_ROOTS = 4

export class TrustCache {
  /** In the order of their last use. */
  readonly #roots = new Map<string, TrustedRoot>()

  /**
   * The trusted root that these files make.
   *
   * @throws ERR_TRUSTED_ROOT when one is not what it should be
   */
  get(files: TrustFiles): TrustedRoot {
    const id = digestOf(files)
    const root = this.#roots.get(id) ?? trustedRootOf(files)
    this.#roots.delete(id)
    this.#roots.set(id, root)
    const [oldest] = this.#roots.keys()
    if (this.#roots.size > MAX_ROOTS && oldest !== undefined) this.#roots.delete(oldest)
    return root
  }
}

function digestOf(files: TrustFiles): string {
  const { trustedRoot, fulcioRoot, rekorPublicKey, ctLogPublicKey, timestampCertChain } = files
  const hash = createHash("sha256")
  for (const file of [trustedRoot, fulcioRoot, rekorPublicKey, ctLogPublicKey, timestampCertChain]) {
    // With its length in front: no two lists of files give the same bytes.
    hash.update(file === undefined ? "-" : `${Buffer.byteLength(file)}:`).update(file ?? "")
  }
  return hash.digest("hex")
}
