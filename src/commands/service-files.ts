/**
 * The text of the files that have the system start the agent: systemd user units (systemd.unit(5), systemd.socket(5),
 * systemd.exec(5)) and a launchd property list (launchd.plist(5)).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"

/** In every file that `gitsign agent install` writes, and in none that it may touch otherwise. */
export const MARKER = "Written by gitsign agent install; gitsign agent uninstall takes it away."

/** What the files are made from. */
export interface ServiceDescription {
  /** The program and what it needs before its own arguments: absolute paths. */
  readonly program: readonly string[]
  /** The absolute path of the socket; undefined for the usual one, below what systemd calls `%t`. */
  readonly socket: string | undefined
  /** The restricted socket for forwarding: an absolute path, `true` for the usual one beside the other, or undefined for none. */
  readonly extraSocket: string | true | undefined
  /** What the agent needs of the environment it is installed from: proxies and authorities. */
  readonly environment: Readonly<Record<string, string>>
}

/** What systemd is asked for beyond it. */
export interface UnitDescription extends ServiceDescription {
  /** Whether the service gets a read-only view of the file system, which takes user namespaces. */
  readonly ownFileSystem: boolean
}

/** A file to be written, by its name. */
export interface ServiceFile {
  readonly name: string
  readonly text: string
}

/** The unit that listens, and the one that listens on the restricted socket. */
export const SOCKET_UNIT = "gitsign-agent.socket"
export const EXTRA_SOCKET_UNIT = "gitsign-agent-extra.socket"
/** The unit that both of them start. */
export const SERVICE_UNIT = "gitsign-agent.service"

/** The name of the launchd agent. */
export const LAUNCHD_LABEL = "gitsign-agent"

/**
 * Systemd user units: sockets that systemd makes and watches, and the service behind them.
 *
 * @throws ERR_USAGE for a path that a unit cannot hold
 */
export function systemdUnits(description: UnitDescription): ServiceFile[] {
  const { socket, extraSocket } = description
  const listener = { name: SOCKET_UNIT, text: socketUnit("gitsign signing agent", "agent", socket ?? "agent.sock") }
  if (extraSocket === undefined) return [listener, serviceUnit(description, [SOCKET_UNIT])]
  const path = extraSocket === true ? "agent.extra.sock" : extraSocket
  return [
    listener,
    { name: EXTRA_SOCKET_UNIT, text: socketUnit("gitsign signing agent, restricted, for forwarding", "extra", path) },
    serviceUnit(description, [SOCKET_UNIT, EXTRA_SOCKET_UNIT]),
  ]
}

const socketUnit = (about: string, name: string, path: string): string => `# ${MARKER}
[Unit]
Description=Socket of the ${about}

[Socket]
ListenStream=${path.startsWith("/") ? unitPath(path) : `%t/gitsign/${path}`}
FileDescriptorName=${name}
Service=${SERVICE_UNIT}
DirectoryMode=0700
SocketMode=0600
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`

const serviceUnit = (
  { program, environment, ownFileSystem }: UnitDescription,
  sockets: readonly string[],
): ServiceFile => ({
  name: SERVICE_UNIT,
  text: `# ${MARKER}
[Unit]
Description=gitsign signing agent

[Service]
Sockets=${sockets.join(" ")}
ExecStart=${[...program, ...AGENT_ARGUMENTS].map(execWord).join(" ")}
${Object.entries(environment)
  .map(([name, value]) => `Environment=${unitWord(`${name}=${value}`)}\n`)
  .join("")}\
# No core dump, no swap: keys are in memory and nowhere else.
LimitCORE=0
MemorySwapMax=0
UMask=0177
NoNewPrivileges=yes
${ownFileSystem ? "ProtectSystem=strict\nProtectHome=read-only\n" : ""}\
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
# Not set: MemoryDenyWriteExecute, which no runtime with a compiler survives; PrivateTmp, which hides the display from the
# question of gitsign.agentConfirm.
`,
})

/** It may leave when it is idle: systemd keeps the sockets and starts it again. */
const AGENT_ARGUMENTS = ["agent", "start", "--foreground", "--systemd-socket-activation", "--leave-when-idle"]

/** A path as the whole value of a setting: nothing is quoted there, `%` begins a specifier. */
const unitPath = (path: string): string => {
  // Blanks at the end are cut off, a backslash there joins the next line.
  if (/[\p{Cc}]|[\s\\]$/u.test(path)) throw notInUnit(path)
  return path.replaceAll("%", "%%")
}

/** One word of several, in quotes where it needs them. */
const unitWord = (word: string): string => {
  if (/[\p{Cc}]/u.test(word)) throw notInUnit(word)
  const escaped = word.replaceAll("%", "%%")
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `"${escaped.replace(/["\\]/g, "\\$&")}"`
}

/** The same on a command line, where `$` begins a variable; not so in the path of the program. */
const execWord = (word: string, index: number): string => {
  // systemd refuses quotes and backslashes in the path of a program, however they are written.
  if (index === 0 && !/^\/[^"'\\]*$/.test(word)) throw notInUnit(word)
  return unitWord(index === 0 ? word : word.replaceAll("$", "$$$$"))
}

const notInUnit = (text: string): GitsignError =>
  new GitsignError("ERR_USAGE", `a systemd unit cannot hold ${JSON.stringify(text)}`, {
    hint: "give another path",
  })

/**
 * A launchd agent that runs from login on: launchd gives sockets only to programs that ask its C library for them, so this one
 * makes its own.
 *
 * @param log where its messages go
 * @throws ERR_USAGE for text that XML cannot hold
 */
export function launchdPlist(description: ServiceDescription & { socket: string }, log: string): ServiceFile {
  const { program, socket, extraSocket, environment } = description
  const extra = extraSocket === undefined ? [] : ["--extra-socket", ...(extraSocket === true ? [] : [extraSocket])]
  const args = [...program, "agent", "start", "--foreground", "--socket", socket, ...extra]
  const variables = Object.entries(environment).map(([name, value]) => `    ${key(name)}\n    ${string(value)}\n`)
  return {
    name: `${LAUNCHD_LABEL}.plist`,
    text: `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ${MARKER} -->
<plist version="1.0">
<dict>
  ${key("Label")}
  ${string(LAUNCHD_LABEL)}
  ${key("ProgramArguments")}
  <array>
${args.map((arg) => `    ${string(arg)}\n`).join("")}  </array>
${variables.length === 0 ? "" : `  ${key("EnvironmentVariables")}\n  <dict>\n${variables.join("")}  </dict>\n`}\
  ${key("RunAtLoad")}
  <true/>
  ${key("KeepAlive")}
  <dict>
    ${key("SuccessfulExit")}
    <false/>
  </dict>
  ${key("HardResourceLimits")}
  <dict>
    ${key("Core")}
    <integer>0</integer>
  </dict>
  ${key("SoftResourceLimits")}
  <dict>
    ${key("Core")}
    <integer>0</integer>
  </dict>
  ${key("StandardErrorPath")}
  ${string(log)}
</dict>
</plist>
`,
  }
}

const key = (name: string): string => `<key>${xmlText(name)}</key>`
const string = (text: string): string => `<string>${xmlText(text)}</string>`

function xmlText(text: string): string {
  if (/[\p{Cc}\p{Cs}]/u.test(text)) {
    throw new GitsignError("ERR_USAGE", `a property list cannot hold ${JSON.stringify(text)}`, {
      hint: "give another path",
    })
  }
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
}
