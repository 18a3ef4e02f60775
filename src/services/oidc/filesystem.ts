/**
 * The identity token that an orchestrator projects into a file (cosign's `filesystem` provider).
 *
 * @module
 */

import { readFileSync, statSync } from "node:fs"
import { GitsignError, isGitsignError, reasonOf } from "../../errors.ts"
import type { Detection, Surroundings } from "./ambient.ts"

/** Where Kubernetes set-ups for Sigstore put it. */
export const DEFAULT_TOKEN_FILE = "/var/run/sigstore/cosign/oidc-token"

const MAX_FILE_BYTES = 64 * 1024

/**
 * The token in the file, not yet looked at; undefined when there is no such file or it is empty.
 *
 * @throws ERR_IO when the file is there and cannot be read
 */
export function filesystemToken(path: string = DEFAULT_TOKEN_FILE): string | undefined {
  try {
    const status = statSync(path, { throwIfNoEntry: false })
    if (status === undefined) return undefined
    // A directory, a pipe or a disk image is a mistake in a mount; reading it could wait or fill the memory.
    if (!status.isFile() || status.size > MAX_FILE_BYTES) throw new Error("not a file of at most 64 KiB")
    return readFileSync(path, "utf8").trim() || undefined
  } catch (cause) {
    throw new GitsignError("ERR_IO", `the identity token file ${path} cannot be read: ${reasonOf(cause)}`, { cause })
  }
}

/** Whether the file is there with something in it. One that cannot be read applies too: taking it then says why. */
export function detectFilesystem({ tokenFile }: Surroundings): Detection {
  const path = tokenFile ?? DEFAULT_TOKEN_FILE
  try {
    const token = filesystemToken(path)
    if (token !== undefined) return { applies: true, because: `there is a token in ${path}`, token }
    return { applies: false, because: `there is no token in ${path}` }
  } catch (error) {
    if (isGitsignError(error)) return { applies: true, because: error.message }
    throw error
  }
}
