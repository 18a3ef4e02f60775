/**
 * One request to the agent, and the answers to what it asks meanwhile.
 *
 * @module
 */

import type { AgentChannel } from "../../cache-daemon/connect.ts"
import type { Reply, ReplyOf, RequestOf } from "../../cache-daemon/protocol.ts"
import type { Config } from "../config.ts"
import { ERROR_CODES, type ErrorCode, GitsignError, isGitsignError } from "../errors.ts"
import type { EarlyConnection } from "./agent-client.ts"
import type { CommandIo } from "./io.ts"
import type { Person } from "./person.ts"

/** How long the agent may take for one step, in milliseconds: it has a deadline of its own for each. */
const STEP_MS = 70_000

/** How long a person may take, at another gitsign's login or at the agent's question; the agent gives up sooner. */
const PERSON_MS = 320_000

/** How long everything may take together: a login, an answer, the log. */
const REQUEST_MS = 660_000

const WAITING_FOR = {
  login: "waiting for the login that another gitsign has begun",
  consent: "waiting for your answer to the agent, which asks on the desktop whether to sign",
} as const

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

/**
 * Sends one request and answers what the agent asks, until it is done.
 *
 * @throws AgentUnreachable, ERR_AGENT when the agent fails; what it answers with; what the login fails with; ERR_AGENT_REFUSED when the
 * person says no
 */
export async function converse(
  channel: AgentChannel,
  request: RequestOf<"sign"> | RequestOf<"warm">,
  tools: AgentTools & { readonly asking: () => void },
): Promise<Reply> {
  const { config, person } = tools
  channel.send(request)
  const deadline = performance.now() + REQUEST_MS
  let waitingFor = "waiting for the agent"
  let timeoutMs = STEP_MS
  /** Why no token could be had here; another client may still bring one. */
  let excuse: unknown
  let mayLogIn = true
  for (;;) {
    const left = deadline - performance.now()
    if (left <= 0) throw new GitsignError("ERR_AGENT", "the agent goes on and on without an answer")
    const reply = await person.tellWhenSlow(waitingFor, channel.receive(Math.min(timeoutMs, left)))
    timeoutMs = STEP_MS
    switch (reply.type) {
      case "waiting":
        if (reply.for === "consent") tools.asking()
        waitingFor = WAITING_FOR[reply.for]
        timeoutMs = PERSON_MS
        break
      case "token_needed":
        // Once, and never over a forwarded socket: what is at its other end has no use for a token.
        if (!mayLogIn || channel.restricted) throw unexpected(reply)
        mayLogIn = false
        waitingFor = `waiting for ${new URL(config.fulcio).host}`
        excuse = await logIn(channel, tools)
        break
      case "consent_needed": {
        tools.asking()
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
async function logIn(channel: AgentChannel, { config, identityToken }: AgentTools): Promise<GitsignError | undefined> {
  try {
    channel.send({ type: "token", identityToken: await identityToken() })
    return undefined
  } catch (error) {
    const [code, message] = isGitsignError(error) ? [error.code, error.message.slice(0, 4096)] : ["ERR_BUG", "a defect"]
    const outcome = code === "ERR_NO_TOKEN" ? "elsewhere" : "failed"
    channel.send({ type: "no_token", outcome, code, message })
    if (outcome === "elsewhere" && isGitsignError(error)) {
      // Nobody is asked to log in where another way is configured: its own hint is the one that helps.
      if (!/^(|interactive|device)$/.test(config.tokenProvider ?? "")) return error
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

/** The error for an answer that does not belong there. */
export const unexpected = ({ type }: Reply): GitsignError =>
  new GitsignError("ERR_AGENT", `the agent answered with "${type}", which is no answer to this`)
