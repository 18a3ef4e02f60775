/**
 * Notes every secret that a test makes, so that the whole log of the tests can be searched for them (.ci/find-secrets.mjs).
 *
 * @module
 */

import { appendFileSync } from "node:fs"

/** Notes a secret in the file that GITSIGN_TEST_SECRETS names, if it does, and returns it. */
export function secret(text: string): string {
  const { GITSIGN_TEST_SECRETS: file } = process.env
  if (file) appendFileSync(file, `${Buffer.from(text.trim()).toString("base64")}\n`)
  return text
}
