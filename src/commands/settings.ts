/**
 * Puts together what the commands work with: settings and trust.
 *
 * @module
 */

import { type Config, resolveConfig } from "../config.ts"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import { readGitConfig } from "../git/config.ts"
import { loadTrustedRoot } from "../trust/load.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"

/**
 * Reads git's configuration and the environment, and opens the log file that they name.
 *
 * @throws ERR_CONFIG for a wrong value; ERR_GIT when git cannot be run
 */
export async function loadConfig(io: CommandIo, messages: Messages): Promise<Config> {
  const config = resolveConfig({ gitConfig: await readGitConfig(io), env: io.env })
  messages.useLog(config.logPath)
  return config
}

/**
 * What this run trusts. A trusted root that is named on the command line counts instead of everything configured.
 *
 * @throws ERR_TRUSTED_ROOT when a file cannot be read or is not what it should be
 */
export const trustOf = (config: Config, trustedRootFile?: string): TrustedRoot =>
  loadTrustedRoot(trustedRootFile ? { trustedRoot: trustedRootFile } : config)
