/**
 * `gitsign agent start`: the agent in this process, or as one of its own.
 *
 * @module
 */

import { homedir } from "node:os"
import { resolve } from "node:path"
import { isatty } from "node:tty"
import { extraSocketPath } from "../../cache-daemon/socket-path.ts"
import { type Config, resolveConfig } from "../config.ts"
import { messageOf } from "../errors.ts"
import { readGitConfig } from "../git/config.ts"
import { PROGRAM, thisProgram } from "./agent-client.ts"
import { askAgent, type SocketOptions, socketOf, switchOnCommand } from "./agent-request.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { httpClientOf } from "./network.ts"
import { loadConfig } from "./settings.ts"

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
 * @throws ERR_AGENT, ERR_AGENT_SOCKET when it cannot be started
 */
export async function startAgentCommand(io: CommandIo, messages: Messages, options: StartOptions): Promise<number> {
  const config = await loadConfig(io, messages)
  const socket = socketOf(io, config, options)
  const extraSocket = extraSocketOf(io, socket, options)
  if (options.log !== undefined) messages.useLog(options.log)
  if (options.foreground || options.systemdSocketActivation) {
    return serveAgent(io, messages, {
      socket,
      extraSocket,
      activation: options.systemdSocketActivation ?? false,
      leaveWhenIdle: options.leaveWhenIdle ?? false,
      listening: () => io.stdout("ok\n"),
    })
  }
  const running = await askAgent(socket, { type: "status" }, "status")
  if (running === undefined) {
    const { startAgent } = await import("../../cache-daemon/spawn.ts")
    const { command, args } = thisProgram()
    const flags = ["agent", "start", "--foreground", "--socket", socket]
    if (extraSocket !== undefined) flags.push("--extra-socket", extraSocket)
    if (options.leaveWhenIdle) flags.push("--leave-when-idle")
    if (options.log !== undefined) flags.push("--log", resolve(io.cwd, options.log))
    await startAgent({ command, args: [...args, ...flags], socket, env: io.env })
  }
  io.stdout(`the agent ${running === undefined ? "listens" : "listens already"} on ${socket}\n`)
  if (running === undefined && extraSocket !== undefined) io.stdout(`restricted, for forwarding: ${extraSocket}\n`)
  const command = switchOnCommand(config, io, socket)
  if (command !== undefined) messages.say(`hint: to have commits use it: ${command}`)
  return 0
}

function extraSocketOf(io: CommandIo, socket: string, { extraSocket }: StartOptions): string | undefined {
  if (extraSocket === undefined) return undefined
  return extraSocket === true ? extraSocketPath(socket) : resolve(io.cwd, extraSocket)
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
 * @throws ERR_CONFIG, ERR_AGENT, ERR_AGENT_SOCKET when it cannot serve; whoever reads a stdout that is no terminal is told in one line too
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
    if (!listening && !isatty(1)) io.stdout(`${messageOf(error).replaceAll("\n", "; ")}\n`)
    throw error
  }
}

/**
 * The agent's own settings: those of the system and the person. It serves every repository, and none of them may loosen what it
 * asks for.
 */
const ownSettings = async (io: CommandIo): Promise<Config> => {
  // A home directory that is a repository is still none here.
  const env = { ...io.env, GIT_DIR: "/dev/null" }
  return resolveConfig({ gitConfig: await readGitConfig({ cwd: io.env.HOME || homedir(), env }), env })
}
