/**
 * `gitsign agent install` and `uninstall`: the files that have systemd or launchd start the agent.
 *
 * Only files that carry the mark of this program are ever changed or removed.
 *
 * @module
 */

import { lstatSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs"
import { isAbsolute, join, resolve } from "node:path"
import { currentProgram, RUNTIME_SETTINGS } from "../../cache-daemon/spawn.ts"
import { GitsignError, reasonOf } from "../errors.ts"
import { askAgent } from "./agent-request.ts"
import { type AgentSettings, agentSettings, type SocketOptions, useHint } from "./agent-settings.ts"
import { extraSocketOf, fullSocketOf } from "./agent-start.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { MARKER, type ServiceDescription, type ServiceFile } from "./service-files.ts"
import { commandLine, launchd, runCommand, type ServiceManager, systemd } from "./service-manager.ts"
import { thisProgram } from "./this-program.ts"

/** The flags of `install`. */
export interface InstallOptions extends SocketOptions {
  /** `true` is the usual path beside the other socket. */
  readonly extraSocket?: string | true
  readonly enable: boolean
}

/**
 * Writes the files and has them used; what is in place already stays as it is.
 *
 * @throws ERR_IO when a file is somebody else's or cannot be written; ERR_AGENT when the service manager cannot be asked, with what is
 *   to be run once it can, and when an agent listens already that is not the installed one
 */
export async function installAgent(io: CommandIo, messages: Messages, options: InstallOptions): Promise<void> {
  const settings = await agentSettings(io, messages)
  const manager = managerOf(io)
  const unreachable = await manager.unreachable()
  if (options.enable && unreachable === "missing") {
    throw new GitsignError("ERR_AGENT", `there is no ${manager.name} on this system`, {
      hint: "have your session start the agent with: gitsign agent start",
    })
  }
  const place = placeOf(io, settings, options)
  const { socket } = place
  const files = await manager.files(descriptionOf(io, place, options), socket)
  for (const name of manager.names) refuseForeign(join(manager.directory, name))
  const enable = options.enable && unreachable === undefined
  if (enable && !(await manager.isActive())) await refuseRunning(socket, options)

  const changed = files.filter((file) => write(io, manager, file))
  const stale = manager.names.filter((name) => !files.some((file) => file.name === name) && isOurs(manager, name))
  if (enable && (changed.length > 0 || stale.length > 0)) {
    for (const words of manager.stopping()) await runCommand(io, words)
  }
  await remove(io, manager, stale, enable)
  const commands = manager.enabling(files.map(({ name }) => name))
  if (!options.enable) {
    io.stdout("not enabled; to do so:\n")
    for (const words of commands) io.stdout(`  ${commandLine(words)}\n`)
  } else if (unreachable === undefined) {
    for (const words of commands) await expectSuccess(io, words)
    io.stdout(`enabled: ${manager.effect}\n`)
  }
  if (place.extraSocket !== undefined) io.stdout(`restricted, for forwarding: ${place.extraSocket}\n`)
  const hint = await useHint(socket, settings, io)
  if (hint !== undefined) messages.say(hint)
  if (options.enable && unreachable !== undefined) {
    throw new GitsignError("ERR_AGENT", `the files are written, but ${manager.name} cannot be asked: ${unreachable}`, {
      hint: `in a session of your own, run: ${commands.map(commandLine).join(" && ")}`,
    })
  }
}

/** Takes away what {@link installAgent} has written, and says what that was. */
export async function uninstallAgent(io: CommandIo): Promise<void> {
  const manager = managerOf(io)
  const ours = manager.names.filter((name) => isOurs(manager, name))
  const reachable = ours.length > 0 && (await manager.unreachable()) === undefined
  await remove(io, manager, ours, reachable)
  for (const name of manager.names) {
    const path = join(manager.directory, name)
    if (contentOf(path) !== undefined) io.stdout(`${path} was not written by gitsign agent install and stays\n`)
  }
  if (ours.length === 0) io.stdout("nothing was installed\n")
  else if (!reachable) io.stdout("an agent that still runs can be ended with: gitsign agent stop\n")
}

function managerOf(io: CommandIo): ServiceManager {
  if (process.platform === "linux") return systemd(io)
  if (process.platform === "darwin") return launchd(io)
  throw new GitsignError("ERR_USAGE", "install knows systemd on Linux and launchd on macOS", {
    hint: "have your session start the agent with: gitsign agent start",
  })
}

/** What the agent reads of its environment; a service does not get that of the shell it was installed from. */
const INHERITED = ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] as const
const INHERITED_FILES = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] as const

/** Where the sockets will be. */
interface Place {
  readonly socket: string
  readonly extraSocket: string | undefined
  /** Whether the socket has the usual path, which depends on the session; what the session's own systemd calls it does not. */
  readonly usual: boolean
}

function placeOf(io: CommandIo, settings: AgentSettings, options: InstallOptions): Place {
  const usual = options.socket === undefined && (settings.credentialCache ?? "auto") === "auto"
  const named = fullSocketOf(io, settings, options)
  // Without the session's directory, as after `su`, the usual path is another one than that of systemd.
  const isElsewhere = usual && process.platform === "linux" && !named.startsWith(`${io.env.XDG_RUNTIME_DIR}/`)
  const socket = isElsewhere ? `/run/user/${process.getuid?.()}/gitsign/agent.sock` : named
  return { socket, extraSocket: extraSocketOf(io, socket, options), usual }
}

function descriptionOf(
  io: CommandIo,
  { socket, extraSocket, usual }: Place,
  options: InstallOptions,
): ServiceDescription {
  const { command, args } = thisProgram()
  return {
    program: [currentProgram(command), ...args].map((word) => (isAbsolute(word) ? word : resolve(io.cwd, word))),
    socket: usual ? undefined : socket,
    extraSocket: usual && options.extraSocket === true ? true : extraSocket,
    environment: Object.fromEntries([
      ...INHERITED.flatMap((name) => (io.env[name] ? [[name, io.env[name]]] : [])),
      ...INHERITED_FILES.flatMap((name) => (io.env[name] ? [[name, resolve(io.cwd, io.env[name])]] : [])),
      ...Object.entries(RUNTIME_SETTINGS),
    ]),
  }
}

/**
 * A service manager takes a socket's path away from whoever listens there; a live agent is not displaced.
 *
 * @throws ERR_AGENT when one is there
 */
async function refuseRunning(socket: string, options: InstallOptions): Promise<void> {
  const running = await askAgent(socket, { type: "status" }, "status")
  if (running === undefined) return
  const own = options.socket === undefined ? [] : ["--socket", socket]
  const extra = options.extraSocket === undefined ? [] : ["--extra-socket"]
  const path = typeof options.extraSocket === "string" ? [options.extraSocket] : []
  const again = ["gitsign", "agent", "install", ...own, ...extra, ...path]
  throw new GitsignError("ERR_AGENT", `an agent listens at ${socket} already (process ${running.pid})`, {
    hint: `end it and install again: ${commandLine(["gitsign", "agent", "stop", ...own])} && ${commandLine(again)}`,
  })
}

/** The text of a file; undefined when there is none, "" for what is no plain file. */
function contentOf(path: string): string | undefined {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) return undefined
    return found.isFile() ? readFileSync(path, "utf8") : ""
  } catch (cause) {
    throw new GitsignError("ERR_IO", `cannot read ${path}: ${reasonOf(cause)}`, { cause })
  }
}

const isOurs = ({ directory }: ServiceManager, name: string): boolean =>
  contentOf(join(directory, name))?.includes(MARKER) ?? false

function refuseForeign(path: string): void {
  const content = contentOf(path)
  if (content === undefined || content.includes(MARKER)) return
  throw new GitsignError("ERR_IO", `${path} was not written by gitsign agent install; nothing was changed`, {
    hint: `if you do not need it: rm ${commandLine([path])}`,
  })
}

/** Writes a file when it is not there in this form; returns whether it did. A proxy's address may hold a password: mode 0600. */
function write(io: CommandIo, { directory }: ServiceManager, { name, text }: ServiceFile): boolean {
  const path = join(directory, name)
  if (contentOf(path) === text) {
    io.stdout(`${path} is up to date\n`)
    return false
  }
  const temporary = `${path}.${process.pid}.tmp`
  try {
    mkdirSync(directory, { recursive: true })
    writeFileSync(temporary, text, { mode: 0o600, flag: "wx" })
    renameSync(temporary, path)
  } catch (cause) {
    throw new GitsignError("ERR_IO", `cannot write ${path}: ${reasonOf(cause)}`, { cause })
  }
  io.stdout(`wrote ${path}\n`)
  return true
}

async function remove(
  io: CommandIo,
  manager: ServiceManager,
  names: readonly string[],
  reachable: boolean,
): Promise<void> {
  if (names.length === 0) return
  if (reachable) for (const words of manager.disabling(names)) await runCommand(io, words)
  for (const name of names) {
    manager.forget(name)
    const path = join(manager.directory, name)
    try {
      unlinkSync(path)
    } catch (cause) {
      throw new GitsignError("ERR_IO", `cannot remove ${path}: ${reasonOf(cause)}`, { cause })
    }
    io.stdout(`removed ${path}\n`)
  }
  if (reachable) for (const words of manager.afterwards) await runCommand(io, words)
}

async function expectSuccess(io: CommandIo, words: readonly string[]): Promise<void> {
  const { status, said } = await runCommand(io, words)
  if (status === 0) return
  throw new GitsignError("ERR_AGENT", `the files are written, but this failed: ${commandLine(words)}: ${said}`, {
    hint: "when that is mended, run the same again",
  })
}
