/**
 * `gitsign login` and `gitsign logout`: a login before the commit that needs it, and the end of all that is kept.
 *
 * @module
 */

import { Command } from "commander"
import type { Config } from "../config.ts"
import { printable } from "../formats/printable.ts"
import { describeIdentity, parseIdentityToken } from "../services/oidc/token.ts"
import { askAgent } from "./agent-request.ts"
import { agentSettings, socketOf } from "./agent-settings.ts"
import { duration } from "./agent-view.ts"
import { withExamples } from "./help.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { Person } from "./person.ts"
import { loadConfig } from "./settings.ts"

/** The verb `login`. */
export function loginCommand(io: CommandIo, messages: Messages): Command {
  const command = new Command("login")
    .description("log in now, so that the next signatures need no login, where gitsign.credentialCacheMode keeps it")
    .action(() => login(io, messages))
  return withExamples(command, [
    "gitsign login",
    "git config --global gitsign.credentialCacheMode agent && gitsign login",
  ])
}

async function login(io: CommandIo, messages: Messages): Promise<void> {
  const config = await loadConfig(io, messages)
  if (config.credentialCacheMode === "agent") {
    const { warmCredential } = await import("./agent-warm.ts")
    await warmCredential(io, messages, {})
    return
  }
  const person = new Person(messages)
  try {
    if (config.credentialCacheMode === "system") await logInToKeyring(config, io, person)
    else await logInOnce(config, io, messages, person)
  } finally {
    person.close()
  }
}

async function logInToKeyring(config: Config, io: CommandIo, person: Person): Promise<void> {
  const { warmKeyring } = await import("./kept-login.ts")
  const { identity, issuer, expires } = await warmKeyring(config, io, person)
  const left = duration(expires - Date.now() / 1000)
  io.stdout(`logged in: ${printable(identity)} (${printable(issuer)}), ${left} left, in the system's keyring\n`)
}

/** Nothing is kept, but whoever logs in has seen what will be published, and agreed to it. */
async function logInOnce(config: Config, io: CommandIo, messages: Messages, person: Person): Promise<void> {
  const { agreedToken } = await import("./login.ts")
  const { token } = await agreedToken({ config, io, person })
  io.stdout(`logged in: ${printable(describeIdentity(parseIdentityToken(token)))}\n`)
  messages.say("this login is not kept: gitsign.credentialCacheMode is off")
  messages.say("hint: git config --global gitsign.credentialCacheMode agent")
}

/** The verb `logout`. */
export function logoutCommand(io: CommandIo, messages: Messages): Command {
  const command = new Command("logout")
    .description("forget every login that is kept, in the agent and in the system's keyring")
    .option("--all", "look in the keyring also where gitsign.credentialCacheMode is not system")
    .action((options: { all?: boolean }) => logout(io, messages, options))
  return withExamples(command, ["gitsign logout", "gitsign logout --all"])
}

async function logout(io: CommandIo, messages: Messages, { all }: { all?: boolean }): Promise<void> {
  const config = await loadConfig(io, messages)
  const socket = socketOf(io, await agentSettings(io, messages), {})
  const held = await askAgent(socket, { type: "list" }, "list")
  if (held !== undefined) await askAgent(socket, { type: "clear" }, "done")
  const inAgent = held?.credentials.length ?? 0
  const { logins, refreshTokens } =
    all || config.credentialCacheMode === "system"
      ? await (await import("./kept-login.ts")).forgetKeyring(config, io, messages)
      : { logins: 0, refreshTokens: 0 }
  const parts = [
    [inAgent, "in the agent"],
    [logins, "in the system's keyring"],
    [refreshTokens, "that could be renewed"],
  ] as const
  const told = parts.filter(([count]) => count > 0).map(([count, where]) => `${count} ${where}`)
  io.stdout(told.length === 0 ? "nobody was logged in\n" : `logged out: ${told.join(", ")}\n`)
}
