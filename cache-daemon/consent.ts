/**
 * Asks a person whether a signature may be made, and shows what would really be signed.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../src/errors.ts"
import { describePayload } from "./describe-payload.ts"
import type { QuestionSource } from "./desktop-prompt.ts"
import type { Exchange } from "./exchange.ts"
import type { RequestOf } from "./protocol.ts"

/** Asks the person at the agent; the signal ends the question. */
export type Confirm = (text: string, signal: AbortSignal, from: QuestionSource) => Promise<boolean>

/** What consent is asked with. */
export interface ConsentTools {
  readonly exchange: Exchange
  /** Undefined when the agent's own settings ask nobody. */
  readonly confirm: Confirm | undefined
  /** How long a person may take, in milliseconds. */
  readonly patienceMs: number
}

/**
 * Returns when the signature may be made: the agent's own person has said so, or the client's when the agent has none.
 *
 * @param signer the identity that the signature will be by
 * @throws ERR_AGENT_REFUSED when it may not be made, or nobody says that it may; ERR_CANCELLED when the client is gone
 */
export async function askForConsent(request: RequestOf<"sign">, signer: string, tools: ConsentTools): Promise<void> {
  const { payload, context } = request
  const { restricted } = tools.exchange.conversation
  const requester = restricted ? "a forwarded socket" : "this machine"
  const text = describePayload({ payload, context, signer, requester })
  if (await isGranted(text, tools)) return
  throw new GitsignError("ERR_AGENT_REFUSED", "the signature was not allowed", { hint: ASK_AGAIN })
}

const ASK_AGAIN = "nothing was signed; run the command again to be asked again"

async function isGranted(text: string, { exchange, confirm, patienceMs }: ConsentTools): Promise<boolean> {
  if (confirm !== undefined) {
    await exchange.say({ type: "waiting", for: "consent" })
    const from = exchange.conversation.restricted ? "forwarded" : "local"
    return askHere((signal) => confirm(text, signal, from), { gone: exchange.gone, patienceMs })
  }
  if (exchange.conversation.restricted) {
    const message = "consent is asked for, and the agent has nobody to ask for a forwarded socket"
    const hint = "start the agent in a desktop session, with gitsign.agentConfirm set"
    throw new GitsignError("ERR_AGENT_REFUSED", message, { hint })
  }
  try {
    const { granted } = await exchange.ask({
      ask: { type: "consent_needed", text },
      answers: ["consent"],
      timeoutMs: patienceMs,
      late: "nobody answered whether to sign",
    })
    return granted
  } catch (error) {
    if (!isGitsignError(error) || error.code === "ERR_CANCELLED") throw error
    // Not as trouble of the agent's, for which a client signs without it.
    throw new GitsignError("ERR_AGENT_REFUSED", error.message, { cause: error, hint: ASK_AGAIN })
  }
}

/** Until the person has answered, the client is gone, or it has taken too long, which is no consent. */
async function askHere(
  confirm: (signal: AbortSignal) => Promise<boolean>,
  { gone, patienceMs }: { gone: AbortSignal; patienceMs: number },
): Promise<boolean> {
  const controller = new AbortController()
  const stop = (): void => controller.abort()
  const timer = setTimeout(stop, patienceMs)
  gone.addEventListener("abort", stop, { once: true })
  if (gone.aborted) stop()
  try {
    return (await confirm(controller.signal)) && !controller.signal.aborted
  } finally {
    clearTimeout(timer)
    gone.removeEventListener("abort", stop)
  }
}
