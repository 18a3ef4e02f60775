/**
 * `gitsign agent status` and `gitsign agent list`: what the agent says of itself and of what it holds.
 *
 * @module
 */

import type { CredentialInfo, ReplyOf } from "../../cache-daemon/protocol.ts"
import { askAgent, type SocketOptions, socketOf, switchOnCommand } from "./agent-request.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { jsonText, printable } from "./printable.ts"
import { loadConfig } from "./settings.ts"

/** The version of the documents; members are only ever added within one. */
const SCHEMA_VERSION = 1

/** What both verbs are given. */
export interface ViewOptions extends SocketOptions {
  readonly format: "text" | "json"
}

/** What the agent is: `none` where none listens. */
type State = ReplyOf<"status">["state"] | "none"

/** The exit statuses of `gitsign agent status --exit-code`. */
const EXIT_STATUS: Readonly<Record<State, number>> = { warm: 0, cold: 1, none: 1, locked: 4 }

/**
 * Prints what the agent is, and returns the exit status: with `exitCode` 0 when it is warm, 1 when it is cold or there is none, 4
 * when it is locked; else 0.
 *
 * @throws as `askAgent`
 */
export async function showStatus(
  io: CommandIo,
  messages: Messages,
  options: ViewOptions & { readonly exitCode?: boolean },
): Promise<number> {
  const config = await loadConfig(io, messages)
  const socket = socketOf(io, config, options)
  const status = await askAgent(socket, { type: "status" }, "status")
  const state = status?.state ?? "none"
  if (options.format === "json") io.stdout(jsonText(statusDocument(socket, status)))
  else {
    io.stdout(statusText(socket, status))
    const command = switchOnCommand(config, io, socket)
    // One that was asked for by its path is none of the settings' business unless it is there.
    const isMeant = status === undefined ? options.socket === undefined : !status.restricted
    if (command !== undefined && isMeant) messages.say(`hint: commits do not use it until: ${command}`)
    if (command === undefined && status === undefined && config.credentialCache === "auto") {
      messages.say("the next signed commit starts it")
    }
  }
  return options.exitCode ? EXIT_STATUS[state] : 0
}

const statusDocument = (socket: string, status: ReplyOf<"status"> | undefined): unknown =>
  status === undefined
    ? { schemaVersion: SCHEMA_VERSION, state: "none", socket }
    : {
        schemaVersion: SCHEMA_VERSION,
        state: status.state,
        socket,
        credentials: status.credentials,
        program: status.program,
        pid: status.pid,
        started: isoTime(status.started),
        restricted: status.restricted,
      }

function statusText(socket: string, status: ReplyOf<"status"> | undefined): string {
  if (status === undefined) return `no agent listens on ${printable(socket)}\n`
  const { state, credentials, program, pid, started, restricted } = status
  const held = state === "warm" ? `, ${counted(credentials, "credential")}` : ""
  return [
    `the agent is ${state}${held}`,
    `socket   ${printable(socket)}${restricted ? ", restricted" : ""}`,
    `program  ${printable(program)}, process ${pid}, since ${isoTime(started).replace("T", " ").replace("Z", " UTC")}`,
    "",
  ].join("\n")
}

/**
 * Prints the credentials of the agent: whom each names, how long it lasts, how often it has signed.
 *
 * @throws as `askAgent`
 */
export async function showList(io: CommandIo, messages: Messages, options: ViewOptions): Promise<void> {
  const socket = socketOf(io, await loadConfig(io, messages), options)
  const status = await askAgent(socket, { type: "status" }, "status")
  const list = status === undefined ? undefined : await askAgent(socket, { type: "list" }, "list")
  const state = list === undefined ? "none" : (status?.state ?? "none")
  const credentials = list?.credentials ?? []
  const now = Date.now() / 1000
  if (options.format === "json") {
    const document = { schemaVersion: SCHEMA_VERSION, state, socket, credentials: credentials.map(credentialDocument) }
    io.stdout(jsonText(document))
  } else if (credentials.length > 0) io.stdout(listText(credentials, now))
  else if (state === "none") messages.say(`no agent listens on ${socket}`)
  else messages.say(state === "locked" ? "the agent is locked and holds nothing" : "the agent holds no credential")
}

const credentialDocument = (credential: CredentialInfo): unknown => ({
  identity: credential.identity,
  issuer: credential.issuer,
  fingerprint: credential.fingerprint,
  fulcio: credential.fulcio,
  rekor: credential.rekor,
  repository: credential.repository || null,
  notAfter: isoTime(credential.notAfter),
  expires: isoTime(credential.expires),
  signatures: credential.signatures,
  unclaimed: credential.unclaimed,
  remaining: credential.remaining || null,
})

function listText(credentials: readonly CredentialInfo[], now: number): string {
  const rows = credentials.map((one) => [
    printable(one.identity || "nobody"),
    printable(one.issuer || "no issuer"),
    `${duration(one.expires - now)} left`,
    [
      counted(one.signatures, "signature"),
      ...(one.remaining > 0 ? [`${one.remaining} more allowed`] : []),
      ...(one.unclaimed > 0 ? [`${one.unclaimed} of them logged and not delivered`] : []),
      ...(one.repository === "" ? [] : [`for ${printable(one.repository)}`]),
    ].join(", "),
  ])
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}\n`).join("")
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/** `7 m 12 s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  return whole >= 60 ? `${Math.floor(whole / 60)} m ${whole % 60} s` : `${whole} s`
}

/** RFC 3339, whole seconds. */
const isoTime = (seconds: number): string => new Date(seconds * 1000).toISOString().replace(".000Z", "Z")
