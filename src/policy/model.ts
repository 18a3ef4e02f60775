/**
 * A policy as values: who may sign what. docs/policy.md tells the file that it is read from.
 *
 * @module
 */

import type { ClaimName } from "../formats/signer.ts"

/** Where a policy, or a file that belongs to it, was found: for messages, such as `main:.gitsign/policy.yaml`. */
export type PolicySource = string

/** A text that has to be exactly so, or a pattern (RE2) that it has to match. */
export type TextMatch =
  | { readonly exact: string }
  | {
      readonly pattern: string
      /** Whether the pattern has to match the whole text; in Chainguard's source policies anywhere is enough. */
      readonly whole: boolean
    }

/** On which commits a signer counts: on all, on merges only, or only on merges that git itself would have made so. */
export type OnCommits = "all" | "merges" | "clean merges"

/** One way to be a signer. */
export type SignerEntry =
  | {
      readonly scheme: "keyless"
      /** Undefined: whichever. Only a policy that says `anyone: true` has an entry without both. */
      readonly issuer: TextMatch | undefined
      readonly subject: TextMatch | undefined
      /** Claims that the certificate must have. */
      readonly claims: readonly { readonly claim: ClaimName; readonly match: TextMatch }[]
      readonly on: OnCommits
    }
  | {
      readonly scheme: "openpgp"
      /** Armored public keys. */
      readonly keys: string
      readonly source: PolicySource
      readonly on: OnCommits
    }
  | {
      readonly scheme: "ssh"
      /** Text in the form of git's gpg.ssh.allowedSignersFile. */
      readonly allowedSigners: string
      readonly source: PolicySource
      /** Patterns as in that file, one of which a principal must match; empty: every principal in it. */
      readonly principals: readonly string[]
      readonly on: OnCommits
    }

/** What a rule asks for beyond the signer. All false or empty: nothing. */
export interface Requirements {
  /** Sigstore signatures only. */
  readonly keyless: boolean
  /** The signature carries its log entry. */
  readonly offlineProof: boolean
  /** The certificate is provably in a CT log. True unless the rule says otherwise. */
  readonly sct: boolean
  /** An RFC 3161 timestamp. */
  readonly timestamp: boolean
  /** One of the signer's names is the committer's (tagger's) e-mail address. */
  readonly committer: boolean
  /** Claims that the certificate must have. */
  readonly claims: readonly { readonly claim: ClaimName; readonly match: TextMatch }[]
}

/** One rule. Every rule that applies to an object has to be satisfied by it. */
export interface Rule {
  readonly name: string
  /** Line in the file, counted from 1. */
  readonly line: number
  readonly kind: "commits" | "tags"
  /** Globs over the name behind `refs/heads/` or `refs/tags/`; one that begins with `refs/` is over the whole name. */
  readonly refs: readonly string[]
  /** Globs over paths; empty: the rule is for every commit. Else it is for those that change such a path. */
  readonly paths: readonly string[]
  /** Names of signers. */
  readonly signers: readonly string[]
  /** `first-parent`: a merge vouches for what it brings in; only commits on the branch itself are judged. */
  readonly merges: "all" | "first-parent"
  readonly require: Requirements
}

/** One commit that is accepted as it is. */
export interface Exemption {
  /** The whole object id, in lower case. */
  readonly id: string
  readonly reason: string
  readonly author: string
  readonly line: number
}

/** A signer that is not trusted for a time. */
export interface Compromise {
  /** For keyless signers; both undefined for keys. */
  readonly issuer: TextMatch | undefined
  readonly subject: TextMatch | undefined
  /** Fingerprint of an OpenPGP key (hex) or SSH key (`SHA256:…`), from which no time is proven: it counts always. */
  readonly key: string | undefined
  readonly from: Date | undefined
  readonly until: Date | undefined
  readonly reason: string
  readonly line: number
}

/** Something about a policy that its authors should know. */
export interface PolicyWarning {
  /** Stable, such as `unescaped-dot`. */
  readonly id: string
  readonly line: number
  readonly message: string
}

/** A policy. */
export interface Policy {
  readonly source: PolicySource
  readonly format: "gitsign" | "chainguard"
  readonly signers: ReadonlyMap<string, readonly SignerEntry[]>
  readonly rules: readonly Rule[]
  /** What becomes of an object to which no rule without paths applies. */
  readonly otherwise: "refuse" | "allow"
  /** What is older is not judged: a commit's object id (its ancestors are older), or a committer date. */
  readonly since: { readonly commit: string } | { readonly date: Date } | undefined
  readonly exemptions: readonly Exemption[]
  readonly compromised: readonly Compromise[]
  readonly warnings: readonly PolicyWarning[]
}
