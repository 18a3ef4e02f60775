/**
 * The file at which reports that know only files show what is wrong with a commit.
 *
 * @module
 */

import type { AuditResult } from "../audit/result.ts"

const DEFAULT_PATH = ".gitsign/policy.yaml"

/**
 * The path of the policy in the repository, where the audit took one from there; else where one would be. Always relative and inside, of
 * characters that need no escape in a URI.
 */
export function policyPath({ policies }: AuditResult): string {
  const [, path = ""] = /^[^:]*:(.*)$/.exec(policies[0]?.source ?? "") ?? []
  const isPlain = /^[\w.-]+(\/[\w.-]+)*$/.test(path) && !path.split("/").some((part) => /^\.{1,2}$/.test(part))
  return isPlain ? path : DEFAULT_PATH
}
