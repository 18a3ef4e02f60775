/**
 * The identity token of a GitHub Actions job (docs.github.com: "OpenID Connect in GitHub Actions").
 *
 * @module
 */

import { GitsignError } from "../../errors.ts"
import { JsonReader, parseJson, refusal } from "../answer.ts"
import type { HttpClient, HttpResponse } from "../http.ts"
import { isGithubActions, isGithubJob } from "./environment.ts"
import type { Environment } from "./provider.ts"

/** What asking the runner for a token takes. */
export interface GithubActionsOptions {
  readonly env: Environment
  readonly audience: string
  readonly http: HttpClient
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks the runner for a token for this audience; not yet looked at.
 *
 * @throws ERR_NO_TOKEN when the job may not ask; ERR_OIDC when the runner refuses; ERR_NETWORK when it does not answer
 */
export async function githubActionsToken(options: GithubActionsOptions): Promise<string> {
  const requestUrl = options.env.ACTIONS_ID_TOKEN_REQUEST_URL?.trim() ?? ""
  const requestToken = options.env.ACTIONS_ID_TOKEN_REQUEST_TOKEN?.trim() ?? ""
  // Control characters would end the header early.
  if (!isGithubActions(options.env) || !URL.canParse(requestUrl) || !/^[\x21-\x7e]+$/.test(requestToken)) {
    throw noPermission(options.env)
  }
  const url = new URL(requestUrl)
  url.searchParams.set("audience", options.audience)
  const response = await options.http.request({
    url: url.href,
    headers: { authorization: `bearer ${requestToken}`, accept: "application/json" },
    signal: options.signal,
  })
  if (response.status !== 200) throw refused(response)
  const what = `${response.peer} answered with something that is not an identity token`
  return new JsonReader(parseJson(response.body, what, "ERR_OIDC"), what, "ERR_OIDC").string("value")
}

const PERMISSIONS = "permissions: { contents: read, id-token: write }"

/** The error for a GitHub Actions job that may not ask, and for what is none. */
export const noPermission = (env: Environment): GitsignError =>
  new GitsignError("ERR_NO_TOKEN", "this is not a GitHub Actions job that may ask for identity tokens", {
    hint: isGithubJob(env)
      ? `add to the job: ${PERMISSIONS}; one for a pull request from a fork never may`
      : `run it in a GitHub Actions job with ${PERMISSIONS}; in a container there, pass its environment on`,
  })

/** No setting of gitsign names the address that was asked: the runner does. */
function refused(response: HttpResponse): GitsignError {
  const hint =
    response.status === 401 || response.status === 403
      ? `see that the job has ${PERMISSIONS} and still runs, and that no proxy refuses the request`
      : "try again; if it stays, see the log of the runner and https://www.githubstatus.com"
  return new GitsignError("ERR_OIDC", refusal(response, "ERR_OIDC").message, { hint })
}
