/**
 * Which policy a verb of `gitsign policy` is about: a file, `REF:path`, a revision, or what is in force when nothing is named.
 *
 * @module
 */

import { lstatSync } from "node:fs"
import { basename, join, relative, resolve } from "node:path"
import { POLICY_PATHS, type PolicyPlace } from "../audit/policy-place.ts"
import { type LoadedPolicy, loadPolicy, openPolicy, openPolicyAt, splitRevision } from "../audit/policy-source.ts"
import { GitsignError } from "../errors.ts"
import { resolveCommit, tryResolve } from "../git/revisions.ts"
import { runGit } from "../git/run.ts"
import { type Example, parseExamples } from "../policy/example-entries.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { checkRepository, notInRepository } from "./repository.ts"
import { loadConfig } from "./settings.ts"

/** What the argument of every verb may be, for its help. */
export const POLICY_ARGUMENT = "a file, REF:path, or REF for the policy that a commit holds"

/** The schema version of the documents; members are only ever added within one. */
export const SCHEMA_VERSION = 1

/** What every verb is given. */
export interface FormatOption {
  readonly format: "text" | "json"
}

/**
 * Opens the policy that is named. Nothing named: what `gitsign.policy` says, else the file in the work tree, else that of HEAD.
 * A name that ends in `.yaml` or `.yml`, or begins with `/` or `.`, is a file; any other without a colon is a revision.
 *
 * @throws ERR_POLICY_MISSING when there is none; ERR_USAGE for a name that names nothing, and outside of a repository; and as
 * `readPolicy` and `readPolicyAt`
 */
export async function openNamed(io: CommandIo, messages: Messages, name: string | undefined): Promise<PolicyPlace> {
  if (name === undefined) return openInForce(io, messages)
  const isInCommit = splitRevision(name) !== undefined
  if (!isInCommit && isFileName(name)) return openPolicy(io, io.cwd, name)
  await checkRepository(io)
  if (isInCommit) return openPolicy(io, io.cwd, name)
  await resolveCommit(io, name, "ERR_USAGE")
  const place = await openPolicyAt(io, name, name)
  if (place !== undefined) return place
  throw new GitsignError("ERR_POLICY_MISSING", `${name} holds neither ${POLICY_PATHS.join(" nor ")}`)
}

const isFileName = (name: string): boolean => /\.ya?ml$/i.test(name) || /^([./\\~]|[A-Za-z]:[\\/])/.test(name)

async function openInForce(io: CommandIo, messages: Messages): Promise<PolicyPlace> {
  const { policy } = await loadConfig(io, messages)
  const top = await topOf(io)
  if (policy !== undefined) return openPolicy(io, top ?? io.cwd, policy)
  const path = top === undefined ? undefined : POLICY_PATHS.find((one) => isThere(join(top, one)))
  if (top !== undefined && path !== undefined) return openPolicy(io, io.cwd, shownFrom(io.cwd, join(top, path)))
  // A bare repository without commits holds none.
  const isBare = top === undefined && (await tryResolve(io, "HEAD")) !== undefined
  const atHead = isBare ? await openPolicyAt(io, "HEAD") : undefined
  if (atHead !== undefined) return atHead
  throw new GitsignError("ERR_POLICY_MISSING", "there is no policy here, and gitsign.policy names none")
}

/** Also a link that leads nowhere is there: it is refused where it is read, and does not make room for another policy. */
const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined

/** The path as a person in that folder would type it. */
function shownFrom(cwd: string, path: string): string {
  const shown = relative(cwd, path)
  return shown.includes(":") ? path : shown
}

/** The top of the work tree; undefined in a bare repository. @throws ERR_USAGE outside of any repository */
export async function topOf(io: CommandIo): Promise<string | undefined> {
  const { status, stdout, stderr } = await runGit(io, ["rev-parse", "--is-inside-work-tree", "--show-cdup"])
  const [inside = "", up = ""] = stdout.toString("utf8").split("\n")
  if (inside === "true") return resolve(io.cwd, up)
  if (status === 0 || inside === "false") return undefined
  throw notInRepository(stderr)
}

/**
 * Opens and understands the policy that is named.
 *
 * @throws as {@link openNamed} and `readPolicy`
 */
export async function loadNamed(io: CommandIo, messages: Messages, name: string | undefined): Promise<LoadedPolicy> {
  const place = await openNamed(io, messages, name)
  try {
    return await loadPolicy(place)
  } finally {
    await place.close()
  }
}

/** Which file of examples belongs to a policy: `policy.test.yaml` beside `policy.yaml`. */
export const examplesNameOf = (source: string): string =>
  `${basename(source.replace(/^.*:/s, "")).replace(/\.ya?ml$/i, "")}.test.yaml`

/**
 * The examples in the file beside a policy, and what that file is called; undefined where there is none.
 *
 * @throws ERR_POLICY, ERR_POLICY_LIMIT, ERR_POLICY_FILE
 */
export async function examplesBeside(
  place: PolicyPlace,
): Promise<{ readonly source: string; readonly examples: readonly Example[] } | undefined> {
  const beside = examplesNameOf(place.source)
  const text = await place.beside(beside)
  const source = place.source.replace(/[^/:]*$/, beside)
  return text && { source, examples: parseExamples(text, source) }
}

/** A short name of a ref is that of a branch, as in the policy's own examples. */
export const fullRefName = (name: string): string => (name.startsWith("refs/") ? name : `refs/heads/${name}`)

/** A policy in a document. */
export const policyDocument = ({ source, sha256, compiled }: LoadedPolicy) => ({
  source,
  sha256,
  format: compiled.policy.format,
})
