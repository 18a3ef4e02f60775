/**
 * Signers that are not trusted for a time: what the log and timestamps prove decides, not what a commit says.
 *
 * @module
 */

import type { ProvenSigner } from "./facts.ts"
import type { Compromise } from "./model.ts"
import { compileOptional } from "./text-match.ts"

/** One compromised signer, ready to be compared. */
export interface Bar {
  /** Whether a signer is meant, at whatever time. */
  concerns(signer: ProvenSigner): boolean
  /** Why a signature does not count, in words that continue `signed by X, `; undefined when this does not bar it. */
  refuses(signer: ProvenSigner): string | undefined
  /** When and why, in words. */
  readonly shown: string
}

/**
 * Compiles the compromised signers of a policy.
 *
 * @throws ERR_PATTERN, ERR_POLICY_LIMIT
 */
export const compileBars = (compromised: readonly Compromise[], source: string): Promise<readonly Bar[]> =>
  Promise.all(compromised.map((compromise) => compileBar(compromise, source)))

async function compileBar(compromise: Compromise, source: string): Promise<Bar> {
  const where = `${source} line ${compromise.line}`
  const issuer = await compileOptional(compromise.issuer, `${where}: issuerRegExp`)
  const subject = await compileOptional(compromise.subject, `${where}: subjectRegExp`)
  const { key, from, until, reason } = compromise
  const window = `not trusted ${windowOf(from, until)}`
  const because = `(${where}: ${reason})`
  const concerns = (signer: ProvenSigner): boolean => {
    if (signer.scheme !== "keyless")
      return key !== undefined && signer.fingerprints.some((print) => sameKey(print, key))
    if (key !== undefined) return false
    if (issuer !== undefined && !issuer.matchesWidely(signer.issuer)) return false
    return subject === undefined || signer.identities.some(subject.matchesWidely)
  }
  return {
    concerns,
    refuses: (signer) => {
      if (!concerns(signer)) return undefined
      if (signer.scheme !== "keyless") return `which is ${window} ${because}`
      // A signature whose time nothing proves could be from any time
      const times = signer.times.filter((time) => !Number.isNaN(time.getTime()))
      const within = times.find(
        (time) => (from === undefined || time >= from) && (until === undefined || time <= until),
      )
      if (times.length > 0 && within === undefined) return undefined
      const when = within === undefined ? "and nothing proves when it signed" : `and it signed at ${shown(within)}`
      return `which is ${window}, ${when} ${because}`
    },
    shown: `${window} ${because}`,
  }
}

const sameKey = (found: string, key: string): boolean =>
  key.startsWith("SHA256:") ? found === key : found.toUpperCase() === key

const shown = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, "Z")

function windowOf(from: Date | undefined, until: Date | undefined): string {
  if (from === undefined) return until === undefined ? "at any time" : `until ${shown(until)}`
  return until === undefined ? `from ${shown(from)} on` : `between ${shown(from)} and ${shown(until)}`
}
