/**
 * `gitsign verify`: are these commits and tags signed, and by who may sign them.
 *
 * @module
 */

import { Command, InvalidArgumentError, Option } from "commander"
import { type PolicyInForce, readPolicy, readPolicyAt } from "../audit/policy-source.ts"
import { asksForBranch } from "../audit/rules.ts"
import type { AuditTarget } from "../audit/targets.ts"
import type { Config } from "../config.ts"
import { GitsignError, isGitsignError } from "../errors.ts"
import { type GitObject, readOneObject } from "../git/objects.ts"
import { resolveCommit, resolveRevision } from "../git/revisions.ts"
import { REPORT_FORMATS, type ReportFormat } from "../report/report.ts"
import { auditOptionsOf, configuredPolicy } from "./audit-options.ts"
import { type CiContext, detectCi } from "./ci.ts"
import { withExamples } from "./help.ts"
import { addIdentityFlags, asksForSigner, type VerifyFlags } from "./identity-options.ts"
import { type CommandIo, readInput } from "./io.ts"
import type { Messages } from "./messages.ts"
import { fullRef } from "./ref-option.ts"
import { loadConfig } from "./settings.ts"
import { runAudit } from "./verify-audit.ts"
import {
  checkPoliciesAfter,
  type OpenTarget,
  policyBefore,
  withOnePolicy,
  withPoliciesBefore,
} from "./verify-before.ts"
import { authorizeOf, verifyObject } from "./verify-object.ts"
import { targetsOf } from "./verify-question.ts"

/** The flags of `verify` as commander gives them. */
interface RangeFlags extends Omit<VerifyFlags, "format"> {
  readonly not?: readonly string[]
  readonly all?: boolean
  readonly sinceCommit?: string
  readonly ref?: string
  readonly policy?: string
  readonly policyRef?: string
  readonly rootPolicy?: string
  readonly ci?: boolean
  readonly warnOnly?: boolean
  readonly verbose?: boolean
  readonly explain?: string
  readonly jobs?: number
  readonly format?: "text" | ReportFormat
}

/** One call. */
interface Call {
  readonly io: CommandIo
  readonly messages: Messages
  readonly config: Config
  readonly flags: RangeFlags
  readonly revisions: readonly string[]
}

/** The verb `verify`. */
export function verifyCommand(io: CommandIo, messages: Messages, exit: (status: number) => void): Command {
  const command = new Command("verify")
    .description("verify commits and tags, and who signed them")
    .argument("[revisions...]", "commits, tags, ranges such as A..B, ^A; - reads object ids from stdin (default: HEAD)")
    .option("--not <revisions...>", "leave out what can be reached from these")
    .option("--all", "all branches, those of remotes too, and all tags")
    .option("--since-commit <commit>", "everything after this commit")
    .option("--ref <ref>", "the branch whose rules count, such as refs/heads/main")
    .option("--policy <file>", "go by this policy: a file, or REF:path")
    .option("--policy-ref <revision>", "go by the policy of this revision")
    .option("--root-policy <file>", "also ask this policy, outside of the repository, about changes of the policy")
    .option("--ci", "find out from the CI system what to verify, and how to print it")
  addIdentityFlags(command)
    .option("--warn-only", "report what is not in order, and exit with 0 all the same")
    .option("-v, --verbose", "show every object with its numbered steps")
    .option("--explain <revision>", "tell the whole story of one object")
    .addOption(new Option("--jobs <number>", "threads to use; by what pays when not given").argParser(jobs))
    .addOption(
      new Option("--format <format>", "how to print the result (default: text)").choices(["text", ...REPORT_FORMATS]),
    )
    .action(async (revisions: string[], flags: RangeFlags) => {
      const call = { io, messages, config: await loadConfig(io, messages), flags, revisions }
      exit(await verify(call))
    })
  return withExamples(command, [
    "gitsign verify --ref main origin/main..HEAD",
    "gitsign verify --certificate-identity=dev@example.com --certificate-oidc-issuer=https://github.com/login/oauth HEAD~3",
    "gitsign verify --all --policy .gitsign/policy.yaml",
    "gitsign verify --explain HEAD",
    "gitsign verify --ci",
  ])
}

const jobs = (text: string): number => {
  if (/^[1-9]\d?$/.test(text)) return Number(text)
  throw new InvalidArgumentError("it has to be a number from 1 to 99")
}

async function verify(call: Call): Promise<number> {
  const { flags, revisions } = call
  const byFlags = asksForSigner(flags)
  const policyFlags = [flags.policy, flags.policyRef].filter((one) => one !== undefined)
  if (policyFlags.length > 1) throw new GitsignError("ERR_USAGE", "--policy and --policy-ref both name the policy")
  if (byFlags && policyFlags.length > 0) {
    throw new GitsignError(
      "ERR_USAGE",
      "a policy says who may sign; so do --certificate-… and --any-identity: take one of them",
    )
  }
  if (flags.ci && (revisions.length > 0 || flags.all || flags.explain !== undefined)) {
    throw new GitsignError("ERR_USAGE", "--ci finds out by itself what to verify")
  }
  if (flags.explain !== undefined && (revisions.length > 0 || flags.all)) {
    throw new GitsignError("ERR_USAGE", "--explain takes the one object that it is about, and no others")
  }
  if (flags.explain !== undefined && (!isPlain(flags.explain) || (flags.not ?? flags.sinceCommit) !== undefined)) {
    throw new GitsignError("ERR_USAGE", "--explain takes one object, and no range or list", {
      hint: "name one commit or tag; all steps of many: gitsign verify --verbose A..B",
    })
  }
  if (revisions.length === 0 && !flags.all && flags.explain === undefined && (flags.not?.length ?? 0) > 1) {
    throw new GitsignError("ERR_USAGE", "--not takes all names behind it, and nothing says what is to be verified", {
      hint: "say that first: gitsign verify HEAD --not A B",
    })
  }
  const ci = flags.ci ? ciOf(call) : undefined
  const named = flags.explain === undefined ? revisions : [flags.explain]
  const asked = ci === undefined ? (named.length === 0 && !flags.all && !flags.sinceCommit ? ["HEAD"] : named) : []
  const single =
    asked.length === 1 && !flags.all && isPlain(asked[0] ?? "") && (flags.not ?? flags.sinceCommit) === undefined
  const explicit = byFlags ? undefined : await namedPolicy(call)
  const isSaid = byFlags || explicit !== undefined
  const open = ci === undefined ? await openTargets(call, asked, !byFlags) : await targetsOfCi(call, ci, !isSaid)
  const targets = isSaid ? withOnePolicy(open, explicit) : await withPolicies(call, open, single)
  const output = {
    format: flags.format ?? ci?.format ?? "text",
    verbose: flags.verbose === true,
    explain: flags.explain !== undefined,
    warnOnly: flags.warnOnly === true,
    ci,
  }
  const withoutPolicy = targets.every(({ policy, noPolicy }) => policy === undefined && noPolicy === undefined)
  const config = withRootPolicy(call)
  const isPlainAnswer = output.format === "text" && !output.verbose && !output.explain
  if (withoutPolicy && single && config.rootPolicy === undefined && isPlainAnswer) {
    return verifySingle(call, (asked[0] ?? "HEAD").replace(/\^!$/, ""), open[0]?.include[0] ?? "HEAD")
  }
  if (flags.insecureIgnoreSct && !withoutPolicy) {
    throw new GitsignError(
      "ERR_USAGE",
      "a policy says itself whether an SCT is asked for (require: sct); --insecure-ignore-sct does not",
    )
  }
  const base = await auditOptionsOf(call.io, config, flags.trustedRoot)
  checkRefs(targets, base.rootPolicy)
  const options = {
    ...base,
    ...(withoutPolicy
      ? { authorize: await authorizeOf({ ...callOf(call, asked), verb: "verify" }), anyIdentity: flags.anyIdentity }
      : {}),
    ignoreSct: flags.insecureIgnoreSct,
    jobs: flags.jobs,
    asked: ci === undefined ? [...asked, ...(flags.all ? ["--all"] : [])] : open.map(({ name }) => name),
  }
  const status = await runAudit(call.io, call.messages, targets, options, output)
  if (status === 0 && explicit === undefined && !output.warnOnly) await checkPoliciesAfter(call.io, targets)
  return status
}

/** Whether a revision is one object, and not a range or a list. */
const isPlain = (revision: string): boolean =>
  !revision.includes("..") && !revision.startsWith("^") && !revision.endsWith("^@") && revision !== "-"

const withRootPolicy = ({ config, flags }: Call): Config =>
  flags.rootPolicy === undefined ? config : { ...config, rootPolicy: flags.rootPolicy }

async function namedPolicy({ io, config, flags }: Call): Promise<PolicyInForce | undefined> {
  if (flags.policy !== undefined) return readPolicy(io, io.cwd, flags.policy)
  if (flags.policyRef === undefined) return configuredPolicy(io, config)
  const policy = await readPolicyAt(io, flags.policyRef)
  if (policy !== undefined) return policy
  throw new GitsignError("ERR_POLICY_MISSING", `there is no policy in ${flags.policyRef}`)
}

async function openTargets({ io, flags }: Call, asked: readonly string[], withTags: boolean): Promise<OpenTarget[]> {
  const since = flags.sinceCommit === undefined ? [] : [flags.sinceCommit]
  const not = [...(flags.not ?? []), ...since]
  return targetsOf(io, { revisions: asked, not, all: flags.all === true, ref: refOf(flags) }, withTags)
}

const refOf = ({ ref }: Pick<Call["flags"], "ref">): string | undefined =>
  ref === undefined ? undefined : fullRef(ref)

/** The policy from before each change. A single object without one is a question that its answer makes clear. */
async function withPolicies({ io }: Call, open: readonly OpenTarget[], single: boolean): Promise<AuditTarget[]> {
  const [only] = open
  if (!single || only === undefined) return withPoliciesBefore(io, open)
  return withOnePolicy(open, await policyBefore(io, only))
}

/** Without a branch no rule of a branch can be asked. */
function checkRefs(targets: readonly AuditTarget[], rootPolicy: PolicyInForce | undefined): void {
  for (const { policy, ref, name, isTagObject } of targets) {
    if (policy === undefined || ref !== undefined || isTagObject) continue
    const asking = [policy, rootPolicy].find((one) => one !== undefined && asksForBranch(one.compiled))
    if (asking === undefined) continue
    throw new GitsignError(
      "ERR_REF_REQUIRED",
      `${asking.source} has rules for branches, and nothing says to which one ${name} belongs`,
    )
  }
}

function ciOf({ io }: Call): CiContext {
  const ci = detectCi(io.env, { readFile: (path) => readInput(io, path).toString("utf8") })
  if (ci !== undefined) return ci
  throw new GitsignError("ERR_USAGE", "--ci: this is none of the CI systems that gitsign knows", {
    hint: "say what to verify: gitsign verify BASE..HEAD",
  })
}

/** What a CI job is about: what its change brings in, judged by the branch that it goes to. */
async function targetsOfCi(
  { io, flags }: Call,
  { base, head, ref, source, fetchHint }: CiContext,
  needsPolicy: boolean,
): Promise<OpenTarget[]> {
  const find = (name: string) => fetched(resolveRevision(io, name), fetchHint)
  const findCommit = (name: string) => fetched(resolveCommit(io, name), fetchHint)
  const { id } = await findCommit(head)
  const name = base === undefined ? head : `${base}..${head}`
  // Only the remote's branch: a tag `origin/main`, which anybody may push, would come first.
  const before = base?.replace(/^origin\//, "refs/remotes/origin/")
  if (ref.startsWith("refs/tags/")) {
    const tag = await find(ref)
    const place = needsPolicy && before !== undefined ? (await find(before)).id : undefined
    const befores = place === undefined ? [] : [{ commit: place, name: base }]
    return [{ name: ref, ref, include: [tag.id], exclude: [], walk: false, fresh: true, befores }]
  }
  const mendable = source === undefined ? undefined : { branch: source, published: true }
  const target = { name, ref: refOf(flags) ?? ref, include: [id], walk: true, fresh: true, mendable }
  if (before === undefined) return [{ ...target, exclude: [], befores: [] }]
  const known = await findCommit(before)
  return [{ ...target, exclude: [known.id], befores: [{ commit: known.id }] }]
}

/** What a CI system's clone lacks, that system has a way to fetch. */
async function fetched<T>(found: Promise<T>, hint: string): Promise<T> {
  try {
    return await found
  } catch (error) {
    if (!isGitsignError(error)) throw error
    throw new GitsignError("ERR_SHALLOW", error.message, { cause: error, hint })
  }
}

const callOf = ({ io, messages, flags }: Call, [name = "HEAD"]: readonly string[]) => ({
  name,
  io,
  messages,
  flags: { ...flags, format: flags.format === "json" ? ("json" as const) : ("text" as const) },
})

/** One commit and no policy: the answer is who signed, and when. */
async function verifySingle(call: Call, name: string, id: string): Promise<number> {
  const { io, flags } = call
  try {
    await verifyObject({ ...callOf(call, [name]), verb: "verify", read: () => readCommit(io, id) })
    return 0
  } catch (error) {
    if (!flags.warnOnly || !(error instanceof GitsignError) || error.exitStatus === 2) throw error
    call.messages.error(error)
    return 0
  }
}

async function readCommit(io: CommandIo, id: string): Promise<GitObject & { type: "commit" }> {
  const found = await readOneObject(io, `${id}^{commit}`)
  if (found.type !== "commit") throw new GitsignError("ERR_BUG", `git took ${found.type} ${found.id} for a commit`)
  return { ...found, type: found.type }
}
