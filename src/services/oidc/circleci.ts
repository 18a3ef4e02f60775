/**
 * The identity token of a CircleCI job, which the `circleci` program of the job's image asks for (circleci.com/docs: "OIDC tokens with
 * custom claims"). The tokens in the job's environment are for the audience of the organization, so that Fulcio refuses them.
 *
 * @module
 */

import { GitsignError, isGitsignError } from "../../errors.ts"
import { notAJob } from "./environment.ts"
import { commandToken } from "./exec.ts"
import type { Environment } from "./provider.ts"

/** What asking for a token takes. */
export interface CircleciOptions {
  readonly env: Environment
  readonly audience: string
  readonly cwd?: string | undefined
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Has the `circleci` program ask for a token for this audience; not yet looked at.
 *
 * @throws ERR_NO_TOKEN when this is no CircleCI job, or the program is not there; ERR_OIDC when it fails or takes longer than 60 s
 * @throws ERR_TOKEN when it prints nothing; ERR_CANCELLED on the signal
 */
export async function circleciToken({ env, audience, ...options }: CircleciOptions): Promise<string> {
  if (env.CIRCLECI !== "true") throw notAJob("CircleCI", "CIRCLECI")
  const command = ["circleci", "run", "oidc", "get", "--claims", JSON.stringify({ aud: audience })]
  const name = "circleci run oidc get"
  const hint = "see that OpenID Connect is on for the organization, and that the job runs on CircleCI itself"
  try {
    return await commandToken({ ...options, command, name, hint, env })
  } catch (error) {
    if (!isGitsignError(error) || error.code !== "ERR_CONFIG") throw error
    throw new GitsignError("ERR_NO_TOKEN", "this CircleCI job has no circleci program to ask for an identity token", {
      cause: error.cause,
      hint: "use an image where CircleCI puts its program on PATH, or set SIGSTORE_ID_TOKEN in an earlier step",
    })
  }
}
