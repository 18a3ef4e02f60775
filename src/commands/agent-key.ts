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
import { type TokenSource, tokenSource } from "../services/oidc/ambient.ts"
import { parseIdentityToken } from "../services/oidc/token.ts"
import type { CommandIo } from "./io.ts"
import { sha256 } from "./sha256.ts"

/**
 * The key under which the agent keeps the credential for this run.
 *
 * @throws ERR_TOKEN when there is a token and it is none; ERR_GIT when gitsign.credentialCacheScope asks for a repository and there is none
 */
export async function credentialKeyOf(config: Config, io: CommandIo): Promise<CredentialKey> {
  const { env } = io
  const { clientID: audience, tokenFile, tokenCommand } = config
  const source = tokenSource({ env, audience, tokenFile, tokenCommand }, config.tokenProvider)
  const { committer, matchCommitter } = config
  return {
    fulcio: config.fulcio,
    rekor: config.rekor,
    timestampServer: config.timestampServerURL ?? "",
    issuer: config.issuer,
    clientID: config.clientID,
    connectorID: config.connectorID ?? "",
    tokenProvider: source.provider,
    tokenIdentity: tokenIdentity(source),
    committerEmail: matchCommitter ? (committer.email ?? "") : "",
    committerName: matchCommitter ? (committer.name ?? "") : "",
    matchCommitter,
    repository: config.credentialCacheScope === "repository" ? await repositoryOf(io) : "",
  }
}

/** Whom the token names, or else what decides it, as a digest: a run must not sign as somebody who logged in before. */
function tokenIdentity({ token, scope }: TokenSource): string {
  if (token === undefined) return scope === "" ? "" : digest(scope)
  const { iss, sub, aud, email, emailVerified, connectorId, jobWorkflowRef, workloadUri } = parseIdentityToken(token)
  return digest(JSON.stringify([iss, sub, aud, email, emailVerified, connectorId, jobWorkflowRef, workloadUri]))
}

const digest = (text: string): string => sha256(Buffer.from(text, "utf8")).toString("hex")

/** The directory that all worktrees of a repository share. */
async function repositoryOf(io: CommandIo): Promise<string> {
  const { status, stdout, stderr } = await runGit(io, ["rev-parse", "--git-common-dir"])
  if (status === 0) return resolve(io.cwd, stdout.toString("utf8").replace(/\n$/, ""))
  throw new GitsignError("ERR_GIT", `gitsign.credentialCacheScope is repository, and there is none here: ${stderr}`, {
    hint: "run it in a repository",
  })
}
