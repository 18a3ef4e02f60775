/**
 * `gitsign verify-tag`: is this tag signed, by whom I expect, and made for the name it is found under.
 *
 * @module
 */

import { Command } from "commander"
import { GitsignError } from "../errors.ts"
import { type GitObject, readOneObject } from "../git/objects.ts"
import { runGit } from "../git/run.ts"
import { withExamples } from "./help.ts"
import { addVerifyFlags, type VerifyFlags } from "./identity-options.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { verifyObject } from "./verify-object.ts"

/** The verb `verify-tag`. */
export function verifyTagCommand(io: CommandIo, messages: Messages): Command {
  const command = new Command("verify-tag")
    .description("verify the signature of a tag, and who made it")
    .argument("<tag>", "the name of the tag")
    .action((name: string, flags: VerifyFlags) =>
      verifyObject({
        verb: "verify-tag",
        name,
        flags,
        io,
        messages,
        read: () => readTag(io, name),
        check: ({ tagName }) => {
          // A server can hand out the good signature of an old version under the name of a new one.
          if (tagName === name) return
          throw new GitsignError("ERR_TAG_NAME", `the tag object found as ${name} was made for the name ${tagName}`)
        },
      }),
    )
  return withExamples(addVerifyFlags(command), [
    "gitsign verify-tag --certificate-identity=dev@example.com --certificate-oidc-issuer=https://github.com/login/oauth v1.0",
  ])
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
