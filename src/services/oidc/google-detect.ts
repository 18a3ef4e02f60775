/**
 * Whether this machine is one of Google's, or a Google service account is named to be impersonated (cosign's
 * `google-workload-identity` and `google-impersonate`); told without asking anybody.
 *
 * @module
 */

import { readFileSync } from "node:fs"
import type { Detection, Surroundings } from "./ambient.ts"

/** Where the firmware of a virtual machine says who made it (SMBIOS, as Linux shows it). */
const PRODUCT_NAME_FILE = "/sys/class/dmi/id/product_name"

const PRODUCT_NAMES: ReadonlySet<string> = new Set(["Google", "Google Compute Engine"])

/**
 * Whether the machine's product name is one of Google's. Such a machine need not have a service account: only
 * {@link googleWorkloadToken} finds out, and throws ERR_NO_TOKEN then.
 *
 * @param productNameFile where the name is
 */
export function detectGoogleWorkload(_: Surroundings, productNameFile: string = PRODUCT_NAME_FILE): Detection {
  const name = productName(productNameFile)
  if (name === undefined) return { applies: false, because: "this machine does not say that it is one of Google Cloud" }
  if (!PRODUCT_NAMES.has(name)) return { applies: false, because: "this machine is not one of Google Cloud" }
  return { applies: true, because: `this machine is one of Google Cloud (${name})` }
}

/** Whether GOOGLE_SERVICE_ACCOUNT_NAME names a service account. */
export function detectGoogleImpersonation({ env }: Surroundings): Detection {
  const applies = Boolean(env.GOOGLE_SERVICE_ACCOUNT_NAME?.trim())
  return { applies, because: `GOOGLE_SERVICE_ACCOUNT_NAME is ${applies ? "set" : "not set"}` }
}

function productName(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim()
  } catch {
    return undefined
  }
}
