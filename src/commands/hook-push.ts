/**
 * `gitsign hook pre-push`: what the other side would refuse is told before it leaves (githooks(5)).
 *
 * What is known of the other side are its remote-tracking refs. It judges by itself in any case, so that whatever cannot be told here
 * goes through.
 *
 * @module
 */

import type { AuditOptions } from "../audit/audit.ts"
import { policiesInForce, policyRefusals } from "../audit/policies-in-force.ts"
import { planReceive } from "../audit/receive-plan.ts"
import { isGitsignError } from "../errors.ts"
import { shellQuote } from "../formats/printable.ts"
import { lookUp } from "../git/look-up.ts"
import { type PushedRef, parsePushed } from "../git/pushed-refs.ts"
import { askHead, type RemoteRefs, remoteRefs } from "../git/remote-refs.ts"
import { currentBranch } from "../git/revisions.ts"
import type { GitContext } from "../git/run.ts"
import { auditOptionsOf } from "./audit-options.ts"
import { type HookOptions, verifyPlan } from "./hook-receive.ts"
import { type PushVerdict, pushText, statusOfPush } from "./hook-report.ts"
import { type CommandIo, readInput } from "./io.ts"
import type { Messages } from "./messages.ts"
import { loadConfig } from "./settings.ts"
import { withinSeconds } from "./time-limit.ts"

/** The hook pre-push; reads the updates from stdin and returns the exit status: 1 when the other side would refuse the push. */
export async function prePush(
  io: CommandIo,
  messages: Messages,
  [remote = "", address = ""]: readonly string[],
  { warnOnly = false }: HookOptions,
): Promise<number> {
  try {
    const updates = parsePushed(readInput(io, "-"))
    if (updates.every(({ after }) => after === undefined)) return 0
    // What a setting names here need not be what the other side goes by.
    const config = { ...(await loadConfig(io, messages)), policy: undefined, rootPolicy: undefined }
    const known = await remoteRefs(io, remote)
    const { verdict, leavesBadPolicy, isCertain } = await withinSeconds(config.hookTimeLimit, async (signal) =>
      judgeForRemote(io, await withBranches(io, updates), known, async () => ({
        ...(await auditOptionsOf(io, config)),
        signal,
      })),
    )
    const isWrong = (statusOfPush(verdict) === 1 || leavesBadPolicy) && !warnOnly
    const isRefused = isWrong && (await isCertain(async () => (address === "" ? undefined : askHead(io, address))))
    messages.write(pushText(verdict, isRefused ? "would be refused" : "warning", remote))
    if (isWrong && !isRefused) {
      messages.say(
        `warning: that is by the last fetch of ${remote}, which may have another policy by now; pushed all the same`,
      )
      messages.say(`hint: git fetch ${shellQuote(remote)}`)
    }
    return isRefused ? 1 : 0
  } catch (error) {
    if (!isGitsignError(error)) throw error
    messages.error(error)
    messages.say("warning: nothing was verified before this push; the other side may refuse it")
    return 0
  }
}

/** Of `git push origin HEAD:main` git tells no branch, and which one it is has to be told to whoever is to mend it. */
async function withBranches(context: GitContext, updates: readonly PushedRef[]): Promise<PushedRef[]> {
  const current = updates.some(({ local }) => local === "HEAD") ? await currentBranch(context) : undefined
  return updates.map((one) => (one.local === "HEAD" && current !== undefined ? { ...one, local: current } : one))
}

/** The default branch over there: its commit, its full name there, and what it is called here. */
interface DefaultBranch {
  readonly id: string
  readonly ref: string
  readonly name: string
}

/** What the other side would say, as far as it is known. */
interface ForRemote {
  readonly verdict: PushVerdict
  readonly leavesBadPolicy: boolean
  /** Whether the policies that it goes by are surely those of now: git has just told the branches that have them, or `ask` does. */
  readonly isCertain: (ask: () => Promise<Pick<DefaultBranch, "ref" | "id"> | undefined>) => Promise<boolean>
}

async function judgeForRemote(
  context: GitContext,
  pushed: readonly PushedRef[],
  known: RemoteRefs,
  optionsOf: () => Promise<AuditOptions>,
): Promise<ForRemote> {
  const ids = pushed.flatMap(({ before, after }) => [before, after].filter((id) => id !== undefined))
  const types = new Map((await lookUp(context, ids)).flatMap((found, index) => [[ids[index], found?.type]] as const))
  const tracked = new Map(known.branches.map(({ ref, id }) => [ref, id]))
  const isHere = ({ before }: PushedRef): boolean => types.get(before) !== undefined
  const updates = pushed.map((one) => ({
    ...one,
    // What the other side has may not be here yet.
    before: isHere(one) ? one.before : tracked.get(one.ref),
  }))
  // git has just asked the other side, which knows better than what was fetched some time ago.
  for (const { ref, before } of updates)
    if (before !== undefined && ref.startsWith("refs/heads/")) tracked.set(ref, before)
  const branches = [...tracked].map(([ref, id]) => ({ ref, id }))
  const head = headOf(known, tracked)
  const policyOf = await policiesInForce(context, head, branches)
  // Without a policy over there nothing is asked for.
  const asked = updates.filter(({ ref }) => policyOf(ref) !== undefined)
  const plan = planReceive({
    updates: asked,
    branches,
    typeOf: (id) => types.get(id),
    policyOf,
    policyMissing: { code: "ERR_POLICY_MISSING", message: "there is no policy to judge it by", hint: undefined },
  })
  const commits = asked.filter(({ after }) => after !== undefined && types.get(after) === "commit")
  const policyAfter = await policyRefusals(context, head, commits)
  const all = { ...plan, refusals: [...plan.refusals, ...policyAfter] }
  const verdict =
    plan.groups.length === 0 ? { refusals: all.refusals, parts: [] } : await verifyPlan(context, all, await optionsOf())
  const isCertain: ForRemote["isCertain"] = async (ask) => {
    const branchesPushed = pushed.filter(({ ref, after }) => after !== undefined && ref.startsWith("refs/heads/"))
    if (branchesPushed.some((one) => one.before !== undefined && !isHere(one))) return false
    if (head !== undefined && pushed.some((one) => one.ref === head.ref && isHere(one))) return true
    const now = await ask()
    if (now === undefined) return false
    return head === undefined ? asked.every(({ ref }) => ref === now.ref) : head.ref === now.ref && head.id === now.id
  }
  return { verdict, leavesBadPolicy: policyAfter.length > 0, isCertain }
}

function headOf({ head }: RemoteRefs, tracked: ReadonlyMap<string, string>): DefaultBranch | undefined {
  const id = head === undefined ? undefined : tracked.get(head.ref)
  return head === undefined || id === undefined ? undefined : { id, ref: head.ref, name: head.name }
}
