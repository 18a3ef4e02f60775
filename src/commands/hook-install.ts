/**
 * `gitsign hook install` and `uninstall`.
 *
 * @module
 */

import { isAbsolute, resolve } from "node:path"
import { currentProgram } from "../../cache-daemon/spawn.ts"
import { readPolicyAt } from "../audit/policy-source.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import { printable, shellQuote } from "../formats/printable.ts"
import { tryResolve } from "../git/revisions.ts"
import { configuredPolicy } from "./audit-options.ts"
import { planBlock, planHook, removeHook, type Tell } from "./hook-files.ts"
import { hookPlace } from "./hook-place.ts"
import { HOOKS, type HookName } from "./hook-script.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { loadConfig } from "./settings.ts"
import { thisProgram } from "./this-program.ts"

/** The flags of `install`. */
export interface HookInstallOptions {
  readonly server?: boolean
  readonly client?: boolean
  /** The hook update instead of pre-receive: each ref is accepted or refused by itself. */
  readonly eachRef?: boolean
  readonly warnOnly?: boolean
  /** Also where other repositories take their hooks from the same directory. */
  readonly shared?: boolean
}

/**
 * Writes the hooks of one side; what is in place already stays as it is.
 *
 * @throws ERR_HOOK where hooks cannot be put without harm, with what to do; ERR_IO when a file cannot be written
 */
export async function installHooks(io: CommandIo, messages: Messages, options: HookInstallOptions): Promise<void> {
  const place = await hookPlace(io)
  const isServer = options.server ?? (options.client ? false : place.isBare)
  if (options.eachRef && !isServer) throw new GitsignError("ERR_USAGE", "--each-ref is for the hooks of a server")
  if (place.sharedBy !== undefined && !options.shared) {
    throw new GitsignError(
      "ERR_HOOK",
      `${place.sharedBy} has other repositories take their hooks from ${place.directory} too`,
      {
        hint: `install them for all of these with --shared, or first ${
          place.directory === place.ownDirectory
            ? "put a folder of its own in the place of the link"
            : `run: git config core.hooksPath ${shellQuote(place.ownDirectory)}`
        }`,
      },
    )
  }
  if (isServer && place.kind === "husky") {
    throw new GitsignError("ERR_HOOK", "husky has no hooks for the receiving side", {
      hint: "install them in the repository that is pushed to; here: gitsign hook install --client",
    })
  }
  const names: HookName[] = isServer ? [options.eachRef ? "update" : "pre-receive"] : ["pre-push", "post-merge"]
  const common = { directory: place.directory, program: programOf(io), warnOnly: options.warnOnly === true }
  const plan = place.kind === "husky" ? planBlock : planHook
  // Nothing is written where one of them could not be.
  const steps = names.map((name) => plan({ ...common, name }))
  const tell = teller(io)
  for (const step of steps) step(tell)
  // With both, the same would be verified twice. With neither, if this one went first, nothing would.
  if (isServer) removeHook(place.directory, options.eachRef ? "pre-receive" : "update", tell)
  if (isServer) await tellOfPolicy(io, messages, options.warnOnly === true)
}

/** Takes away all hooks of this program, and gives those that were there before their names back. */
export async function uninstallHooks(io: CommandIo): Promise<void> {
  const { directory, ownDirectory } = await hookPlace(io)
  const tell = teller(io)
  let found = false
  // They may have been put there before core.hooksPath was set.
  for (const one of new Set([directory, ownDirectory])) {
    for (const name of Object.keys(HOOKS) as HookName[]) found = removeHook(one, name, tell) || found
  }
  if (!found) io.stdout("nothing was installed\n")
}

const teller =
  (io: CommandIo): Tell =>
  (line) =>
    io.stdout(`${printable(line)}\n`)

function programOf(io: CommandIo): string[] {
  const { command, args } = thisProgram()
  const words = args.map((word) => (word.startsWith("-") || isAbsolute(word) ? word : resolve(io.cwd, word)))
  return [currentProgram(command), ...words]
}

/** Without a policy every push is refused, which is better known now. */
async function tellOfPolicy(io: CommandIo, messages: Messages, warnOnly: boolean): Promise<void> {
  const what = warnOnly ? "every push gets a warning" : "every push is refused"
  try {
    if ((await configuredPolicy(io, await loadConfig(io, messages))) !== undefined) return
    const head = await tryResolve(io, "HEAD^{commit}")
    if (head !== undefined && (await readPolicyAt(io, head, "HEAD")) !== undefined) return
    messages.say(`warning: there is no policy yet, and until there is one ${what}`)
    messages.say(
      "hint: push .gitsign/policy.yaml before the hook is installed (gitsign policy init proposes one), or here: git config gitsign.policy FILE",
    )
  } catch (error) {
    if (!isGitsignError(error)) throw error
    messages.say(`warning: the policy cannot be used, and until it can ${what}`)
    messages.error(error)
  }
}
