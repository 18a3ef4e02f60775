/**
 * `gitsign verify`: is this commit signed, and by whom I expect.
 *
 * @module
 */

import { Command } from "commander"
import { GitsignError } from "../errors.ts"
import { type GitObject, readOneObject } from "../git/objects.ts"
import { withExamples } from "./help.ts"
import { addVerifyFlags, type VerifyFlags } from "./identity-options.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { verifyObject } from "./verify-object.ts"

/** The verb `verify`. */
export function verifyCommand(io: CommandIo, messages: Messages): Command {
  const command = new Command("verify")
    .description("verify the signature of a commit, and who made it")
    .argument("[revision]", "the commit", "HEAD")
    .action((name: string, flags: VerifyFlags) =>
      verifyObject({ verb: "verify", name, flags, io, messages, read: () => readCommit(io, name) }),
    )
  return withExamples(addVerifyFlags(command), [
    "gitsign verify --certificate-identity=dev@example.com --certificate-oidc-issuer=https://github.com/login/oauth",
    "gitsign verify --certificate-identity-regexp='@example\\.com$' --certificate-oidc-issuer=https://accounts.google.com HEAD~3",
    "gitsign verify --any-identity --format=json v1.0",
  ])
}

async function readCommit(io: CommandIo, name: string): Promise<GitObject & { type: "commit" }> {
  const { type, id, raw } = await readOneObject(io, `${name}^{commit}`)
  if (type !== "commit") throw new GitsignError("ERR_BUG", `git took ${type} ${id} for a commit`)
  return { type, id, raw }
}
