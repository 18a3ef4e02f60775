/**
 * `gitsign verify-tag`: is this tag signed, by whom I expect, and made for the name it is found under.
 *
 * @module
 */

import { Command } from "commander"
import { readPolicy } from "../audit/policy-source.ts"
import { GitsignError } from "../errors.ts"
import type { SignedObject } from "../formats/git-object.ts"
import { type GitObject, readOneObject } from "../git/objects.ts"
import { runGit } from "../git/run.ts"
import { auditOptionsOf, configuredPolicy } from "./audit-options.ts"
import { withExamples } from "./help.ts"
import { addVerifyFlags, asksForSigner, type VerifyFlags } from "./identity-options.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { loadConfig } from "./settings.ts"
import { runAudit } from "./verify-audit.ts"
import { authorizeOf, verifyObject } from "./verify-object.ts"

/** The verb `verify-tag`. */
export function verifyTagCommand(io: CommandIo, messages: Messages, exit: (status: number) => void): Command {
  const command = new Command("verify-tag")
    .description("verify the signature of a tag, and who made it")
    .argument("<tag>", "the name of the tag")
    .option("--policy <file>", "go by this policy: a file, or REF:path")
    .action(async (name: string, flags: TagFlags) => exit(await verifyTag({ io, messages, name, flags })))
  return withExamples(addVerifyFlags(command), [
    "gitsign verify-tag --certificate-identity=dev@example.com --certificate-oidc-issuer=https://github.com/login/oauth v1.0",
  ])
}

interface TagFlags extends VerifyFlags {
  readonly policy?: string
}

interface TagCall {
  readonly io: CommandIo
  readonly messages: Messages
  readonly name: string
  readonly flags: TagFlags
}

async function verifyTag({ io, messages, name, flags }: TagCall): Promise<number> {
  const config = await loadConfig(io, messages)
  const byFlags = asksForSigner(flags)
  if (byFlags && flags.policy !== undefined)
    throw new GitsignError("ERR_USAGE", "--policy says who may sign; so do the other flags: take one of them")
  const policy =
    flags.policy === undefined
      ? byFlags
        ? undefined
        : await configuredPolicy(io, config)
      : await readPolicy(io, io.cwd, flags.policy)
  const call = {
    verb: "verify-tag",
    name,
    flags,
    io,
    messages,
    read: () => readTag(io, name),
    check: checkName(name),
  } as const
  if (policy === undefined && flags.format === "text") {
    await verifyObject(call)
    return 0
  }
  const authorize = policy === undefined ? await authorizeOf(call) : undefined
  const { id } = await readTag(io, name)
  const target = { name, ref: `refs/tags/${name}`, include: [id], exclude: [], walk: false, fresh: false, policy }
  const options = {
    ...(await auditOptionsOf(io, config, flags.trustedRoot)),
    authorize,
    anyIdentity: flags.anyIdentity,
    ignoreSct: flags.insecureIgnoreSct,
  }
  const output = { format: flags.format, verbose: false, explain: false, warnOnly: false }
  return runAudit(io, messages, [target], options, output)
}

/** A server can hand out the good signature of an old version under the name of a new one. */
const checkName =
  (name: string) =>
  ({ tagName }: SignedObject): void => {
    if (tagName === name) return
    throw new GitsignError("ERR_TAG_NAME", `the tag object found as ${name} was made for the name ${tagName}`)
  }

async function readTag(io: CommandIo, name: string): Promise<GitObject & { type: "tag" }> {
  // Only the tag of exactly this name: revision syntax would also find branches, and what a tag points to.
  const { status, stdout, stderr } = await runGit(io, ["show-ref", "--verify", "--hash", "--", `refs/tags/${name}`])
  if (status !== 0) {
    const missing = stderr.includes("not a valid ref")
    throw new GitsignError("ERR_GIT", missing ? `there is no tag ${name} in this repository` : stderr, {
      hint: missing ? "list the tags with: git tag" : "run it inside the repository",
    })
  }
  const { type, id, raw } = await readOneObject(io, stdout.toString("latin1").trim())
  if (type !== "tag") {
    throw new GitsignError("ERR_NOT_SIGNED", `the tag ${name} is a lightweight one, only a name for a ${type}`, {
      hint: "a signed tag is made with: git tag -s; a commit is verified with: gitsign verify",
    })
  }
  return { type, id, raw }
}
