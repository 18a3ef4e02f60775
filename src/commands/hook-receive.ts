/**
 * `gitsign hook pre-receive` and `gitsign hook update`: whether what is pushed here may come in (githooks(5)).
 *
 * @module
 */

import { type AuditOptions, audit } from "../audit/audit.ts"
import { policiesInForce, policyRefusals } from "../audit/policies-in-force.ts"
import { type PolicyInForce, splitRevision } from "../audit/policy-source.ts"
import {
  firstParentGap,
  planReceive,
  type ReceivePlan,
  type RefRefusal,
  type UpdateGroup,
} from "../audit/receive-plan.ts"
import type { Problem } from "../audit/result.ts"
import type { AuditTarget } from "../audit/targets.ts"
import type { Config } from "../config.ts"
import { ERROR_CODES, GitsignError, isGitsignError } from "../errors.ts"
import { lookUp } from "../git/look-up.ts"
import { type PushedRef, parseReceived, refUpdate } from "../git/pushed-refs.ts"
import { type PushedRefs, pushedRefs } from "../git/ref-state.ts"
import { resolveRevision, walkCommits } from "../git/revisions.ts"
import { type GitContext, runGit } from "../git/run.ts"
import { auditOptionsOf, configuredPolicy } from "./audit-options.ts"
import { isOnlyUnchecked, type PushVerdict, pushText, statusOfPush, type VerifiedPart } from "./hook-report.ts"
import { type CommandIo, readInput } from "./io.ts"
import type { Messages } from "./messages.ts"
import { loadConfig } from "./settings.ts"
import { withinSeconds } from "./time-limit.ts"

/** The flags of a hook. */
export interface HookOptions {
  /** Tells what is wrong and lets it in. */
  readonly warnOnly?: boolean
}

/**
 * The hook pre-receive; reads the updates from stdin and returns the exit status.
 *
 * @throws ERR_HOOK when they are not what git says; whatever makes it impossible to tell, unless gitsign.hookUnchecked lets that in
 */
export const preReceive = (io: CommandIo, messages: Messages, options: HookOptions): Promise<number> =>
  receive(io, messages, () => whatWasSaid(parseReceived(readInput(io, "-"))), options)

/** git runs this hook for what is pushed, and never for nothing: whoever has read it already has left nothing to refuse. */
function whatWasSaid(updates: readonly PushedRef[]): readonly PushedRef[] {
  if (updates.length > 0) return updates
  throw new GitsignError(
    "ERR_HOOK",
    "this hook was told nothing of what is pushed: where git has run it, another hook has read that before",
    {
      hint: `whoever runs the repository has to have that hook hand on what it reads, as in: input=$(cat) && printf '%s\\n' "$input" | gitsign hook pre-receive`,
    },
  )
}

/** The hook update, for one ref; throws as {@link preReceive}. */
export const update = (
  io: CommandIo,
  messages: Messages,
  [ref, before, after]: readonly string[],
  options: HookOptions,
): Promise<number> => receive(io, messages, () => [refUpdate(ref, before, after)], options)

async function receive(
  io: CommandIo,
  messages: Messages,
  read: () => readonly PushedRef[],
  { warnOnly = false }: HookOptions,
): Promise<number> {
  let letsUncheckedIn = false
  try {
    const updates = read()
    // Who deletes needs no signature; who may delete is for git's own settings to say.
    if (updates.every(({ after }) => after === undefined)) return 0
    const config = await loadConfig(io, messages)
    letsUncheckedIn = config.hookUnchecked === "warn"
    const verdict = await withinSeconds(config.hookTimeLimit, async (signal) => {
      const policy = await ofRepository(() => configuredPolicy(io, config))
      const options = await ofRepository(() => auditOptionsOf(io, config))
      return judgePush(io, updates, { config, policy }, { ...options, signal })
    })
    const status = statusOfPush(verdict)
    if (status === 0) return 0
    const isLetIn = warnOnly || (letsUncheckedIn && isOnlyUnchecked(verdict))
    messages.write(pushText(verdict, isLetIn ? "warning" : "refused"))
    return isLetIn ? 0 : status
  } catch (error) {
    if (!isGitsignError(error)) throw error
    const isUnchecked = ERROR_CODES[error.code].exit === 3
    if (!warnOnly && !(letsUncheckedIn && isUnchecked)) throw error
    messages.error(error)
    messages.say("warning: nothing was verified, and the push goes through all the same")
    return 0
  }
}

/** Whoever pushes can do nothing about a setting of the receiving side, and might look for it at home. */
async function ofRepository<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!isGitsignError(error)) throw error
    const { code, message, hint } = error
    throw new GitsignError(code, `a setting of the repository that is pushed to is wrong: ${message}`, {
      cause: error,
      hint: `whoever runs the repository can mend that${hint === undefined ? "" : `: ${hint}`}`,
    })
  }
}

/**
 * Judges the updates of a push by what the repository has before it.
 *
 * @param configured the policy that counts for everything, where there is one
 */
async function judgePush(
  io: CommandIo,
  pushed: readonly PushedRef[],
  { config, policy: configured }: { readonly config: Config; readonly policy: PolicyInForce | undefined },
  options: AuditOptions,
): Promise<PushVerdict> {
  // With a namespace (gitnamespaces(7)) git tells the names that the pusher sees; the refs lie deeper.
  const prefix = (io.env.GIT_NAMESPACE ?? "")
    .split("/")
    .filter((part) => part !== "")
    .map((part) => `refs/namespaces/${part}/`)
    .join("")
  const { updates, branches } = await pushedRefs(io, prefix, pushed)
  const head = await headOf(io, prefix, branches)
  const changed = [...new Set(updates.flatMap(({ after }) => after ?? []))]
  const types = new Map((await lookUp(io, changed)).flatMap((found, index) => [[changed[index], found?.type]] as const))
  // Which policies have been given up, only the default branch can tell: without one none counts.
  const ofRepository =
    configured === undefined && head !== undefined
      ? await policiesInForce(io, { id: head.id, name: shortName(head.ref) }, branches)
      : undefined
  const plan = planReceive({
    updates,
    branches,
    typeOf: (id) => types.get(id),
    policyOf: (ref) => configured ?? ofRepository?.(ref),
    policyMissing: policyMissing(head),
  })
  const commits = updates.filter(({ after }) => after !== undefined && types.get(after) === "commit")
  const refusals =
    configured === undefined
      ? await policyRefusals(io, head, commits)
      : await configuredRefusals(io, config, prefix, commits)
  return verifyPlan(io, { ...plan, refusals: [...plan.refusals, ...refusals] }, options)
}

/** Where a setting names the policy of a branch, such as `HEAD:.gitsign/policy.yaml`, that branch is kept as the default branch is. */
async function configuredRefusals(
  io: CommandIo,
  { policy, rootPolicy }: Config,
  prefix: string,
  commits: readonly PushedRef[],
): Promise<RefRefusal[]> {
  const refusals: RefRefusal[] = []
  for (const setting of new Set([policy, rootPolicy])) {
    const named = setting === undefined ? undefined : splitRevision(setting)
    if (named === undefined) continue
    const { id, ref } = await ofRepository(() => resolveRevision(io, named.revision))
    const own = commits.filter((update) => `${prefix}${update.ref}` === ref)
    if (own.length === 0) continue
    refusals.push(...(await policyRefusals(io, { id, ref: own[0]?.ref }, own, named.path)))
  }
  return refusals
}

/** Verifies what a plan asks for. */
export async function verifyPlan(
  context: GitContext,
  { groups, refusals }: ReceivePlan,
  options: AuditOptions,
): Promise<PushVerdict> {
  const parts: VerifiedPart[] = []
  for (const round of roundsOf(groups)) {
    const targets: AuditTarget[] = []
    for (const group of round) targets.push(group.target, ...(await gapTargets(context, group)))
    const asked = round.flatMap(({ updates }) => updates.map(({ ref }) => ref))
    parts.push({ groups: round, result: await audit(context, targets, { ...options, asked }) })
  }
  return { refusals, parts }
}

/** An audit has one answer for each object, and a tag that is pushed under two names needs two. */
function roundsOf(groups: readonly UpdateGroup[]): UpdateGroup[][] {
  const rounds: UpdateGroup[][] = []
  const seen = new Map<string, number>()
  for (const group of groups) {
    const id = group.target.walk ? undefined : group.target.include[0]
    const number = (id === undefined ? undefined : seen.get(id)) ?? 0
    if (id !== undefined) seen.set(id, number + 1)
    const round = rounds[number] ?? []
    rounds[number] = round
    round.push(group)
  }
  return rounds
}

/** What a rule for first parents has to see beside what is new. */
async function gapTargets(context: GitContext, { target, firstParent }: UpdateGroup): Promise<AuditTarget[]> {
  if (!firstParent || target.exclude.length === 0) return []
  const gap = firstParentGap({
    pushed: await walkCommits(context, target.include, [], { firstParent: true }),
    excluded: await walkCommits(context, target.exclude, [], { firstParent: true }),
    walked: await walkCommits(context, target.include, target.exclude),
  })
  return gap.length === 0 ? [] : [{ ...target, include: gap, exclude: [], walk: false }]
}

/** The default branch: its full name, where HEAD is one, and its commit. */
async function headOf(
  context: GitContext,
  prefix: string,
  branches: PushedRefs["branches"],
): Promise<{ readonly ref: string | undefined; readonly id: string } | undefined> {
  const { status, stdout } = await runGit(context, ["symbolic-ref", "--quiet", `${prefix}HEAD`])
  if (status === 0) {
    // Not by its name: where the branch is not there, git would take a tag called HEAD.
    const ref = stdout.toString("utf8").trim().slice(prefix.length)
    const id = branches.find((branch) => branch.ref === ref)?.id
    return id === undefined ? undefined : { id, ref }
  }
  const detached = await runGit(context, ["show-ref", "--verify", "--hash", "--", `${prefix}HEAD`])
  return detached.status === 0 ? { id: detached.stdout.toString("latin1").trim(), ref: undefined } : undefined
}

const shortName = (ref: string | undefined): string => ref?.slice("refs/heads/".length) ?? "HEAD"

function policyMissing(head: { readonly ref: string | undefined } | undefined): Problem {
  const { hint } = new GitsignError("ERR_POLICY_MISSING", "")
  return head === undefined
    ? {
        code: "ERR_POLICY_MISSING",
        message:
          "there is no policy to judge it by, since the branch that HEAD of the receiving repository names is not there yet",
        hint: "the first push has to come before the hook; whoever runs the repository can also name another branch with: git symbolic-ref HEAD refs/heads/NAME, or a policy with: git config gitsign.policy FILE",
      }
    : {
        code: "ERR_POLICY_MISSING",
        message: `there is no policy to judge it by, since ${shortName(head.ref)} has no .gitsign/policy.yaml`,
        hint: `${hint}; whoever runs the repository can name a policy with: git config gitsign.policy FILE`,
      }
}
