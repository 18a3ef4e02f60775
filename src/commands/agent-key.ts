/**
 * What a credential of the agent depends on, from the settings and surroundings of this run.
 *
 * @module
 */

import { resolve } from "node:path"
import type { CredentialKey } from "../../cache-daemon/protocol.ts"
import type { Config } from "../config.ts"
import { GitsignError } from "../errors.ts"
import { runGit } from "../git/run.ts"
import { tokenSource } from "../services/oidc/ambient.ts"
import { parseIdentityToken } from "../services/oidc/token.ts"
import type { CommandIo } from "./io.ts"
import { sha256 } from "./sha256.ts"

/**
 * The key under which the agent keeps the credential for this run.
 *
 * @throws ERR_TOKEN when there is a token and it is none; ERR_GIT when gitsign.credentialCacheScope asks for a repository and there is none
 */
export async function credentialKeyOf(config: Config, io: CommandIo): Promise<CredentialKey> {
  const source = tokenSource(io.env, config.tokenProvider)
  const { committer, matchCommitter } = config
  return {
    fulcio: config.fulcio,
    rekor: config.rekor,
    timestampServer: config.timestampServerURL ?? "",
    issuer: config.issuer,
    clientID: config.clientID,
    connectorID: config.connectorID ?? "",
    tokenProvider: source.provider,
    tokenIdentity: source.token === undefined ? "" : identityIn(source.token),
    committerEmail: matchCommitter ? (committer.email ?? "") : "",
    committerName: matchCommitter ? (committer.name ?? "") : "",
    matchCommitter,
    repository: config.credentialCacheScope === "repository" ? await repositoryOf(io) : "",
  }
}

/** Whom a token at hand names, as a digest: it must not sign as somebody who logged in before. */
function identityIn(token: string): string {
  const { iss, sub, aud, email, emailVerified, connectorId, jobWorkflowRef } = parseIdentityToken(token)
  const whole = JSON.stringify([iss, sub, aud, email, emailVerified, connectorId, jobWorkflowRef])
  return sha256(Buffer.from(whole, "utf8")).toString("hex")
}

/** The directory that all worktrees of a repository share. */
async function repositoryOf(io: CommandIo): Promise<string> {
  const { status, stdout, stderr } = await runGit(io, ["rev-parse", "--git-common-dir"])
  if (status === 0) return resolve(io.cwd, stdout.toString("utf8").replace(/\n$/, ""))
  throw new GitsignError("ERR_GIT", `gitsign.credentialCacheScope is repository, and there is none here: ${stderr}`, {
    hint: "run it in a repository",
  })
}
