/**
 * `gitsign hook`: what git runs when something is pushed or merged, and how it comes to do so.
 *
 * @module
 */

import { isatty } from "node:tty"
import { Command } from "commander"
import { GitsignError } from "../errors.ts"
import { showHelp, withExamples } from "./help.ts"
import type { HookInstallOptions } from "./hook-install.ts"
import type { HookOptions } from "./hook-receive.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"

/** The verb `hook` with its own verbs. */
export function hookCommand(io: CommandIo, messages: Messages, exit: (status: number) => void): Command {
  const command = new Command("hook")
    .description("verify what is pushed and merged, in the hooks of git")
    .addCommand(installCommand(io, messages))
    .addCommand(uninstallCommand(io))
    .addCommand(
      hookVerb(
        "pre-receive",
        "refuse a push that the policy does not allow; for the receiving side",
        async (_, flags) => {
          refuseTerminal("pre-receive")
          const { preReceive } = await import("./hook-receive.ts")
          exit(await preReceive(io, messages, flags))
        },
      ),
    )
    .addCommand(
      hookVerb(
        "update",
        "refuse one ref of a push that the policy does not allow; for the receiving side: REF OLD NEW",
        async (args, flags) => {
          const { update } = await import("./hook-receive.ts")
          exit(await update(io, messages, args, flags))
        },
      ),
    )
    .addCommand(
      hookVerb("pre-push", "refuse to push what the other side would refuse: REMOTE URL", async (args, flags) => {
        refuseTerminal("pre-push")
        const { prePush } = await import("./hook-push.ts")
        exit(await prePush(io, messages, args, flags))
      }),
    )
    .addCommand(
      hookVerb("post-merge", "warn of what a merge or pull has brought in that the policy does not allow", async () => {
        const { postMerge } = await import("./hook-merge.ts")
        exit(await postMerge(io, messages))
      }),
    )
    .addCommand(helpVerb())
    .helpCommand(false)
  return withExamples(command, [
    "gitsign hook install             # in a clone: pre-push and post-merge; in a bare repository: pre-receive",
    "gitsign hook install --server --warn-only",
    "gitsign hook uninstall",
  ])
}

function hookVerb(
  name: string,
  about: string,
  run: (args: readonly string[], flags: HookOptions) => Promise<void>,
): Command {
  return withExamples(
    new Command(name)
      .description(about)
      .argument("[args...]", "what git gives the hook")
      .option("--warn-only", "tell what is wrong, and let it through")
      .action(run),
    [`gitsign hook ${name} -- "$@"     # in the hook ${name}`],
  )
}

/** A person who tries it out would wait for it, and it for them. */
function refuseTerminal(name: string): void {
  if (!isatty(0)) return
  throw new GitsignError("ERR_HOOK", `git runs this hook, and tells it on stdin what is pushed`, {
    hint: `have git run it with: gitsign hook install${name === "pre-receive" ? " --server" : ""}`,
  })
}

function installCommand(io: CommandIo, messages: Messages): Command {
  const command = new Command("install")
    .description("have git run the hooks of this repository; hooks that are there already are kept and run too")
    .option("--server", "for the side that receives: pre-receive (in a bare repository this is meant anyway)")
    .option("--client", "for the side that pushes: pre-push and post-merge")
    .option("--each-ref", "the hook update instead of pre-receive: refuses only the refs that are wrong")
    .option("--warn-only", "tell what is wrong, and let it through")
    .option("--shared", "also where core.hooksPath is set for other repositories too")
    .action(async (options: HookInstallOptions) => {
      if (options.server && options.client)
        throw new GitsignError("ERR_USAGE", "--server and --client exclude each other")
      const { installHooks } = await import("./hook-install.ts")
      await installHooks(io, messages, options)
    })
  return withExamples(command, ["gitsign hook install", "gitsign hook install --server --each-ref"])
}

function uninstallCommand(io: CommandIo): Command {
  const command = new Command("uninstall")
    .description("take gitsign's hooks away, and put those back that were there before")
    .option("--shared", "also where core.hooksPath is set for other repositories too")
    .action(async (options: { readonly shared?: boolean }) => {
      const { uninstallHooks } = await import("./hook-install.ts")
      await uninstallHooks(io, options)
    })
  return withExamples(command, ["gitsign hook uninstall"])
}

function helpVerb(): Command {
  const command = new Command("help")
    .description("show the help of one of these")
    .argument("[verb]", "one of these")
    .action((verb?: string) => showHelp(command.parent ?? command, verb === undefined ? [] : [verb]))
  return withExamples(command, ["gitsign hook help install"])
}
