/**
 * Puts together the settings of this run.
 *
 * @module
 */

import { type Config, resolveConfig } from "../config.ts"
import { readGitConfig } from "../git/config.ts"
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
