/**
 * `gitsign show`: what a commit or tag and its signature say, as an in-toto statement. It verifies nothing.
 *
 * @module
 */

import { Command } from "commander"
import { GitsignError } from "../errors.ts"
import { describeObject } from "../formats/predicate.ts"
import { jsonText } from "../formats/printable.ts"
import { readOneObject } from "../git/objects.ts"
import { resolveRevision } from "../git/revisions.ts"
import { runGit } from "../git/run.ts"
import { withExamples } from "./help.ts"
import type { CommandIo } from "./io.ts"
import { checkRepository } from "./repository.ts"

/** The verb `show`. */
export function showCommand(io: CommandIo): Command {
  const command = new Command("show")
    .description("print a commit or tag and its signature as an in-toto statement, unverified")
    .argument("[revision]", "the commit or tag", "HEAD")
    .option("-r, --remote <name>", "the remote whose address names the repository in the statement", "origin")
    .action((revision: string, { remote }: { remote: string }) => show(io, revision, remote))
  return withExamples(command, ["gitsign show", "gitsign show --remote=upstream v1.0"])
}

async function show(io: CommandIo, revision: string, remote: string): Promise<void> {
  await checkRepository(io)
  const object = await resolveRevision(io, revision, "ERR_USAGE")
  const { type, id, raw } = await readOneObject(io, object.id)
  if (type !== "commit" && type !== "tag") {
    throw new GitsignError("ERR_USAGE", `${revision} is a ${type}, neither a commit nor a tag`, {
      hint: "name a commit or a tag, such as HEAD or v1.0",
    })
  }
  const statement = describeObject(type, raw, id.length === 40 ? "sha1" : "sha256", await remoteAddress(io, remote))
  io.stdout(jsonText(statement))
}

/** The first address of a remote without the name and password that may be in it; "" when there is no such remote. */
async function remoteAddress(io: CommandIo, remote: string): Promise<string> {
  const { stdout } = await runGit(io, ["config", "-z", "--get-all", `remote.${remote}.url`])
  const [address = ""] = stdout.toString("utf8").split("\0")
  const [, scheme] = /^([a-z][a-z0-9+.-]*:\/\/)/i.exec(address) ?? []
  // Up to the last @ anywhere: a password may hold an @ or a slash itself, and a path that holds one is better cut than a secret shown.
  return scheme === undefined ? address : scheme + address.slice(Math.max(scheme.length, address.lastIndexOf("@") + 1))
}
