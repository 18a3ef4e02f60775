/**
 * Signers that are not trusted for a time: what the log and timestamps prove decides, not what a commit says.
 *
 * @module
 */

import type { ProvenSigner } from "./facts.ts"
import type { Compromise } from "./model.ts"
import { MAX_TEXT, type Matcher } from "./pattern.ts"
import { compileWidely } from "./text-match.ts"

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
  const compile = (match: Compromise["issuer"], name: string): Promise<Matcher | undefined> =>
    match === undefined
      ? Promise.resolve(undefined)
      : compileWidely(match, `${where}: ${name}`).then(({ matches }) => matches)
  const issuer = await compile(compromise.issuer, "issuerRegExp")
  const subject = await compile(compromise.subject, "subjectRegExp")
  const { key, from, until, reason } = compromise
  const window = `not trusted ${windowOf(from, until)}`
  const because = `(${where}: ${reason})`
  const concerns = (signer: ProvenSigner): boolean => {
    if (signer.scheme !== "keyless")
      return key !== undefined && signer.fingerprints.some((print) => sameKey(print, key))
    if (key !== undefined) return false
    if (issuer !== undefined && !issuer(signer.issuer)) return false
    return subject === undefined || signer.identities.some(subject)
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
      const long = [signer.issuer, ...signer.identities].some((name) => name.length > MAX_TEXT)
      const words = long ? `which is too long to be told from who is ${window}` : `which is ${window}`
      return `${words}, ${when} ${because}`
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
