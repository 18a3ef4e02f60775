/**
 * `gitsign agent status` and `gitsign agent list`: what the agent says of itself and of what it holds.
 *
 * @module
 */

import { dirname } from "node:path"
import type { CredentialInfo, ReplyOf } from "../../cache-daemon/protocol.ts"
import { socketDirectoryProblem } from "../../cache-daemon/socket-directory.ts"
import { jsonText, printable } from "../formats/printable.ts"
import { askAgent, restrictedSocketOf } from "./agent-request.ts"
import { type AgentSettings, agentSettings, type SocketOptions, socketOf, useHint } from "./agent-settings.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"

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
  const settings = await settingsFor(io, messages, options)
  const socket = socketOf(io, settings ?? { credentialCache: undefined }, options)
  const status = await askAgent(socket, { type: "status" }, "status")
  const extraSocket = status === undefined || status.restricted ? undefined : await restrictedSocketOf(socket, status)
  const state = status?.state ?? "none"
  if (options.format === "json") io.stdout(jsonText(statusDocument(socket, status, extraSocket)))
  else {
    io.stdout(statusText(socket, status, extraSocket))
    // One that was asked for by its path is none of the settings' business unless it is there.
    const isMeant = status === undefined ? options.socket === undefined : !status.restricted
    if (isMeant && settings !== undefined)
      await adviseOn(io, messages, { socket, settings, runs: status !== undefined })
  }
  return options.exitCode ? EXIT_STATUS[state] : 0
}

/** The settings; undefined where a socket is named and they cannot be read, as then they are not needed. */
async function settingsFor(
  io: CommandIo,
  messages: Messages,
  { socket }: SocketOptions,
): Promise<AgentSettings | undefined> {
  try {
    return await agentSettings(io, messages)
  } catch (error) {
    if (socket === undefined) throw error
    return undefined
  }
}

/** Says whether commits will use the agent, where that is not plain. */
async function adviseOn(
  io: CommandIo,
  messages: Messages,
  { socket, settings, runs }: { socket: string; settings: AgentSettings; runs: boolean },
): Promise<void> {
  const hint = await useHint(socket, settings, io, "commits do not use it until")
  if (hint !== undefined) messages.say(hint)
  else if (!runs && settings.credentialCache === "auto") {
    const problem = socketDirectoryProblem(dirname(socket))
    messages.say(problem === undefined ? "the next signed commit starts it" : `it cannot start: ${problem.message}`)
    if (problem?.hint !== undefined) messages.say(`hint: ${problem.hint}`)
  }
}

const statusDocument = (
  socket: string,
  status: ReplyOf<"status"> | undefined,
  extraSocket: string | undefined,
): unknown =>
  status === undefined
    ? { schemaVersion: SCHEMA_VERSION, state: "none", socket }
    : {
        schemaVersion: SCHEMA_VERSION,
        state: status.state,
        socket,
        ...(status.restricted ? {} : { extraSocket: extraSocket ?? null }),
        credentials: status.credentials,
        program: status.program,
        pid: status.pid,
        started: isoTime(status.started),
        restricted: status.restricted,
      }

function statusText(socket: string, status: ReplyOf<"status"> | undefined, extraSocket: string | undefined): string {
  if (status === undefined) return `no agent listens at ${printable(socket)}\n`
  const { state, credentials, program, pid, started, restricted } = status
  const held = state === "warm" ? `, ${counted(credentials, "credential")}` : ""
  return [
    `the agent is ${state}${held}`,
    `socket   ${printable(socket)}${restricted ? ", restricted" : ""}`,
    ...(extraSocket === undefined ? [] : [`forward  ${printable(extraSocket)}, restricted`]),
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
  const settings = await settingsFor(io, messages, options)
  const socket = socketOf(io, settings ?? { credentialCache: undefined }, options)
  const status = await askAgent(socket, { type: "status" }, "status")
  const list = status === undefined ? undefined : await askAgent(socket, { type: "list" }, "list")
  const state = list === undefined ? "none" : (status?.state ?? "none")
  const credentials = list?.credentials ?? []
  const now = Date.now() / 1000
  if (options.format === "json") {
    const document = { schemaVersion: SCHEMA_VERSION, state, socket, credentials: credentials.map(credentialDocument) }
    io.stdout(jsonText(document))
  } else if (credentials.length > 0) io.stdout(listText(credentials, now))
  else if (state === "none") messages.say(`no agent listens at ${socket}`)
  else messages.say(state === "locked" ? "the agent is locked and holds nothing" : "the agent holds no credential")
}

const credentialDocument = (credential: CredentialInfo): unknown => ({
  identity: credential.identity,
  issuer: credential.issuer,
  fingerprint: credential.fingerprint,
  fulcio: credential.fulcio,
  rekor: credential.rekor,
  repository: credential.repository || null,
  tokenProvider: credential.tokenProvider,
  committer: credential.committer || null,
  notAfter: isoTime(credential.notAfter),
  expires: isoTime(credential.expires),
  signatures: credential.signatures,
  unclaimed: credential.unclaimed,
  remaining: credential.remaining || null,
})

/** The values of gitsign.tokenProvider as a person knows them. */
const TOKEN_SOURCES: ReadonlyMap<string, string> = new Map([
  ["interactive", "a login"],
  ["device", "a login with a code"],
  ["exec", "gitsign.tokenCommand"],
  ["envvar", "SIGSTORE_ID_TOKEN"],
  ["filesystem", "the token file"],
  ["buildkite-agent", "Buildkite"],
  ["circleci", "CircleCI"],
  ["github-actions", "GitHub Actions"],
  ["gitlab", "GitLab"],
  ["google-impersonation", "Google Cloud"],
  ["google-workload-identity", "Google Cloud"],
  ["spiffe", "SPIFFE"],
])

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
      ...(one.committer === "" ? [] : [`for committer ${printable(one.committer)}`]),
      `token from ${TOKEN_SOURCES.get(one.tokenProvider) ?? printable(one.tokenProvider)}`,
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
