/**
 * `gitsign agent warm`: the login before the commit that needs it.
 *
 * @module
 */

import { resolve } from "node:path"
import { defaultSocketPath } from "../../cache-daemon/socket-path.ts"
import { AgentUnreachable } from "../../cache-daemon/unreachable.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import { printable } from "../formats/printable.ts"
import { agentAddressOf, warmAgent } from "./agent-client.ts"
import { noAgent } from "./agent-request.ts"
import { agentSettings, obstacleTo, type SocketOptions } from "./agent-settings.ts"
import { duration } from "./agent-view.ts"
import type { CommandIo } from "./io.ts"
import { describeError, type Messages } from "./messages.ts"
import { Person } from "./person.ts"
import { loadConfig } from "./settings.ts"

/** The flags of `warm`. */
export interface WarmOptions extends SocketOptions {
  readonly quiet?: boolean
}

/**
 * Has the agent hold a credential for what would be signed here, and returns the exit status. With `quiet` nothing is said or thrown, the
 * terminal is left alone, and a login that would need somebody to read an address is given up.
 *
 * @throws ERR_CONFIG when no agent is switched on; as `warmAgent`
 */
export async function warmCredential(io: CommandIo, messages: Messages, options: WarmOptions): Promise<number> {
  const person = new Person(messages, options.quiet)
  try {
    const config = await loadConfig(io, messages)
    const address =
      options.socket === undefined ? agentAddressOf(config, io) : { path: resolve(io.cwd, options.socket), auto: false }
    if (address === undefined) throw await switchedOff(io, messages)
    const identityToken = async (): Promise<string> => {
      const { logIn } = await import("./login.ts")
      return logIn({ config, io, person })
    }
    const tools = { config, io, person, identityToken, logging: () => undefined }
    const { identity, issuer, expires } = await warmAgent(address, tools).catch((error: unknown) => {
      throw isNobody(error) ? noAgent(address.path, options) : error
    })
    const left = duration(expires - Date.now() / 1000)
    if (!options.quiet) io.stdout(`warm: ${printable(identity)} (${printable(issuer)}), ${left} left\n`)
    return 0
  } catch (error) {
    if (!options.quiet) throw error
    const { text, status } = describeError(error)
    messages.logOnly(text.trimEnd().replace(/^gitsign: /, ""))
    return status
  } finally {
    person.close()
  }
}

/** The error that says what switches the agent off here, and how it is switched on. */
async function switchedOff(io: CommandIo, messages: Messages): Promise<GitsignError> {
  const obstacle = await obstacleTo(defaultSocketPath(io.env), await agentSettings(io, messages), io)
  const why = obstacle?.because ?? "gitsign.credentialCache is not set"
  return new GitsignError("ERR_CONFIG", `no agent is switched on: ${why}`, {
    hint: `have commits start one: ${obstacle?.command ?? "git config --global gitsign.credentialCache auto"}`,
  })
}

/** Whether there was nobody to ask, as opposed to somebody who could not do it. */
const isNobody = (error: unknown): boolean =>
  isGitsignError(error) &&
  error.cause instanceof AgentUnreachable &&
  /^(absent|dead)$/.test(error.cause.reason) &&
  error.cause.hint === undefined
