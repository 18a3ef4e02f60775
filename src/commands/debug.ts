/**
 * `gitsign debug`: looks into what signing works with. `token` shows the claims of the identity token, and what is wrong with it.
 *
 * @module
 */

import { Command } from "commander"
import { isGitsignError } from "../errors.ts"
import { jsonText } from "../formats/printable.ts"
import { identityOf, isExactIdentity, issuerOf } from "../services/oidc/token.ts"
import { withExamples } from "./help.ts"
import type { CommandIo } from "./io.ts"
import type { Messages } from "./messages.ts"
import { Person } from "./person.ts"
import { loadConfig } from "./settings.ts"

/** The verb `debug` with its own verbs. */
export function debugCommand(io: CommandIo, messages: Messages): Command {
  const command = new Command("debug")
    .description("look into what signing works with")
    .addCommand(tokenCommand(io, messages))
    .helpCommand(false)
  return withExamples(command, ["gitsign debug token"])
}

function tokenCommand(io: CommandIo, messages: Messages): Command {
  const command = new Command("token")
    .description("print the claims of the identity token that a signature would use, without its signature")
    .option("--raw", "print the token itself: whoever has it can sign as you until it ends")
    .action((options: { raw?: boolean }) => debugToken(io, messages, options))
  return withExamples(command, ["gitsign debug token", "gitsign debug token | jq .claims.sub"])
}

async function debugToken(io: CommandIo, messages: Messages, { raw }: { raw?: boolean }): Promise<void> {
  const config = await loadConfig(io, messages)
  const person = new Person(messages)
  try {
    const { obtainToken } = await import("./login.ts")
    const { token, claims, provider, problem } = await obtainToken(
      // Nothing is published, so nobody is asked whether it may be.
      { config: { ...config, publishConsent: "always", matchCommitter: false }, io, person },
      { unchecked: true },
    )
    if (raw) {
      messages.show("gitsign: this token signs as you until it ends; keep it to yourself\n")
      io.stdout(`${token}\n`)
    } else {
      io.stdout(
        jsonText({
          schemaVersion: 1,
          tokenProvider: provider,
          identity: identityOf(claims),
          exact: isExactIdentity(claims),
          issuer: issuerOf(claims),
          expires: claims.expiresAt.toISOString().replace(".000Z", "Z"),
          problem: isGitsignError(problem) ? { code: problem.code, message: problem.message } : null,
          header: partOf(token, 0),
          claims: partOf(token, 1),
        }),
      )
    }
    if (problem !== undefined) throw problem
  } finally {
    person.close()
  }
}

/** Has been read before: it is JSON. */
const partOf = (token: string, index: number): unknown =>
  JSON.parse(Buffer.from(token.split(".")[index] ?? "", "base64url").toString("utf8"))
