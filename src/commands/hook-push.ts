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
import type { PolicyInForce } from "../audit/policy-source.ts"
import { planReceive } from "../audit/receive-plan.ts"
import { isGitsignError } from "../errors.ts"
import { lookUp } from "../git/look-up.ts"
import { type PushedRef, parsePushed } from "../git/pushed-refs.ts"
import { type RemoteRefs, remoteRefs } from "../git/remote-refs.ts"
import type { GitContext } from "../git/run.ts"
import { auditOptionsOf, configuredPolicy } from "./audit-options.ts"
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
  [remote = ""]: readonly string[],
  { warnOnly = false }: HookOptions,
): Promise<number> {
  try {
    const updates = parsePushed(readInput(io, "-"))
    if (updates.every(({ after }) => after === undefined)) return 0
    const config = await loadConfig(io, messages)
    const { verdict, leavesBadPolicy } = await withinSeconds(config.hookTimeLimit, async (signal) => {
      const policy = await configuredPolicy(io, config)
      const known = await remoteRefs(io, remote)
      return judgeForRemote(io, updates, known, policy, async () => ({ ...(await auditOptionsOf(io, config)), signal }))
    })
    const isRefused = (statusOfPush(verdict) === 1 || leavesBadPolicy) && !warnOnly
    messages.write(pushText(verdict, isRefused ? "would be refused" : "warning"))
    return isRefused ? 1 : 0
  } catch (error) {
    if (!isGitsignError(error)) throw error
    messages.error(error)
    messages.say("warning: nothing was verified before this push; the other side may refuse it")
    return 0
  }
}

async function judgeForRemote(
  context: GitContext,
  pushed: readonly PushedRef[],
  known: RemoteRefs,
  configured: PolicyInForce | undefined,
  optionsOf: () => Promise<AuditOptions>,
): Promise<{ readonly verdict: PushVerdict; readonly leavesBadPolicy: boolean }> {
  const ids = pushed.flatMap(({ before, after }) => [before, after].filter((id) => id !== undefined))
  const types = new Map((await lookUp(context, ids)).flatMap((found, index) => [[ids[index], found?.type]] as const))
  const tracked = new Map(known.branches.map(({ ref, id }) => [ref, id]))
  const updates = pushed.map((one) => ({
    ...one,
    // What the other side has may not be here yet.
    before: types.get(one.before) === undefined ? tracked.get(one.ref) : one.before,
  }))
  // git has just asked the other side, which knows better than what was fetched some time ago.
  for (const { ref, before } of updates)
    if (before !== undefined && ref.startsWith("refs/heads/")) tracked.set(ref, before)
  const branches = [...tracked].map(([ref, id]) => ({ ref, id }))
  const head = headOf(known, tracked)
  const ofRemote = configured === undefined ? await policiesInForce(context, head, branches) : undefined
  const policyOf = (ref: string): ReturnType<NonNullable<typeof ofRemote>> => configured ?? ofRemote?.(ref)
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
  const policyAfter = configured === undefined ? await policyRefusals(context, head, commits) : []
  const all = { ...plan, refusals: [...plan.refusals, ...policyAfter] }
  const verdict =
    plan.groups.length === 0 ? { refusals: all.refusals, parts: [] } : await verifyPlan(context, all, await optionsOf())
  return { verdict, leavesBadPolicy: policyAfter.length > 0 }
}

function headOf(
  { head }: RemoteRefs,
  tracked: ReadonlyMap<string, string>,
): { readonly id: string; readonly ref: string; readonly name: string } | undefined {
  const id = head === undefined ? undefined : tracked.get(head.ref)
  return head === undefined || id === undefined ? undefined : { id, ref: head.ref, name: head.name }
}
