/**
 * Runs an audit for `gitsign verify` and `gitsign verify-tag`, shows how far it is, and prints what came of it.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { appendFileSync } from "node:fs"
import { isatty } from "node:tty"
import { type AuditOptions, audit } from "../audit/audit.ts"
import { takeApart } from "../audit/check.ts"
import { type AuditedObject, type AuditResult, auditStatusOf } from "../audit/result.ts"
import { rulesOf } from "../audit/rules.ts"
import type { AuditTarget } from "../audit/targets.ts"
import { GitsignError, isGitsignError, reasonOf } from "../errors.ts"
import type { TrustedRoot } from "../formats/trusted-root.ts"
import type { Certificate } from "../formats/x509.ts"
import { changedPaths } from "../git/changed-paths.ts"
import { readOneObject } from "../git/objects.ts"
import { beginsLater } from "../policy/lint.ts"
import { explainText } from "../report/explain.ts"
import { type ReportFormat, reportFor } from "../report/report.ts"
import { stepSummary } from "../report/summary.ts"
import { textReport } from "../report/text.ts"
import { adviceFor, isUnasked } from "../report/words.ts"
import { verifySignature } from "../verify/verify.ts"
import type { CiContext } from "./ci.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { startProgress } from "./progress.ts"
import { VERSION } from "./version.ts"

/** How an audit is to be printed. */
export interface AuditOutput {
  readonly format: "text" | ReportFormat
  readonly verbose: boolean
  /** Tells the whole story of the one object that is asked for. */
  readonly explain: boolean
  /** Reports what is not in order and exits with 0 all the same. */
  readonly warnOnly: boolean
  /** Where the CI system wants a summary and outputs. */
  readonly ci?: Pick<CiContext, "summaryFile" | "outputFile" | "commitUrl"> | undefined
}

/**
 * Verifies what the targets mean, prints the result to stdout and returns the exit status.
 *
 * @throws for a single object the reason why it is not verified; whatever keeps the audit from being done
 */
export async function runAudit(
  io: CommandIo,
  messages: Messages,
  targets: readonly AuditTarget[],
  options: AuditOptions,
  output: AuditOutput,
): Promise<number> {
  const report = output.format === "text" ? undefined : reportFor(output.format, VERSION)
  const progress = startProgress("verifying")
  let result: AuditResult
  try {
    const found = await audit(io, targets, {
      ...options,
      progress: progress.show,
      onObject: (object, index) => {
        const text = report?.object(asAsked(object), index) ?? ""
        if (text !== "") io.stdout(text)
      },
    })
    result = { ...withAsked(found), notes: [...found.notes, ...notBegun(targets)] }
  } finally {
    progress.end()
  }
  if (report !== undefined) io.stdout(report.end(result))
  else if (output.explain) io.stdout(await storyOf(io, result, targets, options))
  else io.stdout(textReport(result, { verbose: output.verbose, colour: hasColour(io.env) }))
  if (output.ci !== undefined) tellCi(output.ci, result, messages)
  return statusOf(result, output, messages)
}

/** Whom nobody has named, nobody can be compared with: that is no verdict about an object, but a question that was not whole. */
function asAsked(object: AuditedObject): AuditedObject {
  if (!isUnasked(object)) return object
  const steps = object.steps.map((one) => (one.step === "identity" ? { ...one, outcome: "not checked" as const } : one))
  return { ...object, verdict: "unchecked", notAllowed: false, identityChecked: false, steps }
}

function withAsked(result: AuditResult): AuditResult {
  if (!result.objects.some(isUnasked)) return result
  const objects = result.objects.map(asAsked)
  const count = (verdict: AuditedObject["verdict"]): number => objects.filter((one) => one.verdict === verdict).length
  return { ...result, objects, totals: { ok: count("ok"), bad: count("bad"), unchecked: count("unchecked") } }
}

/** Policies that begin later than now exempt what they are asked about, and nobody would see it. */
function notBegun(targets: readonly AuditTarget[]): string[] {
  const now = new Date()
  const found = targets.flatMap(({ policy }) =>
    policy === undefined ? [] : (beginsLater(policy.compiled.policy, now) ?? []),
  )
  return [...new Set(found)]
}

/** The whole story of the one object, with what the audit itself has no use for. */
async function storyOf(
  io: CommandIo,
  result: AuditResult,
  [target]: readonly AuditTarget[],
  { trustedRoot }: AuditOptions,
): Promise<string> {
  const [object] = result.objects
  if (object === undefined) return textReport(result, { verbose: true, colour: false })
  const compiled = target?.policy?.compiled
  const certificate = await certificateOf(io, object, trustedRoot)
  const ref = object.type === "tag" ? `refs/tags/${object.name.replace(/^refs\/tags\//, "")}` : target?.ref
  const changed = object.type === "commit" ? await changedPaths(io, [object]).catch(() => undefined) : undefined
  const changes = changed?.get(object.id)
  return explainText(object, result, {
    serialNumber: certificate && Buffer.from(certificate.serialNumber).toString("hex"),
    sha256: certificate && createHash("sha256").update(certificate.der).digest("hex"),
    rules: compiled && rulesOf(compiled, object.type, ref).rules.map(({ rule }) => rule),
    ...(isGitsignError(changes) ? undefined : changes),
  })
}

async function certificateOf(
  io: CommandIo,
  { id }: AuditedObject,
  trustedRoot: TrustedRoot,
): Promise<Certificate | undefined> {
  try {
    const { type, raw } = await readOneObject(io, id)
    if (type !== "commit" && type !== "tag") return undefined
    return verifySignature(takeApart({ type, id, raw }), { trustedRoot }).signer?.certificate
  } catch (error) {
    // Nothing is there to be told about; why, the verdict has said.
    if (isGitsignError(error)) return undefined
    throw error
  }
}

/** Colours only on a terminal, and never with NO_COLOR (https://no-color.org). */
const hasColour = (env: NodeJS.ProcessEnv): boolean => isatty(1) && !env.NO_COLOR && env.TERM !== "dumb"

function statusOf(result: AuditResult, { warnOnly, format, explain }: AuditOutput, messages: Messages): number {
  const status = auditStatusOf(result)
  if (status === 0) return 0
  const [only, ...more] = result.objects
  // A question that was not whole has no answer to be let pass.
  if (status === 2 && only !== undefined) throw errorOf(only, result)
  if (warnOnly) {
    const { bad, unchecked } = result.totals
    messages.say(`warning: ${bad + unchecked} of ${result.objects.length} not verified; --warn-only lets them pass`)
    return 0
  }
  // The report in text has said it all; what a machine reads is not for the person at the terminal.
  if (only?.problem !== undefined && more.length === 0 && format !== "text") throw errorOf(only, result)
  if (only?.problem !== undefined && more.length === 0) return status
  if (format !== "text" && !explain) {
    const { bad, unchecked } = result.totals
    messages.say(`${bad} of ${result.objects.length} not verified${unchecked > 0 ? `, ${unchecked} not checked` : ""}`)
  }
  return status
}

const errorOf = (object: AuditedObject, result: AuditResult): GitsignError => {
  const { code, message } = object.problem ?? { code: "ERR_BUG", message: "no problem" }
  const [hint] = adviceFor(object, result)
  return new GitsignError(code, message, hint === undefined ? {} : { hint })
}

/** The files that later steps and people read; what cannot be written is told, and changes no verdict. */
function tellCi(ci: NonNullable<AuditOutput["ci"]>, result: AuditResult, messages: Messages): void {
  const { ok, bad, unchecked } = result.totals
  const verdict = bad > 0 ? "bad" : unchecked > 0 ? "unchecked" : "ok"
  const outputs = `verdict=${verdict}\nbad=${bad}\nunchecked=${unchecked}\ntotal=${ok + bad + unchecked}\n`
  for (const [file, text] of [
    [ci.summaryFile, stepSummary(result, { commitUrl: ci.commitUrl })],
    [ci.outputFile, outputs],
  ] as const) {
    if (file === undefined) continue
    try {
      appendFileSync(file, text)
    } catch (error) {
      messages.say(`cannot write to ${file}: ${reasonOf(error)}`)
    }
  }
}
