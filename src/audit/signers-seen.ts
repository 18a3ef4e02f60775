/**
 * Who has signed so far, and from where on a policy could begin: what a proposed policy rests on.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts"
import type { ProvenSigner } from "../policy/facts.ts"
import type { AuditedObject, AuditedSigner } from "./result.ts"

/** Somebody whose signatures were verified: once for commits, once for tags. */
export interface SeenSigner {
  /** As the latest of the signatures shows them. */
  readonly signer: ProvenSigner
  readonly type: AuditedObject["type"]
  /** How many objects. */
  readonly count: number
  /** Of the objects. */
  readonly merges: number
  /** Of the first and the last signature: when the log took it in, else what the object itself says. */
  readonly first: Date | undefined
  readonly last: Date | undefined
}

/** What was seen in a history. */
export interface Seen {
  /** Who signed most comes first. */
  readonly signers: readonly SeenSigner[]
  /** How many objects were not verified, by the code that says why; most come first. */
  readonly unverified: ReadonlyMap<ErrorCode, number>
  readonly commits: number
  readonly tags: number
}

/**
 * Counts the verified signatures by signer. Two certificates are of one signer when they name the same from the same issuer and, for
 * a workflow, from the same repository.
 */
export function signersSeen(objects: readonly AuditedObject[]): Seen {
  const found = new Map<string, AuditedObject[]>()
  const unverified = new Map<ErrorCode, number>()
  for (const object of objects) {
    const { type, problem, signer } = object
    if (object.verdict === "ok" && signer !== undefined) {
      const key = JSON.stringify([type, ...namesOf(signer)])
      const same = found.get(key)
      if (same === undefined) found.set(key, [object])
      else same.push(object)
    } else if (problem !== undefined) unverified.set(problem.code, (unverified.get(problem.code) ?? 0) + 1)
  }
  const signers = [...found.values()].map(seenOf).filter((one) => one !== undefined)
  const countOf = (type: AuditedObject["type"]): number => objects.filter((one) => one.type === type).length
  signers.sort((a, b) => b.count - a.count)
  const byCount = [...unverified].sort(([, a], [, b]) => b - a)
  return { signers, unverified: new Map(byCount), commits: countOf("commit"), tags: countOf("tag") }
}

function namesOf(signer: AuditedSigner): readonly (string | undefined)[] {
  if (signer.scheme !== "keyless") return [signer.fingerprint]
  return [signer.issuer, signer.claims.githubWorkflowRepository, ...signer.identities.map(({ value }) => value)]
}

function seenOf(objects: readonly AuditedObject[]): SeenSigner | undefined {
  const times = objects.map((object) => [timeOf(object)?.getTime() ?? Number.NaN, object] as const)
  times.sort(([a], [b]) => a - b)
  const dated = times.filter(([time]) => !Number.isNaN(time))
  const [, latest] = dated.at(-1) ?? times.at(-1) ?? []
  const signer = latest && provenOf(latest)
  if (latest === undefined || signer === undefined) return undefined
  const dateOf = (one: (typeof dated)[number] | undefined): Date | undefined => one && new Date(one[0])
  return {
    signer,
    type: latest.type,
    count: objects.length,
    merges: objects.filter(({ parents }) => parents.length > 1).length,
    first: dateOf(dated[0]),
    last: dateOf(dated.at(-1)),
  }
}

const timeOf = ({ log, timestamps, committer }: AuditedObject): Date | undefined =>
  log?.time ?? timestamps[0] ?? committer.date

function provenOf({ signer, mode, log, timestamps }: AuditedObject): ProvenSigner | undefined {
  if (signer === undefined) return undefined
  const { identity } = signer
  if (signer.scheme === "openpgp") return { scheme: "openpgp", fingerprints: [signer.fingerprint], userIds: [identity] }
  if (signer.scheme === "ssh") {
    return { scheme: "ssh", fingerprints: [signer.fingerprint], principals: [identity], lines: [] }
  }
  return {
    scheme: "keyless",
    identities: signer.identities.map(({ value }) => value),
    issuer: signer.issuer,
    claims: signer.claims,
    mode,
    times: [log?.time, ...timestamps].filter((time) => time !== undefined),
    timestamped: timestamps.length > 0,
    // An audit accepts no certificate without one.
    sct: true,
  }
}

/** From which commit on a policy could judge, which exempts its proper ancestors. */
export interface Beginning {
  /** Hex. */
  readonly commit: string
  /** How many commits it would judge, and how many of these are not verified. */
  readonly judged: number
  readonly unverified: number
}

/** Where a policy could begin. */
export interface Beginnings {
  /** The oldest signed commit of the branch itself; undefined when nothing is signed, or everything behind it is verified too. */
  readonly first: Beginning | undefined
  /** The oldest one from which on everything is verified; undefined when it is the same, or there is none. */
  readonly clean: Beginning | undefined
}

/**
 * Finds the commits of a branch from which on a policy could judge.
 *
 * @param chain ids of the branch's own commits (`--first-parent`), newest first
 * @param objects the audited commits that can be reached from it
 */
export function beginningsOf(chain: readonly string[], objects: readonly AuditedObject[]): Beginnings {
  const byId = new Map(objects.filter(({ type }) => type === "commit").map((one) => [one.id, one]))
  const isGood = (id: string): boolean => byId.get(id)?.verdict === "ok"
  const own = broughtIn(chain, byId)
  const isFirst = firstOf(chain, byId)
  let judged = 0
  let unverified = 0
  let first: Beginning | undefined
  let clean: Beginning | undefined
  for (const [index, id] of chain.entries()) {
    const tip = { commit: id, judged: judged + 1, unverified: unverified + (isGood(id) ? 0 : 1) }
    if (id === isFirst) first = tip
    if (tip.unverified === 0) clean = tip
    for (const brought of own[index] ?? []) {
      judged++
      if (!isGood(brought)) unverified++
    }
  }
  // Nothing would be exempted that a policy refuses.
  if (first !== undefined && first.unverified === unverified) first = undefined
  if (unverified === 0 || clean?.commit === first?.commit) clean = undefined
  return { first, clean }
}

/** Where people began to sign; GitHub has signed what is merged on its website long before anybody else. */
function firstOf(chain: readonly string[], byId: ReadonlyMap<string, AuditedObject>): string | undefined {
  const good = chain.filter((id) => byId.get(id)?.verdict === "ok")
  return good.filter((id) => byId.get(id)?.scheme === "keyless").at(-1) ?? good.at(-1)
}

/** For each commit of the branch what came in with it: itself, and what a merge brought. */
function broughtIn(chain: readonly string[], byId: ReadonlyMap<string, AuditedObject>): string[][] {
  const seen = new Set<string>()
  return [...chain]
    .reverse()
    .map((tip) => {
      const own: string[] = []
      const open = [tip]
      for (let id = open.pop(); id !== undefined; id = open.pop()) {
        const object = byId.get(id)
        if (object === undefined || seen.has(id)) continue
        seen.add(id)
        own.push(id)
        open.push(...object.parents)
      }
      return own
    })
    .reverse()
}
