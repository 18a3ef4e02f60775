/**
 * Why there is no agent.
 *
 * @module
 */

/**
 * Why there is no agent to talk to: `absent` no socket; `dead` a socket behind which nobody is, or an agent that has gone; `foreign`
 * something that might be somebody else's; `timeout` it does not answer; `garbage` it is not an agent; `version` it is another one.
 */
export type UnreachableReason = "absent" | "dead" | "foreign" | "timeout" | "garbage" | "version"

/** There is no agent to talk to; the message is one sentence that says why. */
export class AgentUnreachable extends Error {
  readonly reason: UnreachableReason
  /** One action that mends it, where there is one for this reason only. */
  readonly hint: string | undefined

  constructor(reason: UnreachableReason, message: string, hint?: string) {
    super(message)
    this.name = "AgentUnreachable"
    this.reason = reason
    this.hint = hint
  }
}
