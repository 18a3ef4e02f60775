/**
 * `gitsign agent start`: the agent in this process, or as one of its own.
 *
 * @module
 */

import { mkdirSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { ReplyOf } from "../../cache-daemon/protocol.ts"
import { extraSocketPath } from "../../cache-daemon/socket-path.ts"
import { failureLine, isAwaited, startAgent } from "../../cache-daemon/spawn.ts"
import { type Config, resolveConfig } from "../config.ts"
import { ERROR_CODES, GitsignError, isGitsignError, reasonOf } from "../errors.ts"
import { shellQuote } from "../formats/printable.ts"
import { PROGRAM } from "./agent-client.ts"
import { askAgent, restrictedSocketOf } from "./agent-request.ts"
import { agentSettings, personalGitConfig, type SocketOptions, socketOf, useHint } from "./agent-settings.ts"
import { type CommandIo, tellStarter } from "./io.ts"
import type { Messages } from "./messages.ts"
import { httpClientOf } from "./network.ts"
import { commandLine, isInstalled } from "./service-manager.ts"
import { thisProgram } from "./this-program.ts"

/** The flags of `start`. */
export interface StartOptions extends SocketOptions {
  /** `true` is the usual path beside the other socket. */
  readonly extraSocket?: string | true
  readonly foreground?: boolean
  readonly systemdSocketActivation?: boolean
  readonly leaveWhenIdle?: boolean
  readonly log?: string
}

/**
 * Runs the agent, in this process until it ends or in one of its own, and returns the exit status.
 *
 * @throws ERR_AGENT, ERR_AGENT_SOCKET when it cannot be started, or one that runs already is not what was asked for; ERR_USAGE for
 *   sockets that cannot be one and the same
 */
export async function startAgentCommand(io: CommandIo, messages: Messages, options: StartOptions): Promise<number> {
  const settings = await agentSettings(io, messages)
  const socket = fullSocketOf(io, settings, options)
  const extraSocket = extraSocketOf(io, socket, options)
  if (options.log !== undefined) openLog(io, messages, options.log)
  if (options.foreground || options.systemdSocketActivation) {
    return serveAgent(io, messages, {
      socket,
      extraSocket,
      activation: options.systemdSocketActivation ?? false,
      leaveWhenIdle: options.leaveWhenIdle ?? false,
      listening: () => tellStarter("ok\n"),
    })
  }
  const running = await askAgent(socket, { type: "status" }, "status")
  if (running !== undefined) await refuseOther(io, { socket, extraSocket, running, options })
  else {
    const { command, args } = thisProgram()
    const flags = ["agent", "start", "--foreground", "--socket", socket]
    if (extraSocket !== undefined) flags.push("--extra-socket", extraSocket)
    if (options.leaveWhenIdle) flags.push("--leave-when-idle")
    if (options.log !== undefined) flags.push("--log", resolve(io.cwd, options.log))
    await startAgent({ command, args: [...args, ...flags], socket, env: io.env })
  }
  io.stdout(`the agent ${running === undefined ? "listens" : "listens already"} at ${socket}\n`)
  const restricted = extraSocket ?? (running && (await restrictedSocketOf(socket, running)))
  if (restricted !== undefined) io.stdout(`restricted, for forwarding: ${restricted}\n`)
  const hint = await useHint(socket, settings, io)
  if (hint !== undefined) messages.say(hint)
  return 0
}

/**
 * The socket for an agent that does everything.
 *
 * @throws ERR_USAGE when it is one that is there to be forwarded
 */
export function fullSocketOf(io: CommandIo, settings: Parameters<typeof socketOf>[1], options: SocketOptions): string {
  const socket = socketOf(io, settings, options)
  if (!/\.extra(\.sock)?$/.test(socket)) return socket
  const what = options.socket === undefined ? "gitsign.credentialCache names" : "this is"
  throw new GitsignError("ERR_USAGE", `${what} a restricted socket, for forwarding: ${socket}`, {
    hint: `name the agent's own: --socket ${shellQuote(socket.replace(/\.extra(\.sock)?$/, "$1"))}`,
  })
}

/**
 * The restricted socket that is asked for; undefined when none is.
 *
 * @throws ERR_USAGE when it is the other one
 */
export function extraSocketOf(
  io: CommandIo,
  socket: string,
  { extraSocket }: Pick<StartOptions, "extraSocket">,
): string | undefined {
  if (extraSocket === undefined) return undefined
  const path = extraSocket === true ? extraSocketPath(socket) : resolve(io.cwd, extraSocket)
  if (path !== socket) return path
  throw new GitsignError("ERR_USAGE", `the restricted socket must be another one than ${socket}`, {
    hint: "leave its path out: --extra-socket",
  })
}

/** Opens the log before the agent needs it: nobody would read there why it has none. */
function openLog(io: CommandIo, messages: Messages, log: string): void {
  const directory = dirname(resolve(io.cwd, log))
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new GitsignError("ERR_IO", `the directory of the log cannot be made: ${reasonOf(cause)}: ${directory}`, {
      cause,
      hint: "name a file in a directory of your own",
    })
  }
  messages.useLog(log)
}

/**
 * An agent that runs keeps the sockets and the log that it was started with.
 *
 * @throws ERR_AGENT when others are asked for
 */
async function refuseOther(
  io: CommandIo,
  asked: { socket: string; extraSocket: string | undefined; running: ReplyOf<"status">; options: StartOptions },
): Promise<void> {
  const { socket, extraSocket, running, options } = asked
  const lacksExtra = extraSocket !== undefined && (await restrictedSocketOf(socket, running, extraSocket)) === undefined
  if (!lacksExtra && options.log === undefined) return
  const own = options.socket === undefined ? [] : ["--socket", socket]
  const extra = options.extraSocket === undefined ? [] : ["--extra-socket"]
  const path = typeof options.extraSocket === "string" ? [options.extraSocket] : []
  const log = options.log === undefined ? [] : ["--log", options.log]
  const again = [
    ["gitsign", "agent", "stop", ...own],
    ["gitsign", "agent", "start", ...own, ...extra, ...path, ...log],
  ]
  const what = lacksExtra ? "the running agent has no restricted socket" : "the running agent keeps the log it has"
  const where = typeof options.extraSocket === "string" && lacksExtra ? ` at ${extraSocket}` : ""
  // A service manager would start the next one as it was, before anybody else could.
  const isService = lacksExtra && (await isInstalled(io))
  const install = ["gitsign", "agent", "install", ...own, ...extra, ...path]
  throw new GitsignError("ERR_AGENT", `${what}${where}`, {
    hint: isService ? `${commandLine(again[0] ?? [])} && ${commandLine(install)}` : again.map(commandLine).join(" && "),
  })
}

/** How {@link serveAgent} runs. */
export interface ServeOptions {
  readonly socket: string
  readonly extraSocket: string | undefined
  readonly activation: boolean
  readonly leaveWhenIdle: boolean
  /** Called when it listens. */
  readonly listening: () => void
}

/**
 * Runs the agent in this process until it is stopped, and returns the exit status.
 *
 * @throws ERR_CONFIG, ERR_AGENT, ERR_AGENT_SOCKET when it cannot serve; a gitsign that has started it is told in one line on stdout
 */
export async function serveAgent(io: CommandIo, messages: Messages, options: ServeOptions): Promise<number> {
  let listening = false
  try {
    const { runAgent } = await import("../../cache-daemon/process.ts")
    const { agentConfirm, agentMaxSignatures, agentLifetime } = await ownSettings(io)
    return await runAgent({
      socket: options.socket,
      extraSocket: options.extraSocket,
      activation: options.activation,
      leaveWhenIdle: options.leaveWhenIdle,
      ready: () => {
        listening = true
        options.listening()
      },
      env: io.env,
      program: PROGRAM,
      http: httpClientOf(io.env),
      settings: { confirm: agentConfirm, maxSignatures: agentMaxSignatures, lifetime: agentLifetime },
      log: (line) => messages.write(`${new Date().toISOString()} gitsign: ${line}\n`),
    })
  } catch (error) {
    if (!listening && isAwaited(io.env)) tellStarter(failureLine(asFailure(error)))
    throw error
  }
}

const asFailure = (error: unknown): GitsignError =>
  isGitsignError(error)
    ? error
    : new GitsignError("ERR_BUG", "this should not have happened", {
        hint: `${ERROR_CODES.ERR_BUG.hint}; see it with: gitsign agent start --foreground`,
      })

/**
 * The agent's own settings: those of the system and the person. It serves every repository, and none of them may loosen what it
 * asks for.
 */
const ownSettings = async (io: CommandIo): Promise<Config> =>
  resolveConfig({ gitConfig: await personalGitConfig(io), env: io.env })
