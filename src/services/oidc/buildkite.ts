/**
 * The identity token of a Buildkite job, which the job's agent token is exchanged for (buildkite.com/docs/agent/v3/cli-oidc; the
 * request is that of `buildkite-agent oidc request-token`).
 *
 * @module
 */

import { GitsignError } from "../../errors.ts"
import { JsonReader, parseJson, refusal } from "../answer.ts"
import type { HttpClient, HttpResponse } from "../http.ts"
import type { Environment } from "./provider.ts"

/** What asking Buildkite for a token takes. */
export interface BuildkiteOptions {
  readonly env: Environment
  readonly audience: string
  readonly http: HttpClient
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks Buildkite for a token for this audience; not yet looked at.
 *
 * @throws ERR_NO_TOKEN when this is no Buildkite job; ERR_OIDC when Buildkite refuses; ERR_NETWORK when it does not answer
 * @throws ERR_CONFIG when BUILDKITE_AGENT_ENDPOINT is not an address gitsign talks to
 */
export async function buildkiteToken({ env, audience, http, signal }: BuildkiteOptions): Promise<string> {
  const agentToken = env.BUILDKITE_AGENT_ACCESS_TOKEN?.trim() ?? ""
  const job = env.BUILDKITE_JOB_ID?.trim() ?? ""
  // Control characters would end the header early; a job of dots would be another address.
  if (!/^[\x21-\x7e]+$/.test(agentToken) || !/^[\w-]+$/.test(job)) {
    throw new GitsignError("ERR_NO_TOKEN", "this is not a Buildkite job that may ask for identity tokens", {
      hint: "run it in a Buildkite job, which sets BUILDKITE_AGENT_ACCESS_TOKEN and BUILDKITE_JOB_ID; in a container, pass both on",
    })
  }
  const base = (env.BUILDKITE_AGENT_ENDPOINT?.trim() || "https://agent.buildkite.com/v3").replace(/\/+$/, "")
  const response = await http.request({
    url: `${base}/jobs/${job}/oidc/tokens`,
    method: "POST",
    headers: {
      authorization: `Token ${agentToken}`,
      "content-type": "application/json",
      accept: "application/json",
    },
    body: JSON.stringify({ audience }),
    // A second token does no harm.
    repeatable: true,
    signal,
  })
  if (response.status !== 200 && response.status !== 201) throw refused(response)
  const what = `${response.peer} answered with something that is not an identity token`
  return new JsonReader(parseJson(response.body, what, "ERR_OIDC"), what, "ERR_OIDC").string("token")
}

function refused(response: HttpResponse): GitsignError {
  const hint =
    response.status === 401 || response.status === 403
      ? "sign while the job runs: its BUILDKITE_AGENT_ACCESS_TOKEN ends with it"
      : "try again; if it stays, check BUILDKITE_AGENT_ENDPOINT, and see https://www.buildkitestatus.com"
  return new GitsignError("ERR_OIDC", refusal(response, "ERR_OIDC").message, { hint })
}
