/**
 * Puts a proposed policy into the work tree (open(2): a file that nobody else has made, and never through a link).
 *
 * @module
 */

import { lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { POLICY_PATHS } from "../audit/policy-place.ts"
import { GitsignError, isGitsignError, reasonOf } from "../errors.ts"

/**
 * The file that a policy will be written to.
 *
 * @param top the top of the work tree; undefined in a bare repository
 * @throws ERR_USAGE when there is one already and `force` is not set, or there is no work tree; ERR_POLICY_FILE when its folder
 * is a link
 */
export function policyFileFor(top: string | undefined, force: boolean): string {
  if (top === undefined) {
    throw new GitsignError("ERR_USAGE", "a bare repository has no work tree to write the policy into", {
      hint: "print it with: gitsign policy init, and commit it from a clone",
    })
  }
  const [path] = POLICY_PATHS
  const file = join(top, path)
  const folder = lstatSync(dirname(file), { throwIfNoEntry: false })
  if (folder !== undefined && !folder.isDirectory()) {
    throw new GitsignError("ERR_POLICY_FILE", `${dirname(path)} is ${folder.isSymbolicLink() ? "a link" : "no folder"}`)
  }
  if (!force && lstatSync(file, { throwIfNoEntry: false }) !== undefined) {
    throw new GitsignError("ERR_USAGE", `there is a policy already, ${path}`, {
      hint: "see what it says with: gitsign policy check; replace it with: gitsign policy init --write --force",
    })
  }
  return file
}

/**
 * Writes the policy, whole or not at all.
 *
 * @throws ERR_IO when it cannot be written; ERR_USAGE when somebody else has written one meanwhile
 */
export function writePolicy(file: string, text: string, force: boolean): void {
  const draft = `${file}.${process.pid}.new`
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(force ? draft : file, text, { flag: "wx" })
    if (force) renameSync(draft, file)
  } catch (cause) {
    rmSync(draft, { force: true })
    if (isGitsignError(cause)) throw cause
    throw new GitsignError("ERR_IO", `cannot write ${file}: ${reasonOf(cause)}`, { cause })
  }
}
