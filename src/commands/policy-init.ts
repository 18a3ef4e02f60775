/**
 * `gitsign policy init`: proposes a policy from who has signed so far, and tells what would be refused under it.
 *
 * @module
 */

import { type AuditOptions, audit } from "../audit/audit.ts"
import type { PolicyInForce } from "../audit/policy-source.ts"
import type { AuditResult } from "../audit/result.ts"
import { policyOfText, seedPolicy } from "../audit/seed-policy.ts"
import { type Beginning, type Beginnings, beginningsOf, type Seen, signersSeen } from "../audit/signers-seen.ts"
import type { AuditTarget } from "../audit/targets.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import { jsonText, printable } from "../formats/printable.ts"
import { currentBranch, listRefs, resolveCommit, tryResolve, walkCommits } from "../git/revisions.ts"
import { runGit } from "../git/run.ts"
import { type ProposedSince, proposePolicy } from "../policy/propose.ts"
import { auditOptionsOf } from "./audit-options.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { type FormatOption, topOf } from "./policy-argument.ts"
import { counted, type History, proposalDocument, proposalText, type Trial } from "./policy-init-text.ts"
import { policyFileFor, writePolicy } from "./policy-write.ts"
import { startProgress } from "./progress.ts"
import { checkRepository } from "./repository.ts"
import { loadConfig } from "./settings.ts"

/** What the verb is given. */
export interface InitOptions extends FormatOption {
  readonly all?: boolean
  readonly write?: boolean
  readonly force?: boolean
  readonly trustedRoot?: string
}

/**
 * Prints a proposal or writes it, and returns the exit status 0.
 *
 * @throws ERR_NOT_SIGNED when nobody has signed yet; ERR_USAGE when there is a policy already and it is not to be replaced; ERR_GIT
 */
export async function proposeFromHistory(io: CommandIo, messages: Messages, options: InitOptions): Promise<number> {
  await checkRepository(io)
  const file = options.write ? policyFileFor(await topOf(io), options.force === true) : undefined
  const config = await loadConfig(io, messages)
  // Who may change a policy is no question before there is one.
  const by = { ...(await auditOptionsOf(io, config, options.trustedRoot)), rootPolicy: undefined }
  const history = await historyOf(io, options.all === true)
  const before = await auditHistory(io, history, await seedPolicy(), by, "looking at")
  const seen = signersSeen(before.objects)
  const chain = await walkCommits(io, [history.head], [], { firstParent: true })
  const beginnings = beginningsOf(chain, before.objects)
  const text = proposalOf(history, seen, beginnings)
  const policy = await policyOfText(text, "the proposed policy")
  const trial = await tryOn(io, history, policy, by)
  if (file !== undefined) writePolicy(file, text, options.force === true)
  const outcome = { history, seen, beginnings, text, policy, notes: before.notes, trial, file }
  if (options.format === "json") io.stdout(jsonText(proposalDocument(outcome)))
  else {
    io.stdout(file === undefined ? text : `wrote ${printable(file)}\n`)
    messages.write(proposalText(outcome))
  }
  return 0
}

async function historyOf(io: CommandIo, all: boolean): Promise<History> {
  if ((await tryResolve(io, "HEAD")) === undefined) {
    throw new GitsignError("ERR_USAGE", "there is no commit in this repository yet", {
      hint: "make the first signed commit with: git commit -S",
    })
  }
  const { id: head } = await resolveCommit(io, "HEAD")
  const refs = await listRefs(io, "refs/tags/", ...(all ? ["refs/heads/", "refs/remotes/"] : []))
  const tags = refs.filter(({ name }) => name.startsWith("refs/tags/"))
  const tips = refs.filter(({ name, type }) => !name.startsWith("refs/tags/") && type === "commit").map(({ id }) => id)
  return {
    branch: await defaultBranch(io),
    head,
    tips: [...new Set([head, ...tips])],
    tags: tags.filter(({ type }) => type === "tag"),
    lightweight: tags.filter(({ type }) => type !== "tag").map(({ name }) => name),
  }
}

/** What the remote calls its default branch, else main or master where there is one, else the branch that is checked out. */
async function defaultBranch(io: CommandIo): Promise<string> {
  const { stdout } = await runGit(io, ["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"])
  const remote = /^refs\/remotes\/origin\/(.+)\n$/.exec(stdout.toString("utf8"))?.[1]
  const known = await listRefs(io, "refs/heads/main", "refs/heads/master")
  const current = await currentBranch(io)
  const isBare = (await topOf(io)) === undefined
  const found = isBare ? (current ?? known[0]?.name) : (known[0]?.name ?? current)
  return remote ?? found?.replace(/^refs\/heads\//, "") ?? "main"
}

/** What would become of the history under the proposal; a proposal stands where the history does not say, as in a partial clone. */
async function tryOn(io: CommandIo, history: History, policy: PolicyInForce, by: AuditOptions): Promise<Trial> {
  try {
    const { objects } = await auditHistory(io, history, policy, by, "trying it on")
    return { judged: objects.length, refused: objects.filter(({ verdict }) => verdict !== "ok") }
  } catch (error) {
    if (!isGitsignError(error) || error.exitStatus !== 3) throw error
    return { reason: error.message }
  }
}

/** Every commit and every tag that is an object, each judged by the policy under its own name. */
async function auditHistory(
  io: CommandIo,
  { branch, tips, tags }: History,
  policy: PolicyInForce,
  by: AuditOptions,
  what: string,
): Promise<AuditResult> {
  const common = { exclude: [], policy, fresh: false }
  const targets: AuditTarget[] = [
    { ...common, name: "HEAD", ref: `refs/heads/${branch}`, include: tips, walk: true },
    ...tags.map(({ name, id }) => ({ ...common, name, ref: name, include: [id], walk: false })),
  ]
  const progress = startProgress(what)
  try {
    return await audit(io, targets, { ...by, progress: progress.show })
  } finally {
    progress.end()
  }
}

const nobody = ({ commits, tags, unverified }: Seen): GitsignError => {
  const looked = `${counted(commits, "commit")} and ${counted(tags, "tag")}`
  const reasons = [...unverified].map(([code, count]) => `${count} ${code}`).join(", ")
  const message = `no signature that can be verified is on ${looked} (${reasons})`
  return new GitsignError("ERR_NOT_SIGNED", message, {
    hint: "sign a commit with: git commit -S, then propose again; or write the policy by hand",
  })
}

/** The text of the proposal. @throws ERR_NOT_SIGNED when nobody whom a policy can name has signed */
function proposalOf({ branch }: History, seen: Seen, { first, clean }: Beginnings): string {
  const people = seen.signers.map((one) => ({
    ...one,
    refs: [one.type === "tag" ? "refs/tags/" : `refs/heads/${branch}`],
  }))
  const text = proposePolicy(people, [globOf(branch)], first && sinceOf(first, clean))
  if (text === undefined) throw nobody(seen)
  return text
}

/** The glob for one name: of what means something in a glob, names of refs can have these. */
const globOf = (branch: string): string => branch.replace(/[\]{}]/g, "\\$&").replace(/^!/, "\\!")

function sinceOf({ commit, judged, unverified }: Beginning, clean: Beginning | undefined): ProposedSince {
  const reasons = ["The first signed commit; what was there before it is not judged."]
  if (unverified > 0) {
    const better = clean === undefined ? "" : ` From ${clean.commit} on all are verified.`
    reasons.push(
      `Of the ${judged} commits from then on ${unverified} cannot be verified and would be refused.${better}`,
    )
  }
  return { commit, reasons }
}
