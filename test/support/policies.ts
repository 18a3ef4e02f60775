/**
 * Policies and signers for tests of the policy.
 *
 * @module
 */

import { type CompiledPolicy, compilePolicy } from "../../src/policy/compile.ts"
import type { ProvenSigner } from "../../src/policy/facts.ts"
import { parsePolicy } from "../../src/policy/parse.ts"

export const GOOGLE = "https://accounts.google.com"

/** A policy from its text and the files beside it. */
export async function policyOf(text: string, files: Readonly<Record<string, string>> = {}): Promise<CompiledPolicy> {
  const bytes = new Map(Object.entries(files).map(([name, content]) => [name, Buffer.from(content)]))
  return compilePolicy(await parsePolicy(Buffer.from(text), "policy.yaml").complete(bytes))
}

/** Somebody with a Sigstore signature that has everything, but for what is said. */
export const signedBy = (
  identity: string,
  but: Partial<ProvenSigner & { readonly scheme: "keyless" }> = {},
): ProvenSigner & { readonly scheme: "keyless" } => ({
  scheme: "keyless",
  identities: [identity],
  issuer: GOOGLE,
  claims: {},
  mode: "offline",
  times: [new Date("2026-05-05T12:00:00Z")],
  timestamped: true,
  sct: true,
  ...but,
})

/** A plain commit, but for what is said. */
export const commit = <But extends object>(but: But) => ({
  type: "commit" as const,
  id: "c".repeat(40),
  committerEmail: "alice@example.com",
  committerDate: new Date("2026-05-05T12:00:00Z"),
  parents: ["d".repeat(40)] as readonly string[],
  paths: ["src/a.c"] as readonly string[] | undefined,
  cleanMerge: undefined,
  ...but,
})
