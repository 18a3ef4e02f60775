/**
 * Puts together what this run trusts.
 *
 * @module
 */

import type { Config } from "../config.ts"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import { loadTrustedRoot } from "../trust/load.ts"

/**
 * What this run trusts. A trusted root that is named on the command line counts instead of everything configured.
 *
 * @throws ERR_TRUSTED_ROOT when a file cannot be read or is not what it should be
 */
export const trustOf = (config: Config, trustedRootFile?: string): TrustedRoot =>
  loadTrustedRoot(trustedRootFile ? { trustedRoot: trustedRootFile } : config)
