/**
 * The settings that the verbs of the agent need. A verb that stops, locks or empties an agent must work whatever else is set, so
 * only `gitsign.credentialCache` and `gitsign.credentialCacheMode` are looked at, and a mode that there is not stops none of them.
 *
 * @module
 */

import { resolve } from "node:path"
import { defaultSocketPath } from "../../cache-daemon/socket-path.ts"
import { type Config, resolveConfig } from "../config.ts"
import { isGitsignError } from "../errors.ts"
import { shellQuote } from "../formats/printable.ts"
import { type GitConfigEntry, readGitConfig } from "../git/config.ts"
import { homeDirectory } from "../services/home-directory.ts"
import { agentAddressOf } from "./agent-client.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"

/** What is set about the agent. */
export interface AgentSettings {
  /** gitsign.credentialCache: `auto`, a path, or undefined when it is off. */
  readonly credentialCache: Config["credentialCache"]
  /** What says so: a name of the environment, or git's origin such as `file:.git/config`; undefined when nothing does. */
  readonly origin: string | undefined
  /** gitsign.credentialCacheMode, where it is that which keeps commits from the agent; in quotes when there is no such mode. */
  readonly otherMode?: string | undefined
}

/** The flag that all verbs of the agent share. */
export interface SocketOptions {
  readonly socket?: string
}

const KEY = "gitsign.credentialcache"
const VARIABLE = "GITSIGN_CREDENTIAL_CACHE"
const LOG_KEY = "gitsign.logpath"
const MODE_KEY = "gitsign.credentialcachemode"
const MODE_VARIABLE = "GITSIGN_CREDENTIAL_CACHE_MODE"

/**
 * Reads gitsign.credentialCache and opens the log file that the settings name; nothing else that is set wrongly makes it fail.
 *
 * @throws ERR_CONFIG when git cannot read its configuration, or that one setting is wrong; ERR_GIT when git cannot be run
 */
export async function agentSettings(io: CommandIo, messages: Messages): Promise<AgentSettings> {
  const gitConfig = await readGitConfig(io)
  messages.useLog(valuesOf(gitConfig, LOG_KEY, io.env, "GITSIGN_LOG").logPath)
  return settingsOf(gitConfig, io.env)
}

function settingsOf(gitConfig: readonly GitConfigEntry[], env: NodeJS.ProcessEnv): AgentSettings {
  const { credentialCache } = valuesOf(gitConfig, KEY, env, VARIABLE)
  const origin = env[VARIABLE] === undefined ? originOf(gitConfig, KEY) : VARIABLE
  const modeOrigin = env[MODE_VARIABLE] === undefined ? originOf(gitConfig, MODE_KEY) : MODE_VARIABLE
  const mode = modeOf(gitConfig, env)
  // Commits refuse it. An agent that runs is where it would be without it.
  if (mode === undefined) return { credentialCache, origin: modeOrigin, otherMode: shownMode(gitConfig, env) }
  // A socket alone says that the agent is meant; so "off" counts only where somebody has said it.
  if (modeOrigin === undefined || (mode === "off" && isEmpty(gitConfig, env))) return { credentialCache, origin }
  if (mode === "agent") return { credentialCache: credentialCache ?? "auto", origin: origin ?? modeOrigin }
  return { credentialCache: undefined, origin: modeOrigin, otherMode: mode }
}

/** The mode that is set; undefined when it is none that there is. */
function modeOf(
  gitConfig: readonly GitConfigEntry[],
  env: NodeJS.ProcessEnv,
): Config["credentialCacheMode"] | undefined {
  try {
    return valuesOf(gitConfig, MODE_KEY, env, MODE_VARIABLE).credentialCacheMode
  } catch (error) {
    if (isGitsignError(error) && error.code === "ERR_CONFIG") return undefined
    throw error
  }
}

const modeText = (gitConfig: readonly GitConfigEntry[], env: NodeJS.ProcessEnv): string | undefined =>
  env[MODE_VARIABLE] ?? gitConfig.findLast(({ key }) => key === MODE_KEY)?.value

/** Whether the mode is set to nothing, which is the same as not set. */
const isEmpty = (gitConfig: readonly GitConfigEntry[], env: NodeJS.ProcessEnv): boolean =>
  modeText(gitConfig, env) === ""

const shownMode = (gitConfig: readonly GitConfigEntry[], env: NodeJS.ProcessEnv): string =>
  JSON.stringify(modeText(gitConfig, env) ?? "")

/** The settings as if only this one were set. A log without a value is none. */
function valuesOf(
  gitConfig: readonly GitConfigEntry[],
  key: string,
  { HOME, USERPROFILE, ...env }: NodeJS.ProcessEnv,
  variable: string,
): Config {
  const entries = gitConfig.filter((entry) => entry.key === key && (key !== LOG_KEY || entry.value !== undefined))
  return resolveConfig({ gitConfig: entries, env: { HOME, USERPROFILE, [variable]: env[variable] } })
}

const originOf = (gitConfig: readonly GitConfigEntry[], name: string): string | undefined =>
  gitConfig.findLast(({ key }) => key === name)?.origin

/** git's configuration of the system and the person, without that of the repository one happens to be in. */
export function personalGitConfig(io: CommandIo): Promise<GitConfigEntry[]> {
  // A home directory that is a repository is still none here.
  const env = { ...io.env, GIT_DIR: "/dev/null" }
  return readGitConfig({ cwd: homeDirectory(io.env) ?? "/", env })
}

/**
 * The socket that a verb means: the one it is given, the one that gitsign.credentialCache names, or the usual one.
 *
 * @throws ERR_AGENT_SOCKET when the usual one has too long a path
 */
export function socketOf(
  io: CommandIo,
  settings: Pick<AgentSettings, "credentialCache">,
  { socket }: SocketOptions,
): string {
  if (socket !== undefined) return resolve(io.cwd, socket)
  return agentAddressOf(settings, io)?.path ?? defaultSocketPath(io.env)
}

/** What keeps commits from using an agent. */
export interface Obstacle {
  /** What says otherwise; undefined when nothing does, or the command changes just that. */
  readonly because: string | undefined
  /** The command that has them use it. */
  readonly command: string
}

/** Why commits here do not use the agent on a socket; undefined where they do. */
export async function obstacleTo(
  socket: string,
  settings: AgentSettings,
  io: CommandIo,
): Promise<Obstacle | undefined> {
  const { credentialCache, origin, otherMode } = settings
  if (otherMode !== undefined) {
    const command =
      origin === MODE_VARIABLE
        ? `export ${MODE_VARIABLE}=agent`
        : `git config${originOf(await personalGitConfig(io), MODE_KEY) === origin ? " --global" : ""} gitsign.credentialCacheMode agent`
    return { because: `gitsign.credentialCacheMode is ${otherMode} by ${origin}`, command }
  }
  if (credentialCache !== undefined && socketOf(io, settings, {}) === socket) return undefined
  const value = socket === usualSocket(io) ? "auto" : shellQuote(socket)
  if (origin === undefined)
    return { because: undefined, command: `git config --global gitsign.credentialCache ${value}` }
  const command = await commandAgainst(origin, socket, value, io)
  if (credentialCache === undefined) return { because: `it is off by ${origin}`, command }
  // The command changes the setting itself.
  const isPersonal = command.startsWith("git config --global")
  return { because: isPersonal ? undefined : `${origin} names another socket`, command }
}

async function commandAgainst(origin: string, socket: string, value: string, io: CommandIo): Promise<string> {
  if (origin === VARIABLE) {
    const { [VARIABLE]: _, ...env } = io.env
    const beneath = settingsOf(await readGitConfig(io), env)
    const isEnough = beneath.credentialCache !== undefined && socketOf(io, beneath, {}) === socket
    return isEnough ? `unset ${VARIABLE}` : `export ${VARIABLE}=${value}`
  }
  // The environment counts more than `git -c`.
  if (origin.startsWith("command line")) return `export ${VARIABLE}=${value}`
  const isPersonal = originOf(await personalGitConfig(io), KEY) === origin
  return `git config${isPersonal ? " --global" : ""} gitsign.credentialCache ${value}`
}

function usualSocket(io: CommandIo): string | undefined {
  try {
    return defaultSocketPath(io.env)
  } catch {
    return undefined
  }
}

/** The hint that tells how commits come to use the agent on a socket; undefined where they do. */
export async function useHint(
  socket: string,
  settings: AgentSettings,
  io: CommandIo,
  what = "to have commits use it",
): Promise<string | undefined> {
  const obstacle = await obstacleTo(socket, settings, io)
  if (obstacle === undefined) return undefined
  const { because, command } = obstacle
  return `hint: ${because === undefined ? "" : `${because}; `}${what}: ${command}`
}
