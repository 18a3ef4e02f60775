/**
 * The flags that `gitsign verify` and `gitsign verify-tag` share, with the names of the Go program.
 *
 * @module
 */

import { type Command, Option } from "commander"
import { shellQuote } from "../formats/printable.ts"
import type { IdentityFlags, WORKFLOW_CLAIMS } from "../policy/identity.ts"

/** The flags as commander gives them. */
export interface VerifyFlags {
  readonly certificateIdentity?: string
  readonly certificateIdentityRegexp?: string
  readonly certificateOidcIssuer?: string
  readonly certificateOidcIssuerRegexp?: string
  readonly certificateGithubWorkflowTrigger?: string
  readonly certificateGithubWorkflowSha?: string
  readonly certificateGithubWorkflowName?: string
  readonly certificateGithubWorkflowRepository?: string
  readonly certificateGithubWorkflowRef?: string
  readonly anyIdentity?: boolean
  readonly insecureIgnoreSct?: boolean
  readonly trustedRoot?: string
  readonly format: "text" | "json"
}

const WORKFLOW_ABOUT: Readonly<Record<keyof typeof WORKFLOW_CLAIMS, string>> = {
  trigger: "the event that must have started the GitHub workflow",
  sha: "the commit the GitHub workflow must have run for",
  name: "the name the GitHub workflow must have",
  repository: "the repository the GitHub workflow must have run in",
  ref: "the git ref the GitHub workflow must have run for",
}

/** Adds the flags that say whom to expect and whom to trust. */
export function addIdentityFlags(command: Command): Command {
  command
    .option("--certificate-identity <identity>", "the signer's e-mail address or URI, exactly")
    .option("--certificate-identity-regexp <pattern>", "an RE2 pattern that it must match somewhere")
    .option("--certificate-oidc-issuer <issuer>", "the OpenID issuer the identity must come from, exactly")
    .option("--certificate-oidc-issuer-regexp <pattern>", "an RE2 pattern that it must match somewhere")
  for (const [name, about] of Object.entries(WORKFLOW_ABOUT)) {
    command.option(`--certificate-github-workflow-${name} <${name}>`, about)
  }
  return command
    .option("--any-identity", "accept whoever signed it; proves only that somebody did")
    .option("--insecure-ignore-sct", "accept a certificate that is not provably in a certificate transparency log")
    .option("--trusted-root <file>", "trust the Sigstore instance of this trusted_root.json and no other")
}

/** Adds all flags to a verb for one object. */
export const addVerifyFlags = (command: Command): Command =>
  addIdentityFlags(command).addOption(
    new Option("--format <format>", "how to print the result").choices(["text", "json"]).default("text"),
  )

/** Whether the flags say anything about the signer: then no policy is asked. */
export const asksForSigner = (flags: Omit<VerifyFlags, "format">): boolean => {
  const { workflow, ...identity } = identityFlagsOf(flags)
  return (
    flags.anyIdentity === true ||
    [...Object.values(identity), ...Object.values(workflow ?? {})].some((value) => value !== undefined)
  )
}

/** What the flags ask for. An empty value asks for nothing: it is an unset variable in somebody's script. */
export function identityFlagsOf(flags: Omit<VerifyFlags, "format">): IdentityFlags {
  return {
    certificateIdentity: flags.certificateIdentity || undefined,
    certificateIdentityRegexp: flags.certificateIdentityRegexp || undefined,
    certificateOidcIssuer: flags.certificateOidcIssuer || undefined,
    certificateOidcIssuerRegexp: flags.certificateOidcIssuerRegexp || undefined,
    workflow: {
      trigger: flags.certificateGithubWorkflowTrigger || undefined,
      sha: flags.certificateGithubWorkflowSha || undefined,
      name: flags.certificateGithubWorkflowName || undefined,
      repository: flags.certificateGithubWorkflowRepository || undefined,
      ref: flags.certificateGithubWorkflowRef || undefined,
    },
  }
}

/** The command that accepts this signer: the same one with the identity and the issuer written out. */
export function acceptingCommand(
  verb: string,
  flags: VerifyFlags,
  name: string,
  signer: { readonly identity: string; readonly issuer: string },
): string {
  const words = [
    "gitsign",
    verb,
    ...Object.entries(identityFlagsOf(flags).workflow ?? {}).flatMap(([flag, value]) =>
      value === undefined ? [] : [`--certificate-github-workflow-${flag}=${value}`],
    ),
    ...(flags.insecureIgnoreSct ? ["--insecure-ignore-sct"] : []),
    ...(flags.trustedRoot === undefined ? [] : [`--trusted-root=${flags.trustedRoot}`]),
    ...(flags.format === "json" ? ["--format=json"] : []),
    `--certificate-identity=${signer.identity}`,
    `--certificate-oidc-issuer=${signer.issuer}`,
    name,
  ]
  return words.map(shellQuote).join(" ")
}
