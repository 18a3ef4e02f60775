/**
 * Talks to the signing agent on behalf of a commit: finds or starts it, logs in for it where it asks for that, and says
 * when the ordinary way has to be taken instead.
 *
 * @module
 */

import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { type AgentChannel, connectAgent } from "../../cache-daemon/connect.ts"
import type { CredentialInfo, PayloadContext, Reply, ReplyOf, RequestOf } from "../../cache-daemon/protocol.ts"
import { defaultSocketPath } from "../../cache-daemon/socket-path.ts"
import { AgentUnreachable } from "../../cache-daemon/unreachable.ts"
import type { Config } from "../config.ts"
import { GitsignError, isGitsignError, messageOf } from "../errors.ts"
import { readTrustFiles } from "../trust/files.ts"
import { type AgentTools, converse, unexpected } from "./agent-conversation.ts"
import { credentialKeyOf } from "./agent-key.ts"
import type { MadeSignature, Signing } from "./git-sign.ts"
import type { CommandIo } from "./io.ts"
import { sha256 } from "./sha256.ts"
import { thisProgram } from "./this-program.ts"
import { VERSION } from "./version.ts"

/** What the agent calls this program. */
export const PROGRAM = `gitsign ${VERSION}`

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
export function agentAddressOf(config: Pick<Config, "credentialCache">, io: CommandIo): AgentAddress | undefined {
  const { credentialCache } = config
  if (credentialCache === undefined) return undefined
  return credentialCache === "auto"
    ? { path: defaultSocketPath(io.env), auto: true }
    : { path: resolve(io.cwd, credentialCache), auto: false }
}

/** How long the agent may take to say hello, in milliseconds: hundreds of commits at once leave it little of the machine. */
const HELLO_MS = 10_000

const connect = (path: string): Promise<AgentChannel> => connectAgent(path, { program: PROGRAM, timeoutMs: HELLO_MS })

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
  }).catch((cause: unknown) => {
    // Whatever keeps the agent from starting, it keeps nobody from signing without it.
    if (!isGitsignError(cause) || cause.code.startsWith("ERR_AGENT")) throw cause
    throw new GitsignError("ERR_AGENT", cause.message, {
      cause,
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    })
  })
  return connect(address.path)
}

/**
 * Has the agent sign. Returns undefined, and has said why, when the ordinary way has to be taken: no agent, one that does not
 * answer or speaks something else, one that has ended, one that may not log in here.
 *
 * @throws ERR_AGENT_LOCKED, ERR_AGENT_REFUSED when the agent or a person says no; ERR_SELF_CHECK, ERR_COMMITTER for a signature that will
 * not do; whatever the login, Fulcio, the log or the timestamp authority fail with
 */
export async function signWithAgent(what: Signing, tools: AgentTools): Promise<MadeSignature | undefined> {
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
    // What this program has started is this program. What listens at another path may be another machine's.
    if (!address.auto) return await (await import("./check-signature.ts")).checkSignature(reply, what, config)
    if (isFor(reply, what.payload)) return { ...reply, signingTime: new Date(reply.signingTime * 1000) }
    throw new GitsignError("ERR_AGENT", `the agent at ${address.path} answered with a signature for something else`)
  } catch (error) {
    if (!isAboutTheAgent(error)) throw error
    person.tell(`${messageOf(error)}; signing without it`)
    const hint = isGitsignError(error) || error instanceof AgentUnreachable ? error.hint : undefined
    if (hint !== undefined) person.tell(`hint: ${hint}`)
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
    if (!(error instanceof AgentUnreachable)) throw error
    const code = error.reason === "foreign" ? "ERR_AGENT_SOCKET" : "ERR_AGENT"
    const hint = error.hint === undefined ? {} : { hint: error.hint }
    throw new GitsignError(code, error.message, { cause: error, ...hint })
  }
}

const commonFields = async (config: Config, io: CommandIo) => ({
  key: await credentialKeyOf(config, io),
  trust: readTrustFiles(config),
  limits: { signatures: config.agentMaxSignatures, lifetime: config.agentLifetime },
})

/** What a person is shown of a payload beside itself: where it comes from, and the objects that prove what it changes. */
export async function contextOf(payload: Uint8Array, io: CommandIo): Promise<PayloadContext> {
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
    const progress = { logged: false, asked: false }
    const logging = (): void => {
      progress.logged = true
      tools.logging()
    }
    const asking = (): void => {
      progress.asked = true
    }
    try {
      const channel = await openAgent(address, tools.io, again ? tools.early : undefined)
      try {
        return await converse(channel, request, { ...tools, logging, asking })
      } finally {
        channel.close()
      }
    } catch (error) {
      if (progress.logged && isAboutTheAgent(error)) {
        tools.person.tell(
          "the agent ended while it logged a signature; the log may hold an entry that nothing uses, which harms nothing",
        )
      }
      // Neither another agent nor this program signs what a person was asked about and has not agreed to.
      if (progress.asked && isAboutTheAgent(error)) throw unanswered(error)
      if (!again || !(error instanceof AgentUnreachable) || error.reason !== "dead") throw error
    }
  }
}

const unanswered = (cause: unknown): GitsignError =>
  new GitsignError("ERR_AGENT_REFUSED", "the agent ended after it had asked whether to sign", {
    cause,
    hint: "nothing was signed; run the command again",
  })

/** Whether another way may do better: it is the agent that failed, and nobody has said no. */
const isAboutTheAgent = (error: unknown): boolean =>
  error instanceof AgentUnreachable || (isGitsignError(error) && /^ERR_AGENT(_SOCKET|_COLD)?$/.test(error.code))

/** Whether a signature is for this payload: the agent has verified it, and a mix-up must not reach git. */
function isFor({ signature, certificate }: ReplyOf<"signed">, payload: Uint8Array): boolean {
  const der = Buffer.from(signature.buffer, signature.byteOffset, signature.byteLength)
  return der.includes(sha256(payload)) && der.includes(Buffer.from(certificate))
}
