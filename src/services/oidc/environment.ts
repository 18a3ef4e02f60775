/**
 * What environment variables and settings tell of identity tokens: one that a script or a CI system puts there (SIGSTORE_ID_TOKEN, as
 * cosign's `envvar`), and whether a job may ask for one.
 *
 * @module
 */

import { GitsignError } from "../../errors.ts"
import type { Detection, Surroundings } from "./ambient.ts"
import type { Environment } from "./provider.ts"

/** The token, not yet looked at; undefined when the variable is unset or empty. */
export const environmentToken = (env: Environment): string | undefined => env.SIGSTORE_ID_TOKEN?.trim() || undefined

/** Whether SIGSTORE_ID_TOKEN holds something. */
export function detectEnvironmentToken({ env }: Surroundings): Detection {
  const token = environmentToken(env)
  if (token !== undefined) return { applies: true, because: "SIGSTORE_ID_TOKEN is set", token }
  return {
    applies: false,
    because: `SIGSTORE_ID_TOKEN is ${env.SIGSTORE_ID_TOKEN === undefined ? "not set" : "empty"}`,
  }
}

/** Whether the job may ask for tokens: both variables are set only with `permissions: id-token: write`. */
export const isGithubActions = (env: Environment): boolean =>
  Boolean(env.ACTIONS_ID_TOKEN_REQUEST_URL?.trim() && env.ACTIONS_ID_TOKEN_REQUEST_TOKEN?.trim())

/** Whether this is a GitHub Actions job that may ask for tokens. */
export function detectGithubActions({ env }: Surroundings): Detection {
  if (isGithubActions(env)) return { applies: true, because: "this GitHub Actions job may ask for identity tokens" }
  return isGithubJob(env)
    ? { applies: false, because: "this GitHub Actions job lacks the permission id-token: write" }
    : { applies: false, because: "this is not a GitHub Actions job" }
}

/** The error for a provider that is asked outside of its jobs; `variable` is what tells them. */
export const notAJob = (system: string, variable: string): GitsignError =>
  new GitsignError("ERR_NO_TOKEN", `this is not a ${system} job`, {
    hint: `run it in a ${system} job, which sets ${variable}; in a container there, pass its environment on`,
  })

/** Whether this is a GitHub Actions job, whatever it may do. */
export const isGithubJob = (env: Environment): boolean => env.GITHUB_ACTIONS === "true"

/** Whether this is a Buildkite job; its agent gives every job a token to talk to Buildkite with. */
export function detectBuildkite({ env }: Surroundings): Detection {
  const applies = Boolean(env.BUILDKITE_AGENT_ACCESS_TOKEN?.trim())
  const because = applies
    ? "BUILDKITE_AGENT_ACCESS_TOKEN is set, as in a Buildkite job"
    : "this is not a Buildkite job (BUILDKITE_AGENT_ACCESS_TOKEN is not set)"
  return { applies, because }
}

/** Whether this is a CircleCI job; whether its command line program is there shows when it is run. */
export const detectCircleci = ({ env }: Surroundings): Detection =>
  env.CIRCLECI === "true"
    ? { applies: true, because: "this is a CircleCI job" }
    : { applies: false, because: "this is not a CircleCI job" }

/** Whether a command is configured. The command itself is not shown: its words may hold a secret. */
export const detectExec = ({ tokenCommand }: Surroundings): Detection =>
  tokenCommand !== undefined && tokenCommand.length > 0
    ? { applies: true, because: "gitsign.tokenCommand is set" }
    : { applies: false, because: "gitsign.tokenCommand is not set" }
