/**
 * Which gitsign this is.
 *
 * @module
 */

import packageJson from "../../package.json" with { type: "json" }

/** The version of this program, as in package.json. */
export const VERSION: string = packageJson.version

/** What `gitsign version` prints; the Go program's first line. */
export const versionText = (): string => `gitsign version ${VERSION}\n`
