/**
 * Asks a person whether a signature may be made, and shows what would really be signed.
 *
 * @module
 */

import { GitsignError } from "../src/errors.ts"
import { describePayload } from "./describe-payload.ts"
import type { Exchange } from "./exchange.ts"
import type { RequestOf } from "./protocol.ts"

/** Asks the person at the agent; the signal ends the question. */
export type Confirm = (text: string, signal: AbortSignal) => Promise<boolean>

/** What consent is asked with. */
export interface ConsentTools {
  readonly exchange: Exchange
  /** Undefined when the agent's own settings ask nobody. */
  readonly confirm: Confirm | undefined
  /** How long a person may take, in milliseconds. */
  readonly patienceMs: number
}

/** Whether somebody has to be asked before this signature. */
export const needsConsent = (request: RequestOf<"sign">, confirm: Confirm | undefined): boolean =>
  request.confirm || confirm !== undefined

/**
 * Returns when the signature may be made: the agent's own person has said so, or the client's when the agent has none.
 *
 * @param signer the identity that the signature will be by
 * @throws ERR_AGENT_REFUSED when it may not be made; ERR_CANCELLED when the client is gone; ERR_AGENT when it does not answer
 */
export async function askForConsent(request: RequestOf<"sign">, signer: string, tools: ConsentTools): Promise<void> {
  const { payload, context } = request
  const { restricted } = tools.exchange.conversation
  const requester = restricted ? "a forwarded socket" : "this machine"
  const text = describePayload({ payload, context, signer, requester })
  if (await isGranted(text, tools)) return
  const hint = "nothing was signed; run the command again to be asked again"
  throw new GitsignError("ERR_AGENT_REFUSED", "the signature was not allowed", { hint })
}

async function isGranted(text: string, { exchange, confirm, patienceMs }: ConsentTools): Promise<boolean> {
  if (confirm !== undefined) {
    await exchange.say({ type: "waiting", for: "consent" })
    return askHere(confirm, text, { gone: exchange.gone, patienceMs })
  }
  if (exchange.conversation.restricted) {
    const message = "consent is asked for, and the agent has nobody to ask for a forwarded socket"
    const hint = "set gitsign.agentConfirm where the agent runs, and start the agent again"
    throw new GitsignError("ERR_AGENT_REFUSED", message, { hint })
  }
  const { granted } = await exchange.ask({
    ask: { type: "consent_needed", text },
    answers: ["consent"],
    timeoutMs: patienceMs,
    late: "nobody answered whether to sign",
  })
  return granted
}

/** Until the person has answered, the client is gone, or it has taken too long, which is no consent. */
async function askHere(
  confirm: Confirm,
  text: string,
  { gone, patienceMs }: { gone: AbortSignal; patienceMs: number },
): Promise<boolean> {
  const controller = new AbortController()
  const stop = (): void => controller.abort()
  const timer = setTimeout(stop, patienceMs)
  gone.addEventListener("abort", stop, { once: true })
  if (gone.aborted) stop()
  try {
    return (await confirm(text, controller.signal)) && !controller.signal.aborted
  } finally {
    clearTimeout(timer)
    gone.removeEventListener("abort", stop)
  }
}
