/**
 * What the environment tells of identity tokens: one that a script or a CI system puts there (SIGSTORE_ID_TOKEN, as cosign's `envvar`),
 * and whether a GitHub Actions job may ask for one.
 *
 * @module
 */

import type { Environment } from "./provider.ts"

/** The token, not yet looked at; undefined when the variable is unset or empty. */
export const environmentToken = (env: Environment): string | undefined => env.SIGSTORE_ID_TOKEN?.trim() || undefined

/** Whether the job may ask for tokens: both variables are set only with `permissions: id-token: write`. */
export const isGithubActions = (env: Environment): boolean =>
  Boolean(env.ACTIONS_ID_TOKEN_REQUEST_URL?.trim() && env.ACTIONS_ID_TOKEN_REQUEST_TOKEN?.trim())
