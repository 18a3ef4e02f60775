/**
 * Talks to the signing agent on behalf of a commit: finds or starts it, logs in for it where it asks for that, and says
 * when the ordinary way has to be taken instead.
 *
 * @module
 */

import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { type AgentChannel, AgentUnreachable, connectAgent } from "../../cache-daemon/connect.ts"
import type { CredentialInfo, Reply, ReplyOf, RequestOf } from "../../cache-daemon/protocol.ts"
import { defaultSocketPath } from "../../cache-daemon/socket-path.ts"
import type { Config } from "../config.ts"
import { ERROR_CODES, type ErrorCode, GitsignError, isGitsignError, messageOf } from "../errors.ts"
import { readTrustFiles } from "../trust/files.ts"
import { credentialKeyOf } from "./agent-key.ts"
import type { CommandIo } from "./io.ts"
import type { Person } from "./person.ts"
import { sha256 } from "./sha256.ts"
import { VERSION } from "./version.ts"

/** What the agent calls this program. */
export const PROGRAM = `gitsign ${VERSION}`

/** How long the agent may take for one step, in milliseconds: it has a deadline of its own for each. */
const STEP_MS = 70_000

/** How long a person may take, at another gitsign's login or at the agent's question; the agent gives up sooner. */
const PERSON_MS = 320_000

const WAITING_FOR = {
  login: "waiting for the login that another gitsign has begun",
  consent: "waiting for your answer to the agent, which asks on the desktop whether to sign",
} as const

/** Where the agent is, and whether it may be started. */
export interface AgentAddress {
  readonly path: string
  readonly auto: boolean
}

/**
 * Where gitsign.credentialCache says the agent is; undefined when it is switched off.
 *
 * @throws ERR_AGENT_SOCKET when a path is longer than the system's sockets may have
 */
export function agentAddressOf(config: Config, io: CommandIo): AgentAddress | undefined {
  const { credentialCache } = config
  if (credentialCache === undefined) return undefined
  return credentialCache === "auto"
    ? { path: defaultSocketPath(io.env), auto: true }
    : { path: resolve(io.cwd, credentialCache), auto: false }
}

const connect = (path: string): Promise<AgentChannel> => connectAgent(path, { program: PROGRAM, timeoutMs: 2000 })

/** A connection that was begun while git was still asked for the settings. */
export interface EarlyConnection {
  readonly path: string
  readonly channel: Promise<AgentChannel>
}

/** Connects to where the agent usually is, if it is there; undefined when it is not. Nothing but a greeting is sent. */
export function connectEarly(io: CommandIo): EarlyConnection | undefined {
  const { GITSIGN_CREDENTIAL_CACHE: configured } = io.env
  if (configured !== undefined && configured !== "auto") return undefined
  try {
    const path = defaultSocketPath(io.env)
    if (!existsSync(path)) return undefined
    const channel = connect(path)
    // Told when it is used.
    channel.catch(() => undefined)
    return { path, channel }
  } catch {
    return undefined
  }
}

/** Ends a connection that is not needed. */
export const closeEarly = (early: EarlyConnection | undefined): void => {
  early?.channel.then((channel) => channel.close()).catch(() => undefined)
}

/**
 * Connects to the agent, and starts one where that is allowed and none is there.
 *
 * @throws AgentUnreachable when there is none; ERR_AGENT, ERR_AGENT_SOCKET when it cannot be started
 */
async function openAgent(address: AgentAddress, io: CommandIo, early?: EarlyConnection): Promise<AgentChannel> {
  try {
    return await (early?.path === address.path ? early.channel : connect(address.path))
  } catch (error) {
    const mayStart = address.auto && error instanceof AgentUnreachable && /^(absent|dead)$/.test(error.reason)
    if (!mayStart) throw error
  }
  const { startAgent } = await import("../../cache-daemon/spawn.ts")
  const { command, args } = thisProgram()
  await startAgent({
    command,
    args: [...args, "agent", "start", "--foreground", "--leave-when-idle", "--socket", address.path],
    socket: address.path,
    env: io.env,
  })
  return connect(address.path)
}

/** The program that runs now, as a command: the standalone executable is its own, elsewhere the runtime needs the script. */
export function thisProgram(): { command: string; args: readonly string[] } {
  const [command = process.execPath, script = ""] = process.argv
  const standalone = /^(\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/.test(script)
  return standalone ? { command: process.execPath, args: [] } : { command, args: [script] }
}

/** What a conversation with the agent works with. */
export interface AgentTools {
  readonly config: Config
  readonly io: CommandIo
  readonly person: Person
  /** The identity token; asked for when the agent has no credential. */
  readonly identityToken: () => Promise<string>
  /** Called when the log may hold an entry from now on. */
  readonly logging: () => void
  readonly early?: EarlyConnection | undefined
}

/** A signature by the agent. */
export type AgentSignature = ReplyOf<"signed">

/**
 * Has the agent sign. Returns undefined, and has said why, when the ordinary way has to be taken: no agent, one that does not
 * answer or speaks something else, one that has ended, one that may not log in here.
 *
 * @throws ERR_AGENT_LOCKED, ERR_AGENT_REFUSED when the agent says no; whatever the login, Fulcio, the log or the timestamp authority fail with
 */
export async function signWithAgent(
  what: { payload: Uint8Array; detached: boolean },
  tools: AgentTools,
): Promise<AgentSignature | undefined> {
  const { config, io, person } = tools
  try {
    const address = agentAddressOf(config, io)
    if (address === undefined) return undefined
    const reply = await ask(address, tools, {
      type: "sign",
      ...(await commonFields(config, io)),
      payload: what.payload,
      detached: what.detached,
      mode: config.rekorMode,
      confirm: config.agentConfirm,
      context: config.agentConfirm ? await contextOf(what.payload, io) : undefined,
    })
    if (reply.type !== "signed") throw unexpected(reply)
    if (isFor(reply, what.payload)) return reply
    throw new GitsignError("ERR_AGENT", `the agent at ${address.path} answered with a signature for something else`)
  } catch (error) {
    if (!isAboutTheAgent(error)) throw error
    person.tell(`${messageOf(error)}; signing without it`)
    if (isGitsignError(error) && error.hint !== undefined) person.tell(`hint: ${error.hint}`)
    return undefined
  }
}

/**
 * Has the agent make a credential ready.
 *
 * @throws ERR_AGENT when there is no agent that could; else as {@link signWithAgent}
 */
export async function warmAgent(address: AgentAddress, tools: AgentTools): Promise<CredentialInfo> {
  try {
    const reply = await ask(address, tools, { type: "warm", ...(await commonFields(tools.config, tools.io)) })
    if (reply.type === "ready") return reply.credential
    throw unexpected(reply)
  } catch (error) {
    throw error instanceof AgentUnreachable ? new GitsignError("ERR_AGENT", error.message, { cause: error }) : error
  }
}

const commonFields = async (config: Config, io: CommandIo) => ({
  key: await credentialKeyOf(config, io),
  trust: readTrustFiles(config),
  limits: { signatures: config.agentMaxSignatures, lifetime: config.agentLifetime },
})

async function contextOf(payload: Uint8Array, io: CommandIo): Promise<RequestOf<"sign">["context"]> {
  const { changedTreeObjects, repositoryAndBranch } = await import("../git/changed-trees.ts")
  const [objects, where] = await Promise.all([changedTreeObjects(io, payload), repositoryAndBranch(io)])
  return { ...where, objects }
}

/** One request to its end; a second time, with a fresh agent, when the first one has ended and may be started. */
async function ask(
  address: AgentAddress,
  tools: AgentTools,
  request: RequestOf<"sign"> | RequestOf<"warm">,
): Promise<Reply> {
  for (let again = address.auto; ; again = false) {
    const progress = { logged: false }
    const logging = (): void => {
      progress.logged = true
      tools.logging()
    }
    try {
      const channel = await openAgent(address, tools.io, again ? tools.early : undefined)
      try {
        return await converse(channel, request, { ...tools, logging })
      } finally {
        channel.close()
      }
    } catch (error) {
      if (progress.logged && isAboutTheAgent(error)) {
        tools.person.tell(
          "the agent ended while it logged a signature; the log may hold an entry that nothing uses, which harms nothing",
        )
      }
      if (!again || !(error instanceof AgentUnreachable) || error.reason !== "dead") throw error
    }
  }
}

/** Whether another way may do better: it is the agent that failed, and nobody has said no. */
const isAboutTheAgent = (error: unknown): boolean =>
  error instanceof AgentUnreachable || (isGitsignError(error) && /^ERR_AGENT(_SOCKET|_COLD)?$/.test(error.code))

/** Sends one request and answers what the agent asks, until it is done. */
async function converse(
  channel: AgentChannel,
  request: RequestOf<"sign"> | RequestOf<"warm">,
  tools: AgentTools,
): Promise<Reply> {
  const { config, person } = tools
  channel.send(request)
  let waitingFor = "waiting for the agent"
  let timeoutMs = STEP_MS
  /** Why no token could be had here; another client may still bring one. */
  let excuse: unknown
  for (;;) {
    const reply = await person.tellWhenSlow(waitingFor, channel.receive(timeoutMs))
    timeoutMs = STEP_MS
    switch (reply.type) {
      case "waiting":
        waitingFor = WAITING_FOR[reply.for]
        timeoutMs = PERSON_MS
        break
      case "token_needed":
        waitingFor = `waiting for ${new URL(config.fulcio).host}`
        excuse = await logIn(channel, tools)
        break
      case "consent_needed": {
        const { askAtTerminal } = await import("./consent.ts")
        const granted = await askAtTerminal(reply.text)
        channel.send({ type: "consent", granted })
        // Whatever becomes of the agent: no is no.
        if (!granted) throw new GitsignError("ERR_AGENT_REFUSED", "the signature was not allowed")
        break
      }
      case "logging":
        waitingFor = `waiting for ${new URL(config.rekor).host}`
        tools.logging()
        break
      case "error":
        throw excuse ?? errorOf(reply)
      default:
        return reply
    }
  }
}

/**
 * Gets the identity token here, at the person's terminal and browser, and gives it to the agent. Returns why there is none when
 * nobody can be asked here.
 *
 * @throws whatever else stops the login; everybody who waits for it hears of it
 */
async function logIn(channel: AgentChannel, { identityToken }: AgentTools): Promise<GitsignError | undefined> {
  try {
    channel.send({ type: "token", identityToken: await identityToken() })
    return undefined
  } catch (error) {
    const [code, message] = isGitsignError(error) ? [error.code, error.message.slice(0, 4096)] : ["ERR_BUG", "a defect"]
    const outcome = code === "ERR_NO_TOKEN" ? "elsewhere" : "failed"
    channel.send({ type: "no_token", outcome, code, message })
    if (outcome === "elsewhere" && isGitsignError(error)) {
      const hint =
        "log in from a terminal with: gitsign agent warm; then run the command again, in a rebase: git rebase --continue"
      return new GitsignError("ERR_NO_TOKEN", error.message, { cause: error, hint })
    }
    throw error
  }
}

/** The error that the agent answered with; a code that this version does not know counts as ERR_AGENT. */
export function errorOf({ code, message, hint }: ReplyOf<"error">): GitsignError {
  const known = Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : "ERR_AGENT"
  return new GitsignError(known, message, hint === undefined ? {} : { hint })
}

const unexpected = ({ type }: Reply): GitsignError =>
  new GitsignError("ERR_AGENT", `the agent answered with "${type}", which is no answer to this`)

/** Whether a signature is for this payload: the agent has verified it, and a mix-up must not reach git. */
function isFor({ signature, certificate }: AgentSignature, payload: Uint8Array): boolean {
  const der = Buffer.from(signature.buffer, signature.byteOffset, signature.byteLength)
  return der.includes(sha256(payload)) && der.includes(Buffer.from(certificate))
}
