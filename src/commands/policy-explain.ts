/**
 * `gitsign policy explain`: what a policy lets somebody sign, and what stands against the rest.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"
import { jsonText, printable } from "../formats/printable.ts"
import { type Explanation, explainIdentity, type RuleExplanation } from "../policy/explain.ts"
import type { Judgement } from "../policy/facts.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { type FormatOption, fullRefName, loadNamed, policyDocument, SCHEMA_VERSION } from "./policy-argument.ts"

/** What the verb is given. */
export interface ExplainOptions extends FormatOption {
  readonly issuer?: string
  readonly ref?: string
  readonly path?: string
  readonly policy?: string
}

/**
 * Prints what somebody may sign and returns the exit status: 1 when it is nothing, or not what `ref` and `path` ask for; else 0.
 *
 * @throws as `loadNamed`
 */
export async function explainSigner(
  io: CommandIo,
  messages: Messages,
  identity: string,
  options: ExplainOptions,
): Promise<number> {
  const ref = options.ref === undefined ? undefined : fullRefName(options.ref)
  if (ref === undefined && options.path !== undefined) {
    throw new GitsignError("ERR_REF_REQUIRED", "a path is changed on some branch, and rules differ by branch")
  }
  const loaded = await loadNamed(io, messages, options.policy)
  const found = explainIdentity(loaded.compiled, { identity, issuer: options.issuer }, { ref, path: options.path })
  const isAllowed = found.verdict?.judgement.allowed ?? found.rules.some(({ allowed }) => allowed)
  if (options.format === "json") {
    const common = { schemaVersion: SCHEMA_VERSION, command: "explain", policy: policyDocument(loaded) }
    io.stdout(jsonText({ ...common, allowed: isAllowed, ...documentOf(found) }))
  } else io.stdout(textOf(found, loaded.source, isAllowed))
  return isAllowed ? 0 : 1
}

function documentOf({ identity, issuer, signers, rules, compromised, verdict }: Explanation) {
  return {
    identity,
    issuer: issuer ?? null,
    signers,
    rules: rules.map(({ by, refusal, nearest, ...rule }) => ({
      ...rule,
      by: by ?? null,
      refusal: refusal ?? null,
      nearest: nearest ?? null,
    })),
    compromised,
    verdict:
      verdict === undefined
        ? null
        : { ...verdict, path: verdict.path ?? null, ...judgementDocument(verdict.judgement) },
  }
}

const judgementDocument = ({ allowed, satisfied, refusedBy, refusal, nearest, exempt }: Judgement) => ({
  judgement: {
    allowed,
    satisfied,
    refusedBy: refusedBy ?? null,
    refusal: refusal === undefined ? null : { ...refusal, hint: refusal.hint ?? null },
    nearest: nearest ?? null,
    exempt: exempt ?? null,
  },
})

function textOf(found: Explanation, source: string, isAllowed: boolean): string {
  const { identity, issuer, signers, rules, compromised, verdict } = found
  const who = issuer === undefined ? identity : `${identity} (${issuer})`
  const lines = [
    signers.length === 0 ? `${who} is no signer of ${source}` : `${who} is one of ${signers.join(", ")} of ${source}`,
    ...compromised.map((words) => `  not trusted: ${words}`),
    ...rules.flatMap(ruleLines),
  ]
  if (verdict !== undefined) {
    const { ref, path, judgement } = verdict
    const what = ref.startsWith("refs/tags/") ? `the tag ${ref.slice("refs/tags/".length)}` : `a commit on ${ref}`
    lines.push(`${what}${path === undefined ? "" : ` that changes ${path}`}: ${judgementText(judgement)}`)
  } else if (!isAllowed) lines.push("no rule lets it sign anything")
  return `${lines.map(printable).join("\n")}\n`
}

function judgementText({ allowed, satisfied, refusal, nearest, exempt }: Judgement): string {
  if (allowed) {
    const rules = satisfied.map((name) => `"${name}"`).join(", ")
    return exempt !== undefined ? `allowed, ${exempt.reason}` : `allowed, by rule ${rules}`
  }
  const near = nearest === undefined ? "" : `; ${nearest}`
  return `refused: ${refusal?.message ?? "not allowed"}${near}  [${refusal?.code ?? "ERR_NO_RULE"}]`
}

function ruleLines({ name, line, kind, refs, paths, allowed, by, conditions, refusal }: RuleExplanation): string[] {
  const what = kind === "tags" ? "tags" : "commits on"
  const over = `${what} ${refs.join(", ")}${paths.length > 0 ? ` that change ${paths.join(", ")}` : ""}`
  const as = by === undefined ? "" : `, as ${by.signer}: ${by.entry}`
  // Of a stranger there is no more to say.
  const why = refusal === undefined || refusal.code === "ERR_IDENTITY" ? [] : [`${refusal.message}  [${refusal.code}]`]
  return [
    `  ${allowed ? "yes" : "no "}  rule "${name}" (line ${line}), ${over}${as}`,
    ...conditions.map((words) => `         if ${words}`),
    ...(allowed ? [] : why.map((words) => `         ${words}`)),
  ]
}
