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
  readonly dryRun?: boolean
  readonly undo?: boolean
}

/** The verb `resign`. */
export function resignCommand(io: CommandIo, messages: Messages): Command {
  const command = new Command("resign")
    .description("sign commits again that are not pushed yet, with one login, and move the branch to them")
    .argument("[range]", "A..BRANCH, or A.. for the branch you are on; with --root and --undo a branch")
    .option("--root", "sign the whole history of the branch")
    .option("--all", "sign also those commits at the beginning of the range that are in order")
    .option("--update-refs", "move other branches along that point to these commits")
    .option("--force", "sign also what is on a remote already")
    .option("-n, --dry-run", "only say what would be done")
    .addOption(new Option("--undo", "take the last resign of the branch back").conflicts(["root", "all", "updateRefs"]))
    .action((range: string | undefined, options: ResignOptions) => resign(io, messages, range, options))
  return withExamples(command, [
    "gitsign resign @{upstream}..",
    "gitsign resign 77ab01d^..main",
    "gitsign resign --dry-run --update-refs origin/main..topic",
    "gitsign resign --undo",
  ])
}

async function resign(
  io: CommandIo,
  messages: Messages,
  range: string | undefined,
  options: ResignOptions,
): Promise<void> {
  if (options.undo) {
    const { undoResign } = await import("./resign-undo.ts")
    return undoResign(io, messages, range, options)
  }
  const { checkBranchIsFree, emptyRange, labelOf, resolveTarget } = await import("./resign-target.ts")
  const { doneText, nothingText, planNotes, planText } = await import("./resign-text.ts")
  const target = await resolveTarget(io, range, options.root === true)
  await checkBranchIsFree(io, target.ref)
  const { loadConfig } = await import("./settings.ts")
  const config = await loadConfig(io, messages)
  const { checkBranchHasRule, findProblems, policyFor, refusalOfNew } = await import("./resign-judge.ts")
  // Whoever asks for all commits may be about to mend the policy.
  const policy = await policyFor(io, config, target).catch((error: unknown) => {
    if (options.all && isGitsignError(error)) return undefined
    throw error
  })
  const plan = await makePlan()
  const { commits, leading } = plan
  if (plan.total === 0) throw await emptyRange(io, target)
  if (commits.length === 0) return io.stdout(nothingText(plan))
  checkBranchHasRule(policy, target)
  if (config.matchCommitter) checkCommitters()
  const branches = options.updateRefs ? leading.branches : []
  for (const { ref } of branches) await checkBranchIsFree(io, ref)
  const notes = planNotes(
    plan,
    branches.map(({ ref }) => ref),
  )
  if (options.dryRun) {
    io.stdout(planText(plan))
    for (const { ref } of branches) io.stdout(`would move ${labelOf(ref)} along\n`)
  }
  for (const note of notes) messages.say(note)
  if (options.dryRun) return
  const { runResign } = await import("./resign-run.ts")
  const resigned = await runResign(plan, branches, { io, messages, config })
  io.stdout(doneText(plan, resigned))
  const refusal = await refusalOfNew(io, config, target, policy, resigned)
  if (refusal !== undefined) messages.say(`warning: ${refusal}`)
  messages.say("hint: take it back with: gitsign resign --undo")

  async function makePlan() {
    const { planResign } = await import("./resign-plan.ts")
    const forced = options.force ? undefined : forcedCommand(range, options)
    if (options.all) return planResign(io, target, () => ({ message: "asked for" }), forced)
    const problems = await findProblems(io, config, target, policy)
    return planResign(io, target, (id) => problems.get(id), forced)
  }

  /** Told before the login, and again from the certificate. */
  function checkCommitters(): void {
    const { name, email } = config.committer
    const other = commits.find(({ summary: { committer } }) => committer.email !== email && committer.name !== name)
    if (other === undefined) return
    const { committer } = other.summary
    throw new GitsignError(
      "ERR_COMMITTER",
      `gitsign.matchCommitter is set, and the committer of ${other.id.slice(0, 12)} is ${committer.name} <${committer.email}>`,
      { hint: "have that person sign it, or make the commits your own with: git rebase --force-rebase -S" },
    )
  }
}

/** The same command with `--force`, to be pasted. */
function forcedCommand(range: string | undefined, { root, all, updateRefs, dryRun }: ResignOptions): string {
  const flags = [
    ...(root ? ["--root"] : []),
    ...(all ? ["--all"] : []),
    ...(updateRefs ? ["--update-refs"] : []),
    ...(dryRun ? ["--dry-run"] : []),
    "--force",
  ]
  return ["gitsign resign", ...flags, ...(range === undefined ? [] : [shellQuote(range)])].join(" ")
}
