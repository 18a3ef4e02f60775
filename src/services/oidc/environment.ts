/**
 * The identity token that a script or a CI system puts into the environment (SIGSTORE_ID_TOKEN, as cosign's `envvar`).
 *
 * @module
 */

import type { Environment } from "./provider.ts"

/** The token, not yet looked at; undefined when the variable is unset or empty. */
export const environmentToken = (env: Environment): string | undefined => env.SIGSTORE_ID_TOKEN?.trim() || undefined
