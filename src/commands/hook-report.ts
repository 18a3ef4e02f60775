/**
 * What a push comes to, ref by ref, in words for whoever pushes.
 *
 * @module
 */

import type { RefRefusal, UpdateGroup } from "../audit/receive-plan.ts"
import { type AuditedObject, type AuditResult, exitStatusOf } from "../audit/result.ts"
import { ERROR_CODES } from "../errors.ts"
import { printable } from "../formats/printable.ts"
import type { PushedRef } from "../git/pushed-refs.ts"
import { type HookTextOptions, hookText } from "../report/hook-text.ts"
import { mendOf } from "./hook-mend.ts"

/** All that was found out about a push. */
export interface PushVerdict {
  /** Refs that are refused for what they are. */
  readonly refusals: readonly RefRefusal[]
  /** What had to be verified, and came of it. */
  readonly parts: readonly VerifiedPart[]
}

/** Groups of updates, and the one audit of all that they ask about. */
export interface VerifiedPart {
  readonly groups: readonly UpdateGroup[]
  readonly result: AuditResult
}

/** Refs that are told one by one; of a push of thousands nobody reads more. */
const MAX_REFS = 20

/** Refs for which it is found out what they lead to, so that the first that are refused can be told. */
const MAX_LOOKED = 1000

/** And this many objects are gone through for that: the time limit is over by then, and somebody waits. */
const MAX_WORK = 5_000_000

/** 0 when nothing is wrong; else the exit status of the worst: 1 not verified, 2 the policy, 3 not checked. */
export function statusOfPush({ refusals, parts }: PushVerdict): number {
  const found = refusals.map(({ problem }): number => ERROR_CODES[problem.code].exit)
  found.push(...parts.map(({ result }) => exitStatusOf(result.totals)))
  // Whatever is refused for is never nothing.
  return [1, 2, 3].find((status) => found.includes(status)) ?? (refusals.length > 0 ? 3 : 0)
}

/** Whether nothing is known to be wrong, and something could not be checked. */
export const isOnlyUnchecked = (verdict: PushVerdict): boolean =>
  verdict.refusals.length === 0 && statusOfPush(verdict) === 3

/**
 * The lines about a push, empty when everything is in order.
 *
 * @param remote what is pushed to, by the name that whoever pushes has for it; undefined on the receiving side
 */
export function pushText(
  verdict: PushVerdict,
  outcome: NonNullable<HookTextOptions["outcome"]>,
  remote?: string,
): string {
  return refusalsText(verdict.refusals, outcome) + groupsText(verdict, outcome, remote)
}

const OUTCOMES = {
  refused: "refused",
  "would be refused": "the other side would refuse",
  warning: "warning for",
} as const

/** Many refs may have the same thing wrong with them; its hint is told once. */
function refusalsText(refusals: readonly RefRefusal[], outcome: NonNullable<HookTextOptions["outcome"]>): string {
  const told = refusals.slice(0, MAX_REFS)
  const more = refusals.length - told.length
  const hints = new Set(refusals.flatMap(({ problem }) => problem.hint ?? []))
  return [
    ...told.map(
      ({ ref, problem }) =>
        `gitsign: ${OUTCOMES[outcome]} ${printable(ref)}: ${printable(problem.message)} [${problem.code}]\n`,
    ),
    ...(more > 0 ? [`gitsign: ${OUTCOMES[outcome]} ${more} more refs\n`] : []),
    ...[...hints].slice(0, 3).map((hint) => `gitsign: hint: ${printable(hint)}\n`),
  ].join("")
}

function groupsText(
  { parts }: PushVerdict,
  outcome: NonNullable<HookTextOptions["outcome"]>,
  remote: string | undefined,
): string {
  const texts: string[] = []
  let refs = 0
  let looked = 0
  for (const { groups, result } of parts) {
    if (exitStatusOf(result.totals) === 0) continue
    const byId = new Map(result.objects.map((object) => [object.id, object]))
    const most = Math.min(MAX_LOOKED, MAX_REFS + MAX_WORK / result.objects.length)
    const before = texts.length
    for (const group of groups) {
      for (const update of group.updates) {
        refs++
        if (texts.length >= MAX_REFS || looked >= most) continue
        looked++
        const part = resultFor(update, group, { byId, result, remote })
        // What people should know about all of it is told once.
        const notes = texts.length === 0 ? result.notes : []
        if (exitStatusOf(part.totals) !== 0) texts.push(hookText({ ...part, notes }, { ref: update.ref, outcome }))
      }
    }
    // What is wrong is always told, also where no ref was found that leads to it.
    if (texts.length === before && texts.length < MAX_REFS) texts.push(hookText(result, { ref: "this push", outcome }))
  }
  if (looked < refs) texts.push(`gitsign: ${refs - looked} more refs were verified and are not told one by one\n`)
  return texts.join("")
}

/** The part of an audit that one ref is about. */
function resultFor(
  update: PushedRef,
  group: UpdateGroup,
  {
    byId,
    result,
    remote,
  }: {
    readonly byId: ReadonlyMap<string, AuditedObject>
    readonly result: AuditResult
    readonly remote: string | undefined
  },
): AuditResult {
  const reached = reachedFrom(update, group, byId)
  const objects = result.objects.filter((one) => reached.has(one.id) && concerns(one, group))
  const count = (verdict: AuditedObject["verdict"]): number => objects.filter((one) => one.verdict === verdict).length
  const totals = { ok: count("ok"), bad: count("bad"), unchecked: count("unchecked") }
  return { ...result, refs: [update.ref], objects, totals, mend: mendOf(update, objects, remote) }
}

function reachedFrom(
  { after }: PushedRef,
  { target }: UpdateGroup,
  byId: ReadonlyMap<string, AuditedObject>,
): ReadonlySet<string> {
  const excluded = new Set(target.exclude)
  const reached = new Set<string>()
  const next = after === undefined ? [] : [after]
  for (let id = next.pop(); id !== undefined; id = next.pop()) {
    const object = byId.get(id)
    if (object === undefined || reached.has(id) || excluded.has(id)) continue
    reached.add(id)
    if (target.walk) next.push(...object.parents)
  }
  return reached
}

/** An object that is new on two refs is judged for both, and refused by the rules of one. */
const concerns = ({ judgement }: AuditedObject, { rules }: UpdateGroup): boolean =>
  judgement?.refusedBy === undefined || rules.includes(judgement.refusedBy)
