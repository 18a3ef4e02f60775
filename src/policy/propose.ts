/**
 * Proposes a policy from who has signed so far, for a person to read and to narrow.
 *
 * @module
 */

import { printable } from "../formats/printable.ts"
import type { ProvenSigner } from "./facts.ts"
import { GITHUB_FINGERPRINTS } from "./key-files.ts"

/** Somebody whose signatures were verified: once for the commits, and once more for the tags. */
export interface SeenSigner {
  readonly signer: ProvenSigner
  /** Full names of the branches or tags that were signed. */
  readonly refs: readonly string[]
  /** Of the objects, how many are merges. */
  readonly merges: number
  /** How many objects. */
  readonly count: number
  /** Of the first of them. */
  readonly first?: Date | undefined
}

/** With which commit the policy begins, and what to say of it, a sentence each. */
export interface ProposedSince {
  readonly commit: string
  readonly reasons: readonly string[]
}

/** More would be read by nobody. */
const MAX_SIGNERS = 500
const MAX_NAME = 1000

interface Group {
  readonly name: string
  readonly lines: readonly string[]
}

interface Entry {
  readonly comments: readonly string[]
  readonly lines: readonly string[]
}

/**
 * A policy as text, with comments that say what each entry rests on. It is right as it stands and names those who were seen, and of workflows
 * that run for tags those for the next ones; for who signed with a key that is not GitHub's a comment says what to add, since only its
 * owner can give the key.
 *
 * @param branches globs of branches that the rule for commits is for, such as `main`
 * @returns undefined when nobody was seen whom a policy can name
 */
export function proposePolicy(
  seen: readonly SeenSigner[],
  branches: readonly string[],
  since?: ProposedSince | undefined,
): string | undefined {
  const sorted = [...seen].sort((one, other) => other.count - one.count || compare(nameOf(one), nameOf(other)))
  const isOfTags = ({ refs }: SeenSigner): boolean => refs.some((ref) => ref.startsWith("refs/tags/"))
  const isOfCommits = ({ refs }: SeenSigner): boolean => refs.some((ref) => !ref.startsWith("refs/tags/"))
  const commits = groupsOf(sorted.filter(isOfCommits), ["people", "automation", "website"])
  const tags = groupsOf(sorted.filter(isOfTags), ["taggers", "release-automation", "website-tags"])
  const groups = [...commits.groups, ...tags.groups]
  if (groups.length === 0) return undefined
  const notes = [...new Set([...commits.notes, ...tags.notes])]
  return [
    "# Who may sign what here, proposed from the signatures that could be verified. Whoever is named may sign from now on:",
    "# strike out who should not, look again with: gitsign policy check, and commit it, signed.",
    "version: 1",
    ...(since === undefined ? [] : ["", ...since.reasons.map(comment), `since: ${since.commit}`]),
    "",
    "signers:",
    ...groups.flatMap(({ name, lines }) => [`  ${name}:`, ...lines]),
    ...notes.map((note) => `  ${comment(note)}`),
    "",
    "rules:",
    ...rulesOf(commits.groups, tags.groups, branches),
    "",
    "# What no rule is for is refused. To leave other branches alone until they are merged, say: otherwise: allow",
    "",
  ].join("\n")
}

const comment = (text: string): string => `# ${printable(text)}`

function rulesOf(commits: readonly Group[], tags: readonly Group[], branches: readonly string[]): readonly string[] {
  const find = (name: string): readonly Group[] => commits.filter((group) => group.name === name)
  // What changes the policy is no work for a machine where there are people.
  const guards = find("people").length > 0 ? find("people") : find("automation")
  const lines: string[] = []
  if (commits.length > 0) lines.push(...rule("commits", [`branches: [${branches.map(quoted).join(", ")}]`], commits))
  if (guards.length > 0) {
    lines.push("  # Whoever may change this policy may let anybody in: name few.")
    lines.push(...rule("policy", ["branches: ['**']", "paths: ['.gitsign/**', '.github/**']"], guards))
  }
  if (tags.length > 0) lines.push(...rule("tags", ["tags: ['**']"], tags))
  else if (guards.length > 0) {
    lines.push("  # Nobody has signed a tag yet.", ...rule("tags", ["tags: ['**']"], guards))
  }
  return lines
}

const rule = (name: string, lines: readonly string[], groups: readonly Group[]): readonly string[] => [
  `  - name: ${name}`,
  ...lines.map((line) => `    ${line}`),
  `    signers: [${groups.map((group) => group.name).join(", ")}]`,
]

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

const nameOf = ({ signer }: SeenSigner): string =>
  (signer.scheme === "keyless" ? signer.identities[0] : signer.fingerprints[0]) ?? ""

function groupsOf(
  seen: readonly SeenSigner[],
  names: readonly [people: string, automation: string, website: string],
): { readonly groups: readonly Group[]; readonly notes: readonly string[] } {
  const entries = new Map<string, Entry[]>(names.map((name) => [name, []]))
  const add = (name: string, entry: Entry): void => void entries.get(name)?.push(entry)
  const [people, automation, website] = names
  const notes: string[] = []
  const shown = seen.slice(0, MAX_SIGNERS)
  const fromWebsite = shown.filter(isWebsite)
  if (fromWebsite.length > 0) add(website, websiteEntry(fromWebsite, website === "website"))
  const forTags = new Map<string, SeenSigner[]>()
  for (const one of shown.filter((other) => !isWebsite(other))) {
    const { signer } = one
    if (signer.scheme !== "keyless") notes.push(keyNote(one, signer))
    else if (!isNameable(signer)) notes.push(`${restsOn([one])} by somebody whom no policy can name`)
    else {
      const workflow = tagWorkflow(signer)
      const name = signer.identities[0]?.includes("://") ? automation : people
      if (workflow === undefined) add(name, { comments: [restsOn([one])], lines: identityLines(signer) })
      else forTags.set(workflow.key, [...(forTags.get(workflow.key) ?? []), one])
    }
  }
  for (const same of forTags.values()) add(automation, tagWorkflowEntry(same))
  if (seen.length > MAX_SIGNERS) notes.push(`${seen.length - MAX_SIGNERS} more have signed`)
  const groups = [...entries].filter(([, list]) => list.length > 0)
  return { groups: groups.map(([name, list]) => ({ name, lines: list.flatMap(entryLines) })), notes }
}

const entryLines = ({ comments, lines }: Entry): readonly string[] => [
  ...comments.map((text) => `    ${comment(text)}`),
  ...lines.map((line, index) => `    ${index === 0 ? "-" : " "} ${line}`),
]

/** `41 commits since 2026-02-01`. */
function restsOn(seen: readonly SeenSigner[]): string {
  const count = seen.reduce((sum, one) => sum + one.count, 0)
  const times = seen.flatMap(({ first }) => first?.getTime() ?? [])
  const since = times.length === 0 ? "" : ` since ${new Date(Math.min(...times)).toISOString().slice(0, 10)}`
  const what = seen.every(({ refs }) => refs.every((ref) => ref.startsWith("refs/tags/"))) ? "tag" : "commit"
  return `${count} ${what}${count === 1 ? "" : "s"}${since}`
}

type Keyless = Extract<ProvenSigner, { readonly scheme: "keyless" }>

const isWebsite = ({ signer }: SeenSigner): boolean =>
  signer.scheme === "openpgp" && signer.fingerprints.some((print) => GITHUB_FINGERPRINTS.includes(print))

function websiteEntry(seen: readonly SeenSigner[], isOfCommits: boolean): Entry {
  if (!isOfCommits) return { comments: [restsOn(seen)], lines: ["openpgp: github", "on: all"] }
  const others = seen.reduce((sum, { count, merges }) => sum + count - merges, 0)
  const warning = [
    `${others} of them are no merges: squashed, or edited on the website. To accept such too, from whoever may write to the`,
    "repository there, say: on: all",
  ]
  const comments = [`${restsOn(seen)}, by GitHub for what is done on its website`, ...(others > 0 ? warning : [])]
  return { comments, lines: ["openpgp: github", "on: clean merges"] }
}

function keyNote(one: SeenSigner, signer: Exclude<ProvenSigner, Keyless>): string {
  const scheme = signer.scheme === "ssh" ? "SSH" : "OpenPGP"
  const how = `to accept this ${scheme} key, put it into a file here and name it: ${signer.scheme}: keys/FILE`
  return `${signer.fingerprints[0] ?? ""}, ${restsOn([one])}: ${how}`
}

const isNameable = ({ identities: [identity = ""], issuer }: Keyless): boolean =>
  [identity, issuer].every(
    (text) => text !== "" && text.trim() === text && !/[\n\r]/.test(text) && text.length <= MAX_NAME,
  )

/** The issuer, who it is, and the repository: a workflow that others may call signs for each of them under the same name. */
const identityLines = (signer: Keyless, pattern?: string): readonly string[] => [
  `issuer: ${quoted(signer.issuer)}`,
  pattern === undefined ? `subject: ${quoted(signer.identities[0] ?? "")}` : `subjectRegExp: ${quoted(pattern)}`,
  ...(signer.claims.githubWorkflowRepository
    ? [`workflow: { repository: ${quoted(signer.claims.githubWorkflowRepository)} }`]
    : []),
]

/** A GitHub workflow that ran for a tag, of which the next run has another name. */
function tagWorkflow({ identities: [identity = ""], issuer, claims }: Keyless) {
  // GitHub's own issuer and those of its enterprise servers say of which repository a job is.
  const isJob = claims.githubWorkflowRepository !== undefined
  const [, workflow, tag] = /^(https:\/\/[^@]+)@refs\/tags\/([^@]+)$/.exec(identity) ?? []
  if (!isJob || workflow === undefined || tag === undefined) return undefined
  return { key: JSON.stringify([issuer, workflow, claims.githubWorkflowRepository]), workflow, tag }
}

const MAX_TAGS_SHOWN = 3

function tagWorkflowEntry(seen: readonly SeenSigner[]): Entry {
  const keyless = seen.flatMap(({ signer }) => (signer.scheme === "keyless" ? signer : []))
  const runs = keyless.flatMap((signer) => tagWorkflow(signer) ?? [])
  const [signer] = keyless
  const [run] = runs
  if (signer === undefined || run === undefined) return { comments: [], lines: [] }
  const isVersion = runs.every(({ tag }) => /^v[0-9][^/]*$/.test(tag))
  const pattern = `${escapePattern(run.workflow)}@refs/tags/${isVersion ? "v[0-9][^/]*" : ".+"}`
  const tags = runs.slice(0, MAX_TAGS_SHOWN).map(({ tag }) => tag)
  const more = runs.length > MAX_TAGS_SHOWN ? ", …" : ""
  const which = isVersion ? "for whichever v tag" : "for whichever tag"
  return {
    comments: [`${restsOn(seen)}, a workflow that runs ${which} (so far ${tags.join(", ")}${more})`],
    lines: identityLines(signer, pattern),
  }
}

const escapePattern = (text: string): string => text.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&")

/** A scalar of YAML: plain where it cannot be taken for anything else. */
function quoted(text: string): string {
  const isAddress = /^https?:\/\/[\w./@-]+$/.test(text) || /^[A-Za-z][\w.+-]*@[\w.-]+$/.test(text)
  const isWord = /^[A-Za-z][\w./-]*$/.test(text) && !/^(?:true|false|null|yes|no|on|off)$/i.test(text)
  if (isAddress || isWord) return text
  if (/^[ -~]*$/.test(text)) return `'${text.replaceAll("'", "''")}'`
  return JSON.stringify(text).replace(/[^ -~]/gu, (letter) => {
    const code = (letter.codePointAt(0) ?? 0).toString(16)
    return code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`
  })
}
