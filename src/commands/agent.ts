/**
 * `gitsign agent`: starts, looks at, commands and installs the signing agent.
 *
 * @module
 */

import { Command, Option } from "commander"
import type { InstallOptions } from "./agent-install.ts"
import type { LockOptions } from "./agent-orders.ts"
import type { SocketOptions } from "./agent-settings.ts"
import type { StartOptions } from "./agent-start.ts"
import type { ViewOptions } from "./agent-view.ts"
import type { WarmOptions } from "./agent-warm.ts"
import { helpVerb, withExamples } from "./help.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"

/** What the verbs work with. */
interface Tools {
  readonly io: CommandIo
  readonly messages: Messages
  /** Sets the exit status of the program, where it is not 0. */
  readonly exit: (status: number) => void
}

/** The verb `agent` with its own verbs. */
export function agentCommand(io: CommandIo, messages: Messages, exit: (status: number) => void): Command {
  const tools: Tools = { io, messages, exit }
  const command = new Command("agent")
    .description("one login for many signatures: the signing agent")
    .addCommand(startCommand(tools))
    .addCommand(stopCommand(tools))
    .addCommand(statusCommand(tools))
    .addCommand(listCommand(tools))
    .addCommand(warmCommand(tools))
    .addCommand(clearCommand(tools))
    .addCommand(lockCommand(tools))
    .addCommand(unlockCommand(tools))
    .addCommand(installCommand(tools))
    .addCommand(uninstallCommand(tools))
    .addCommand(helpVerb("gitsign agent help start"))
    .helpCommand(false)
  return withExamples(command, [
    "git config --global gitsign.credentialCache auto   # start one when a commit needs it",
    "gitsign agent warm",
    "gitsign agent list",
    "gitsign agent install",
  ])
}

const onSocket = (command: Command): Command =>
  command.option(
    "--socket <path>",
    "the agent's socket (default: what gitsign.credentialCache names, else the user's own)",
  )

const withFormat = (command: Command): Command =>
  command.addOption(new Option("--format <format>", "how to tell").choices(["text", "json"]).default("text"))

function startCommand({ io, messages, exit }: Tools): Command {
  const command = onSocket(new Command("start"))
    .description("start the agent; gitsign.credentialCache auto does so by itself")
    .option("--extra-socket [path]", "make a restricted socket too, to forward to other hosts")
    .option("--foreground", "stay in this terminal until Ctrl-C; prints ok when it listens")
    .addOption(
      new Option("--systemd-socket-activation", "take the sockets from systemd; stays in the foreground").conflicts([
        "socket",
        "extraSocket",
      ]),
    )
    .option("--leave-when-idle", "end when it holds nothing and nobody has asked for a minute")
    .option("--log <file>", "add what it says to a file; nothing secret is in it")
    .action(async (options: StartOptions) => {
      const { startAgentCommand } = await import("./agent-start.ts")
      exit(await startAgentCommand(io, messages, options))
    })
  return withExamples(command, [
    "gitsign agent start",
    "gitsign agent start --extra-socket --log ~/.cache/gitsign-agent.log",
    "gitsign agent start --foreground --socket /tmp/me/agent.sock",
  ])
}

function stopCommand({ io, messages }: Tools): Command {
  const command = onSocket(new Command("stop"))
    .description("end the agent; its credentials are forgotten")
    .action(async (options: SocketOptions) => {
      const { stopAgent } = await import("./agent-orders.ts")
      await stopAgent(io, messages, options)
    })
  return withExamples(command, ["gitsign agent stop"])
}

function statusCommand({ io, messages, exit }: Tools): Command {
  const command = withFormat(onSocket(new Command("status")))
    .description("tell whether the agent is warm (holds a credential), cold or locked")
    .option("--exit-code", "exit with 0 when it is warm, 1 when it is cold or none runs, 4 when it is locked")
    .action(async (options: ViewOptions & { exitCode?: boolean }) => {
      const { showStatus } = await import("./agent-view.ts")
      exit(await showStatus(io, messages, options))
    })
  return withExamples(command, [
    "gitsign agent status",
    "gitsign agent status --exit-code >/dev/null || gitsign agent warm",
    "gitsign agent status --format json",
  ])
}

function listCommand({ io, messages }: Tools): Command {
  const command = withFormat(onSocket(new Command("list")))
    .description("show the credentials: identity, issuer, remaining time, signatures made")
    .action(async (options: ViewOptions) => {
      const { showList } = await import("./agent-view.ts")
      await showList(io, messages, options)
    })
  return withExamples(command, ["gitsign agent list", "gitsign agent list --format json"])
}

function warmCommand({ io, messages, exit }: Tools): Command {
  const command = onSocket(new Command("warm"))
    .description("log in now, so that the next signatures need no login")
    .option("--quiet", "say nothing and give up silently; for hooks")
    .action(async (options: WarmOptions) => {
      const { warmCredential } = await import("./agent-warm.ts")
      exit(await warmCredential(io, messages, options))
    })
  return withExamples(command, ["gitsign agent warm", "gitsign agent warm --quiet &"])
}

function clearCommand({ io, messages }: Tools): Command {
  const command = onSocket(new Command("clear"))
    .description("have the agent forget all credentials; the next signature needs a login")
    .action(async (options: SocketOptions) => {
      const { clearAgent } = await import("./agent-orders.ts")
      await clearAgent(io, messages, options)
    })
  return withExamples(command, ["gitsign agent clear"])
}

const withPassphrase = (command: Command): Command =>
  command.option("--passphrase-file <file>", "read the pass phrase from a file (- for stdin) and ask nobody")

function lockCommand({ io, messages }: Tools): Command {
  const command = withPassphrase(onSocket(new Command("lock")))
    .description("forget all credentials and sign nothing until it is unlocked")
    .action(async (options: LockOptions) => {
      const { lockAgent } = await import("./agent-orders.ts")
      await lockAgent(io, messages, options)
    })
  return withExamples(command, ["gitsign agent lock", "pass show agent | gitsign agent lock --passphrase-file -"])
}

function unlockCommand({ io, messages }: Tools): Command {
  const command = withPassphrase(onSocket(new Command("unlock")))
    .description("unlock the agent with the pass phrase it was locked with")
    .action(async (options: LockOptions) => {
      const { unlockAgent } = await import("./agent-orders.ts")
      await unlockAgent(io, messages, options)
    })
  return withExamples(command, ["gitsign agent unlock", "gitsign agent unlock --passphrase-file FILE"])
}

function installCommand({ io, messages }: Tools): Command {
  const command = onSocket(new Command("install"))
    .description("have systemd (Linux) or launchd (macOS) start the agent for you")
    .option("--extra-socket [path]", "have a restricted socket too, to forward to other hosts")
    .option("--no-enable", "write the files only")
    .action(async (options: InstallOptions) => {
      const { installAgent } = await import("./agent-install.ts")
      await installAgent(io, messages, options)
    })
  return withExamples(command, ["gitsign agent install", "gitsign agent install --extra-socket"])
}

function uninstallCommand({ io }: Tools): Command {
  const command = new Command("uninstall")
    .description("take away what install has written, and nothing else")
    .action(async () => {
      const { uninstallAgent } = await import("./agent-install.ts")
      await uninstallAgent(io)
    })
  return withExamples(command, ["gitsign agent uninstall"])
}
