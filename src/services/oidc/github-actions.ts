/**
 * The identity token of a GitHub Actions job (docs.github.com: "OpenID Connect in GitHub Actions").
 *
 * @module
 */

import { GitsignError } from "../../errors.ts"
import { JsonReader, parseJson, refusal } from "../answer.ts"
import type { HttpClient } from "../http.ts"
import { isGithubActions } from "./environment.ts"
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
    throw noPermission()
  }
  const url = new URL(requestUrl)
  url.searchParams.set("audience", options.audience)
  const response = await options.http.request({
    url: url.href,
    headers: { authorization: `bearer ${requestToken}`, accept: "application/json" },
    signal: options.signal,
  })
  if (response.status !== 200) throw refusal(response, "ERR_OIDC")
  const what = `${response.peer} answered with something that is not an identity token`
  return new JsonReader(parseJson(response.body, what, "ERR_OIDC"), what, "ERR_OIDC").string("value")
}

/** The error for a GitHub Actions job that may not ask, and for what is none. */
export const noPermission = (): GitsignError =>
  new GitsignError("ERR_NO_TOKEN", "this is not a GitHub Actions job that may ask for identity tokens", {
    hint: "add to the job: permissions: { contents: read, id-token: write }",
  })
