/**
 * The two programs that can start the agent for a person, systemd (systemctl(1)) and launchd (launchctl(1)), as
 * `gitsign agent install` uses them.
 *
 * @module
 */

import { spawn } from "node:child_process"
import { lstatSync, readlinkSync, unlinkSync } from "node:fs"
import { userInfo } from "node:os"
import { basename, isAbsolute, join } from "node:path"
import { GitsignError } from "../errors.ts"
import { shellQuote } from "../formats/printable.ts"
import { homeDirectory } from "../services/home-directory.ts"
import type { CommandIo } from "./io.ts"
import {
  EXTRA_SOCKET_UNIT,
  LAUNCHD_LABEL,
  launchdPlist,
  SERVICE_UNIT,
  type ServiceDescription,
  type ServiceFile,
  SOCKET_UNIT,
  systemdUnits,
} from "./service-files.ts"

/** What starts the agent, and how it is told. */
export interface ServiceManager {
  readonly name: string
  /** Where its files are. */
  readonly directory: string
  /** The names of all files that an installation can have. */
  readonly names: readonly string[]
  /** Whether the socket is its own already, so that an agent behind it is the installed one. */
  isActive(): Promise<boolean>
  /** Why it cannot be asked now; undefined when it can. `missing` when the system has none. */
  unreachable(): Promise<string | undefined>
  /** The files to write; `socket` is where the agent listens when the description names no other. */
  files(description: ServiceDescription, socket: string): Promise<ServiceFile[]>
  /** What has to be run to have it use the files, in words of a shell. */
  enabling(names: readonly string[]): readonly string[][]
  /** What has to be run before changed files are used. */
  stopping(): readonly string[][]
  /** What has to be run before the files are removed. */
  disabling(names: readonly string[]): readonly string[][]
  /** Removes what an enabling has left beside a file that is about to go. */
  forget(name: string): void
  /** What has to be run after the files are removed. */
  readonly afterwards: readonly string[][]
  /** What an enabled installation does, as half a sentence. */
  readonly effect: string
}

/** A command may take this long, in milliseconds. */
const COMMAND_MS = 30_000

/** Runs a command and returns what it said on stderr and stdout; `status` is undefined when there is no such program. */
export function runCommand(
  io: CommandIo,
  words: readonly string[],
): Promise<{ status: number | undefined; said: string }> {
  const [program = "", ...args] = words
  return new Promise((done) => {
    const child = spawn(program, args, {
      cwd: "/",
      env: { ...io.env, LC_ALL: "C" },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: COMMAND_MS,
    })
    let said = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        if (said.length < 4096) said += text
      })
    }
    child.on("error", () => done({ status: undefined, said: "" }))
    child.on("close", (status) => done({ status: status ?? 1, said: said.trim() }))
  })
}

/** A command as a person can paste it. */
export const commandLine = (words: readonly string[]): string => words.map(shellQuote).join(" ")

function homeOf({ env }: CommandIo): string {
  const home = env.HOME || homeDirectory(env)
  if (home !== undefined) return home
  throw new GitsignError("ERR_CONFIG", "there is no home directory to install a service in", { hint: "set HOME" })
}

const SYSTEMCTL = ["systemctl", "--user"] as const

/** systemd's manager of this person's services. */
export function systemd(io: CommandIo): ServiceManager {
  const { XDG_CONFIG_HOME } = io.env
  const configuration = XDG_CONFIG_HOME && isAbsolute(XDG_CONFIG_HOME) ? XDG_CONFIG_HOME : join(homeOf(io), ".config")
  const directory = join(configuration, "systemd", "user")
  const unreachable = async (): Promise<string | undefined> => {
    const { status, said } = await runCommand(io, [...SYSTEMCTL, "show", "--property=Version"])
    if (status === undefined) return "missing"
    return status === 0 ? undefined : said || `systemctl ended with ${status}`
  }
  const sockets = (names: readonly string[]): string[] => names.filter((name) => name.endsWith(".socket"))
  return {
    name: "systemd",
    directory,
    names: [SOCKET_UNIT, EXTRA_SOCKET_UNIT, SERVICE_UNIT],
    unreachable,
    isActive: async () => (await runCommand(io, [...SYSTEMCTL, "is-active", "--quiet", SOCKET_UNIT])).status === 0,
    files: async (description) =>
      systemdUnits({ ...description, ownFileSystem: (await unreachable()) !== undefined || (await canMount(io)) }),
    stopping: () => [[...SYSTEMCTL, "stop", SOCKET_UNIT, EXTRA_SOCKET_UNIT, SERVICE_UNIT]],
    enabling: (names) => [
      [...SYSTEMCTL, "daemon-reload"],
      [...SYSTEMCTL, "enable", "--now", ...sockets(names)],
    ],
    disabling: (names) => [[...SYSTEMCTL, "disable", "--now", ...names]],
    forget: (name) => removeLink(join(directory, "sockets.target.wants", name), join(directory, name)),
    afterwards: [[...SYSTEMCTL, "daemon-reload"]],
    effect: "systemd listens and starts the agent when it is needed",
  }
}

/**
 * Whether a service of a person can have a file system view of its own: that takes user namespaces, which some systems forbid, and
 * a unit that asks for it there does not start at all.
 */
async function canMount(io: CommandIo): Promise<boolean> {
  const properties = ["ProtectSystem=strict", "ProtectHome=read-only"].flatMap((one) => ["-p", one])
  const probe = ["systemd-run", "--user", "--wait", "--quiet", "--collect", ...properties, "true"]
  return (await runCommand(io, probe)).status === 0
}

/** Removes a symbolic link that leads to `target`, however it spells it. */
function removeLink(link: string, target: string): void {
  try {
    if (lstatSync(link).isSymbolicLink() && basename(readlinkSync(link)) === basename(target)) unlinkSync(link)
  } catch {
    // There is none.
  }
}

/** macOS's launchd, for the graphical session of this person. */
export function launchd(io: CommandIo): ServiceManager {
  const library = join(homeOf(io), "Library")
  const directory = join(library, "LaunchAgents")
  const domain = `gui/${userInfo().uid}`
  const bootOut = ["launchctl", "bootout", `${domain}/${LAUNCHD_LABEL}`]
  return {
    name: "launchd",
    directory,
    names: [`${LAUNCHD_LABEL}.plist`],
    isActive: async () => (await runCommand(io, ["launchctl", "print", `${domain}/${LAUNCHD_LABEL}`])).status === 0,
    unreachable: async () => {
      const { status, said } = await runCommand(io, ["launchctl", "print", domain])
      if (status === undefined) return "missing"
      return status === 0 ? undefined : said.split("\n")[0] || `launchctl ended with ${status}`
    },
    files: async (description, socket) => [
      launchdPlist({ ...description, socket }, join(library, "Logs", "gitsign-agent.log")),
    ],
    stopping: () => [bootOut],
    enabling: (names) => names.map((name) => ["launchctl", "bootstrap", domain, join(directory, name)]),
    disabling: () => [bootOut],
    forget: () => undefined,
    afterwards: [],
    effect: "launchd starts the agent now and at each login",
  }
}

/** Whether a service manager starts the agent on this system already. */
export async function isInstalled(io: CommandIo): Promise<boolean> {
  if (process.platform === "linux") return systemd(io).isActive()
  return process.platform === "darwin" && launchd(io).isActive()
}
