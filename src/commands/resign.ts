/**
 * `gitsign resign`: signs commits again that are not published yet, with one login, and moves the branch to them.
 *
 * @module
 */

import { Command, Option } from "commander"
import { GitsignError, isGitsignError } from "../errors.ts"
import { shellQuote } from "../formats/printable.ts"
import { withExamples } from "./help.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"

/** The flags of `resign`. */
interface ResignOptions {
  readonly root?: boolean
  readonly all?: boolean
  readonly updateRefs?: boolean
  readonly force?: boolean
  readonly allowChanged?: boolean
  readonly ref?: string
  readonly dryRun?: boolean
  readonly undo?: boolean
}

/** The verb `resign`. */
export function resignCommand(io: CommandIo, messages: Messages): Command {
  const command = new Command("resign")
    .description("sign commits again that are not pushed yet, with one login, and move the branch to them")
    .argument("[range]", "A..BRANCH, or A.. for the branch you are on; with --root and --undo a branch")
    .argument("[except...]", "^B for what B has: it stays as it is")
    .option("--root", "sign the whole history of the branch")
    .option("--all", "sign also those commits at the beginning of the range that are in order")
    .option("--update-refs", "move other branches along that point to these commits")
    .option("--force", "sign also what is on a remote already")
    .option("--allow-changed", "sign also what was changed after somebody had signed it")
    .option("--ref <ref>", "the branch whose rules count, such as refs/heads/main")
    .option("-n, --dry-run", "only say what would be done")
    .addOption(
      new Option("--undo", "take the last resign of the branch back").conflicts([
        "root",
        "all",
        "updateRefs",
        "allowChanged",
        "ref",
      ]),
    )
    .action((range: string | undefined, except: string[], options: ResignOptions) =>
      resign(io, messages, range, except, options),
    )
  return withExamples(command, [
    "gitsign resign @{upstream}..",
    "gitsign resign 77ab01d^..main",
    "gitsign resign --dry-run --update-refs origin/main..topic",
    "gitsign resign origin/main..topic ^origin/dev",
    "gitsign resign --undo",
  ])
}

async function resign(
  io: CommandIo,
  messages: Messages,
  range: string | undefined,
  except: readonly string[],
  options: ResignOptions,
): Promise<void> {
  if (options.undo) {
    if (except.length > 0) throw new GitsignError("ERR_USAGE", "--undo takes one branch back at a time")
    const { undoResign } = await import("./resign-undo.ts")
    return undoResign(io, messages, range, options)
  }
  const { checkBranchIsFree, checkName, emptyRange, labelOf, resolveTarget } = await import("./resign-target.ts")
  const { doneText, nothingText, planNotes, planText } = await import("./resign-text.ts")
  const target = await resolveTarget(io, range, except, { root: options.root === true, ref: options.ref })
  await checkBranchIsFree(io, target.ref)
  const { checkChildIsThere } = await import("./resign-child.ts")
  await checkChildIsThere(io, target, (other) => commandText([other, ...except], options))
  const { loadConfig } = await import("./settings.ts")
  const config = await loadConfig(io, messages)
  const { checkBranchHasRule } = await import("./resign-branch-rule.ts")
  const { findProblems, policyFor, refusalOfNew } = await import("./resign-judge.ts")
  const { checkCommitters, checkUnchanged, committerWarning } = await import("./resign-warnings.ts")
  // Whoever asks for all commits may be about to mend the policy.
  const policy = await policyFor(io, config, target).catch((error: unknown) => {
    if (options.all && isGitsignError(error)) return undefined
    throw error
  })
  const plan = await makePlan()
  const { commits, leading } = plan
  if (plan.total === 0) throw await emptyRange(io, target, forBranch)
  if (commits.length === 0) return io.stdout(nothingText(plan))
  await checkHasRule()
  checkCommitters(commits, config)
  const vouched = checkUnchanged(commits, config, options.allowChanged ? undefined : commandWith("--allow-changed"))
  const branches = options.updateRefs ? leading.branches : []
  for (const { ref } of branches) {
    checkName(ref)
    await checkBranchIsFree(io, ref)
  }
  const { checkNotesCanBeCopied } = await import("../git/notes.ts")
  await checkNotesCanBeCopied(io, new Set(commits.map(({ id }) => id)))
  const moved = branches.map(({ ref }) => ref)
  const notes = [vouched, committerWarning(policy, plan, config), ...planNotes(plan, moved)]
  if (options.dryRun) {
    io.stdout(planText(plan))
    for (const { ref } of branches) io.stdout(`would move ${labelOf(ref)} along\n`)
  }
  for (const note of notes) if (note !== undefined) messages.say(note)
  if (options.dryRun) return
  const { runResign } = await import("./resign-run.ts")
  const resigned = await runResign(plan, branches, { io, messages, config })
  io.stdout(doneText(plan, resigned))
  const refusal = await refusalOfNew(io, config, target, policy, resigned)
  if (refusal !== undefined) messages.say(`warning: ${refusal}`)
  // With what stdout says, which may not have arrived: that nobody knows of it would be worse than to be told twice.
  messages.say(
    `hint: ${target.label} was moved; take it back with: gitsign resign --undo${target.ref === "HEAD" ? "" : ` ${shellQuote(await labelOrRef())}`}`,
  )

  async function makePlan() {
    const { planResign } = await import("./resign-plan.ts")
    const withRange = (other: string, more: readonly string[]): string =>
      commandText([other, ...more, ...except], { ...options, root: false })
    const ways = options.force ? undefined : { forced: commandWith("--force"), withRange }
    if (options.all) return planResign(io, target, () => ({ message: "asked for" }), ways)
    const problems = await findProblems(io, config, target, policy)
    // Without a rule all of them are wrong, and it is not said which ones to leave out.
    if (problems.size > 0) await checkHasRule()
    return planResign(io, target, (id) => problems.get(id), ways)
  }

  async function checkHasRule(): Promise<void> {
    await checkBranchHasRule(io, policy, target, options.ref === undefined ? forRef : undefined)
  }

  /** A tag may have the branch's name. */
  async function labelOrRef(): Promise<string> {
    const { tryResolve } = await import("../git/revisions.ts")
    return (await tryResolve(io, `refs/tags/${target.label}`)) === undefined ? target.label : target.ref
  }

  function forBranch(other: string | undefined, label: string): string {
    return commandText([other ?? label, ...except], options)
  }

  function forRef(ref: string): string {
    return commandText([...(range === undefined ? [] : [range]), ...except], { ...options, ref })
  }

  /** The same command with one flag more, to be pasted. */
  function commandWith(flag: string): string {
    return commandText([...(range === undefined ? [] : [range]), ...except], options, flag)
  }
}

/** A command with these flags, to be pasted. */
function commandText(
  words: readonly string[],
  { root, all, updateRefs, force, allowChanged, ref, dryRun }: ResignOptions,
  ...more: readonly string[]
): string {
  const flags = [
    ...(root ? ["--root"] : []),
    ...(all ? ["--all"] : []),
    ...(updateRefs ? ["--update-refs"] : []),
    ...(force ? ["--force"] : []),
    ...(allowChanged ? ["--allow-changed"] : []),
    ...(ref === undefined ? [] : ["--ref", shellQuote(ref)]),
    ...(dryRun ? ["--dry-run"] : []),
    ...more,
  ]
  return ["gitsign resign", ...flags, ...words.map(shellQuote)].join(" ")
}
