/**
 * `gitsign hook install` and `uninstall`.
 *
 * @module
 */

import { isAbsolute, resolve } from "node:path"
import { currentProgram } from "../../cache-daemon/spawn.ts"
import { readPolicyAt, splitRevision } from "../audit/policy-source.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import { printable, shellQuote } from "../formats/printable.ts"
import { tryResolve } from "../git/revisions.ts"
import { configuredPolicy } from "./audit-options.ts"
import { isInstalled, planBlock, planHook, removeHook, type Tell } from "./hook-files.ts"
import { type HookPlace, hookPlace } from "./hook-place.ts"
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
    throw isShared(place.directory, place.sharedBy, "install them for all of these with --shared", place)
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
  if (isServer) await tellOfPolicy(asInHook(io, place), messages, options.warnOnly === true)
}

/**
 * Takes away all hooks of this program, and gives those that were there before their names back.
 *
 * @throws ERR_HOOK where other repositories would lose theirs, unless `shared`
 */
export async function uninstallHooks(io: CommandIo, { shared = false }: { readonly shared?: boolean }): Promise<void> {
  const place = await hookPlace(io)
  const names = Object.keys(HOOKS) as HookName[]
  // They may have been put there before core.hooksPath was set.
  const directories = new Map([
    [place.ownDirectory, place.ownSharedBy],
    [place.directory, place.sharedBy],
  ])
  for (const [directory, sharedBy] of directories) {
    if (sharedBy === undefined || shared || !names.some((name) => isInstalled(directory, name))) continue
    throw isShared(directory, sharedBy, "take them away from all of these with --shared", place)
  }
  const tell = teller(io)
  let found = false
  for (const directory of [...directories.keys()].reverse()) {
    for (const name of names) found = removeHook(directory, name, tell) || found
  }
  if (!found) io.stdout("nothing was installed\n")
}

function isShared(directory: string, sharedBy: string, forAll: string, { ownDirectory }: HookPlace): GitsignError {
  const apart =
    directory === ownDirectory
      ? "put a folder of its own in the place of the link"
      : `run: git config core.hooksPath ${shellQuote(ownDirectory)}`
  const message = `${sharedBy} has other repositories take their hooks from ${directory} too`
  return new GitsignError("ERR_HOOK", message, { hint: `${forAll}, or first ${apart}` })
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

/** As git runs a hook of the receiving side: a relative path in a setting may mean another file there than here. */
const asInHook = (io: CommandIo, { gitDirectory }: HookPlace): CommandIo => ({
  ...io,
  cwd: gitDirectory,
  env: { ...io.env, GIT_DIR: "." },
})

/** Without a policy every push is refused, which is better known now. */
async function tellOfPolicy(io: CommandIo, messages: Messages, warnOnly: boolean): Promise<void> {
  const what = warnOnly ? "every push gets a warning" : "every push is refused"
  let setting: string | undefined
  try {
    const config = await loadConfig(io, messages)
    setting = config.policy
    if ((await configuredPolicy(io, config)) !== undefined) return
    const head = await tryResolve(io, "HEAD^{commit}")
    if (head !== undefined && (await readPolicyAt(io, head, "HEAD")) !== undefined) return
    messages.say(`warning: there is no policy yet, and until there is one ${what}`)
    messages.say(
      "hint: push .gitsign/policy.yaml before the hook is installed (gitsign policy init proposes one), or here: git config gitsign.policy FILE",
    )
  } catch (error) {
    if (!isGitsignError(error)) throw error
    messages.say(`warning: the policy cannot be used, and until it can ${what}`)
    const isRelative = setting !== undefined && !isAbsolute(setting) && splitRevision(setting) === undefined
    const hint = `a relative path in gitsign.policy begins at ${io.cwd} where a push is judged; give its whole path`
    messages.error(isRelative ? new GitsignError(error.code, error.message, { cause: error, hint }) : error)
  }
}
