/**
 * The identity token of a GitLab job: one of the `id_tokens` that its .gitlab-ci.yml asks for, each of which GitLab puts into an
 * environment variable of a name that the job chooses (docs.gitlab.com: "OpenID Connect (OIDC) Authentication Using ID Tokens").
 *
 * @module
 */

import { GitsignError } from "../../errors.ts"
import type { Detection, Surroundings } from "./ambient.ts"
import { environmentToken, notAJob } from "./environment.ts"
import type { Environment } from "./provider.ts"
import { type IdentityTokenClaims, parseIdentityToken } from "./token.ts"

/** The issuer of this job's tokens: the address of its GitLab. */
export const gitlabIssuer = (env: Environment): string =>
  (env.CI_SERVER_URL?.trim() || "https://gitlab.com").replace(/\/+$/, "")

/** The action that gives a job a token for this audience. */
export const gitlabHint = (audience: string): string =>
  `add to the job in .gitlab-ci.yml: id_tokens: { SIGSTORE_ID_TOKEN: { aud: ${audience} } }`

/**
 * Whether this is a GitLab job whose token is not in SIGSTORE_ID_TOKEN, where `envvar` takes it. It applies also when the job has no
 * token: taking it then says what to add.
 */
export function detectGitlab({ env, audience }: Surroundings): Detection {
  if (env.GITLAB_CI !== "true") return { applies: false, because: "this is not a GitLab job" }
  if (environmentToken(env) !== undefined) {
    return { applies: false, because: "this GitLab job has its token in SIGSTORE_ID_TOKEN, which envvar takes" }
  }
  const found = jobToken(env, audience)
  if (found === undefined) {
    return { applies: true, because: `this is a GitLab job, and none of its id_tokens is for the audience ${audience}` }
  }
  return { applies: true, because: `${found.name} holds a token for the audience ${audience}`, token: found.token }
}

/**
 * The token of this job for the audience; not yet looked at.
 *
 * @throws ERR_NO_TOKEN when this is no GitLab job, or its .gitlab-ci.yml asks for no such token
 */
export function gitlabToken({ env, audience }: Surroundings): string {
  if (env.GITLAB_CI !== "true") throw notAJob("GitLab", "GITLAB_CI")
  const token = environmentToken(env) ?? jobToken(env, audience)?.token
  if (token !== undefined) return token
  throw new GitsignError("ERR_NO_TOKEN", `this GitLab job has no identity token for the audience ${audience}`, {
    hint: gitlabHint(audience),
  })
}

/** The first variable, by name, whose token is of this GitLab and for this audience. */
function jobToken(env: Environment, audience: string): { name: string; token: string } | undefined {
  const issuer = gitlabIssuer(env)
  for (const name of Object.keys(env).sort()) {
    const token = env[name]?.trim() ?? ""
    // Every token begins with the base64url of `{"`.
    if (!token.startsWith("eyJ")) continue
    const claims = claimsOf(token)
    if (claims?.iss === issuer && claims.aud.includes(audience)) return { name, token }
  }
  return undefined
}

function claimsOf(token: string): IdentityTokenClaims | undefined {
  try {
    return parseIdentityToken(token)
  } catch {
    // Some other variable that looks like one.
    return undefined
  }
}
