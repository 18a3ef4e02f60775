/**
 * `gitsign policy`: proposes, checks, explains, tests and compares policies.
 *
 * @module
 */

import { Command, Option } from "commander"
import { helpVerb, withExamples } from "./help.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { POLICY_ARGUMENT } from "./policy-argument.ts"
import type { CheckOptions } from "./policy-check.ts"
import type { DiffOptions } from "./policy-diff.ts"
import type { ExplainOptions } from "./policy-explain.ts"
import type { InitOptions } from "./policy-init.ts"
import type { TestOptions } from "./policy-test.ts"

/** What the verbs work with. */
interface Tools {
  readonly io: CommandIo
  readonly messages: Messages
  /** Sets the exit status of the program, where it is not 0. */
  readonly exit: (status: number) => void
}

/** The verb `policy` with its own verbs. */
export function policyCommand(io: CommandIo, messages: Messages, exit: (status: number) => void): Command {
  const tools: Tools = { io, messages, exit }
  const command = new Command("policy")
    .description("who may sign what: the policy in .gitsign/policy.yaml")
    .addCommand(initCommand(tools))
    .addCommand(checkCommand(tools))
    .addCommand(explainCommand(tools))
    .addCommand(testCommand(tools))
    .addCommand(diffCommand(tools))
    .addCommand(helpVerb("gitsign policy help diff"))
    .helpCommand(false)
  return withExamples(command, [
    "gitsign policy init            # propose one from who has signed so far",
    "gitsign policy check",
    "gitsign policy explain dev@example.com",
    "gitsign policy diff main",
  ])
}

const withFormat = (command: Command): Command =>
  command.addOption(new Option("--format <format>", "how to tell").choices(["text", "json"]).default("text"))

const DEFAULT_ABOUT = "what gitsign.policy names, else .gitsign/policy.yaml of the work tree"

function initCommand({ io, messages, exit }: Tools): Command {
  const command = withFormat(new Command("init"))
    .description("propose a policy from who has signed so far, with what each line rests on")
    .option("--all", "look at all branches, not only at the history of HEAD")
    .option("--write", "put it into .gitsign/policy.yaml instead of printing it")
    .option("--force", "replace the policy that is there")
    .option("--trusted-root <file>", "trust the Sigstore instance of this trusted_root.json and no other")
    .action(async (options: InitOptions) => {
      const { proposeFromHistory } = await import("./policy-init.ts")
      exit(await proposeFromHistory(io, messages, options))
    })
  return withExamples(command, ["gitsign policy init", "gitsign policy init --all --write"])
}

function checkCommand({ io, messages, exit }: Tools): Command {
  const command = withFormat(new Command("check"))
    .description("tell what is wrong with a policy, and what its authors should know")
    .argument("[policy]", `${POLICY_ARGUMENT} (default: ${DEFAULT_ABOUT})`)
    .option("--strict", "exit with 1 when there is a warning")
    .action(async (name: string | undefined, options: CheckOptions) => {
      const { checkPolicy } = await import("./policy-check.ts")
      exit(await checkPolicy(io, messages, name, options))
    })
  return withExamples(command, [
    "gitsign policy check",
    "gitsign policy check --strict origin/main",
    "gitsign policy check --format json HEAD~3:.gitsign/policy.yaml",
  ])
}

function explainCommand({ io, messages, exit }: Tools): Command {
  const command = withFormat(new Command("explain"))
    .description("tell what somebody may sign, and what stands against the rest; exits with 1 when it is nothing")
    .argument("<identity>", "an e-mail address, a URI, or the fingerprint of an OpenPGP or SSH key")
    .option("--issuer <issuer>", "the OpenID issuer of the identity (default: every issuer that the policy names)")
    .option("--ref <ref>", "what becomes of a commit on this branch, or of the tag refs/tags/NAME")
    .option("--path <path>", "with --ref: of a commit that changes this path")
    .option("--policy <policy>", `${POLICY_ARGUMENT} (default: ${DEFAULT_ABOUT})`)
    .action(async (identity: string, options: ExplainOptions) => {
      const { explainSigner } = await import("./policy-explain.ts")
      exit(await explainSigner(io, messages, identity, options))
    })
  return withExamples(command, [
    "gitsign policy explain dev@example.com",
    "gitsign policy explain dev@example.com --issuer https://accounts.google.com --ref main --path src/a.c",
    "gitsign policy explain https://github.com/acme/app/.github/workflows/ci.yml@refs/heads/main --ref refs/tags/v1.0",
  ])
}

function testCommand({ io, messages, exit }: Tools): Command {
  const command = withFormat(new Command("test"))
    .description("run the examples in a policy and in policy.test.yaml beside it; exits with 1 when one does not hold")
    .argument("[policy]", `${POLICY_ARGUMENT} (default: ${DEFAULT_ABOUT})`)
    .option("--examples <file>", "run the examples of this file too")
    .action(async (name: string | undefined, options: TestOptions) => {
      const { testPolicy } = await import("./policy-test.ts")
      exit(await testPolicy(io, messages, name, options))
    })
  return withExamples(command, ["gitsign policy test", "gitsign policy test HEAD --format json"])
}

function diffCommand({ io, messages, exit }: Tools): Command {
  const command = withFormat(new Command("diff"))
    .description("tell who may sign more and who less under another policy")
    .argument("<before>", POLICY_ARGUMENT)
    .argument("[after]", `the same (default: ${DEFAULT_ABOUT})`)
    .option("--exit-code", "exit with 1 when somebody may sign more or less")
    .action(async (before: string, after: string | undefined, options: DiffOptions) => {
      const { comparePolicies } = await import("./policy-diff.ts")
      exit(await comparePolicies(io, messages, before, after, options))
    })
  return withExamples(command, [
    "gitsign policy diff main",
    "gitsign policy diff main feature",
    "gitsign policy diff --exit-code origin/main .gitsign/policy.yaml",
  ])
}
