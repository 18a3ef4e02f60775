/**
 * The policy with which a history is looked at before there is a policy: whoever signs, with a proof of who it was.
 *
 * @module
 */

import { loadPolicy, type PolicyInForce } from "./policy-source.ts"

const TEXT = `version: 1
signers:
  whoever: [{ anyone: true }]
  website: [{ openpgp: github, on: all }]
rules:
  - { name: branches, branches: ['**'], signers: [whoever, website] }
  - { name: tags, tags: ['**'], signers: [whoever, website] }
`

/** Accepts every verified Sigstore signature, and those of GitHub's website. */
export const seedPolicy = (): Promise<PolicyInForce> => policyOfText(TEXT, "the look at who has signed")

/**
 * A policy from a text that names no files.
 *
 * @throws as `readPolicyAt`
 */
export const policyOfText = (text: string, source: string): Promise<PolicyInForce> =>
  loadPolicy({
    text: Buffer.from(text, "utf8"),
    source,
    paths: () => [],
    beside: async () => undefined,
    close: async () => undefined,
  })
