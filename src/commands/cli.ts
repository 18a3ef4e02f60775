/**
 * The command line for people: every verb that git does not call. Loaded only when one is asked for.
 *
 * @module
 */

import { Command, CommanderError } from "commander"
import { isGitsignError } from "../errors.ts"
import { agentCommand } from "./agent.ts"
import { completionCommand } from "./completion.ts"
import { debugCommand } from "./debug.ts"
import { helpCommand } from "./help.ts"
import { HELP_LAYOUT, helpWidth } from "./help-layout.ts"
import { hookCommand } from "./hook.ts"
import type { CommandIo } from "./io.ts"
import { loginCommand, logoutCommand } from "./login-verbs.ts"
import type { Messages } from "./messages.ts"
import { policyCommand } from "./policy.ts"
import { resignCommand } from "./resign.ts"
import { sandboxCommand } from "./sandbox.ts"
import { showCommand } from "./show.ts"
import { usageError, withHelpOfVerb } from "./usage-error.ts"
import { verifyCommand } from "./verify.ts"
import { verifyTagCommand } from "./verify-tag.ts"
import { versionText } from "./version.ts"
import { whoamiCommand } from "./whoami.ts"

/**
 * Runs one verb and returns the exit status: 0, unless the verb is a question and the status its answer.
 *
 * @throws ERR_USAGE for arguments that make no sense, and whatever the verb throws
 */
export async function runCommandLine(argv: readonly string[], io: CommandIo, messages: Messages): Promise<number> {
  const logged: CommandIo = { ...io, stderr: (text) => messages.write(text) }
  let status = 0
  const program = buildProgram(logged, messages, (answer) => {
    status = answer
  })
  try {
    await program.parseAsync(argv.length === 0 ? ["help"] : argv, { from: "user" })
    return status
  } catch (error) {
    if (isGitsignError(error)) throw withHelpOfVerb(program, argv, error)
    if (!(error instanceof CommanderError)) throw error
    // A command that only has others behind it prints its help, as the program itself does.
    if (error.exitCode === 0 || error.code === "commander.help") return 0
    throw usageError(program, argv, error)
  }
}

/** The tree of all verbs, from which help and completion are made. */
function buildProgram(io: CommandIo, messages: Messages, exit: (status: number) => void): Command {
  const program = new Command("gitsign")
    .description("Sign git commits and tags with your OpenID identity instead of a key")
    .usage("<command> [options]")
    .helpCommand(false)
  program.addCommand(verifyCommand(io, messages, exit))
  program.addCommand(verifyTagCommand(io, messages, exit))
  program.addCommand(policyCommand(io, messages, exit))
  program.addCommand(hookCommand(io, messages, exit))
  program.addCommand(resignCommand(io, messages))
  program.addCommand(showCommand(io))
  program.addCommand(whoamiCommand(io, messages))
  program.addCommand(loginCommand(io, messages))
  program.addCommand(logoutCommand(io, messages))
  program.addCommand(agentCommand(io, messages, exit))
  program.addCommand(sandboxCommand(io))
  program.addCommand(debugCommand(io, messages))
  program.addCommand(new Command("version").description("print the version").action(() => io.stdout(versionText())))
  program.addCommand(completionCommand(io))
  program.addCommand(helpCommand(io))
  program.addHelpText("after", GIT_HELP)
  for (const command of [program, ...program.commands.flatMap((one) => [one, ...one.commands])]) {
    command
      .helpOption("-h, --help", "show this help")
      .exitOverride()
      .configureOutput({ writeOut: io.stdout, writeErr: io.stdout, outputError: () => undefined, ...WIDTHS })
      .configureHelp(HELP_LAYOUT)
      .showSuggestionAfterError(true)
  }
  return program
}

const WIDTHS = { getOutHelpWidth: helpWidth, getErrHelpWidth: helpWidth }

const GIT_HELP = `
As git calls it:
  gitsign --status-fd=2 -bsau KEY        sign stdin
  gitsign --status-fd=1 --verify FILE -  verify the signature in FILE over stdin

Set up git for it:
  $ git config --global gpg.format x509
  $ git config --global gpg.x509.program gitsign
  $ git commit -S -m "signed"

Exit status: 0 done or verified, 1 not verified, 2 wrong usage or configuration,
             3 could not be done or checked now, 70 a defect of gitsign
`
