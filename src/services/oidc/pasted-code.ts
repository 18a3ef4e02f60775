/**
 * What a person pastes at the terminal when the browser cannot come back by itself: the address it ended at, or the code alone
 * (RFC 6749 §4.1.2).
 *
 * @module
 */

import { GitsignError } from "../../errors.ts"

/** What the pasted text has to belong to. */
export interface PasteOptions {
  /** Where the issuer sends the browser. */
  readonly redirectUrl: string
  readonly state: string
  /** The issuer's own name for itself, which goes with a bare code (RFC 9207). */
  readonly issuer: string
  /** Resolves undefined at the end of input. */
  readonly read: (prompt: string, signal: AbortSignal) => Promise<string | undefined>
  readonly signal: AbortSignal
}

const MAX_TRIES = 3
const MAX_LENGTH = 8192

const WHERE = "paste the address of the page where the browser ended, or the code that it shows: "

/**
 * Asks for the code and returns the address that the browser would have come to with it; undefined at the end of input. The state of
 * an address has been checked. A bare code has none: that it belongs to this login is proved by PKCE and the nonce.
 *
 * @throws ERR_OIDC after three texts that are nothing of this login; no message shows what was pasted
 */
export async function readPastedCode(options: PasteOptions): Promise<URL | undefined> {
  let complaint = ""
  for (let tries = 1; ; tries++) {
    const text = await options.read(complaint + WHERE, options.signal)
    if (text === undefined) return undefined
    const found = understand(text, options)
    if (found instanceof URL) return found
    if (tries === MAX_TRIES) {
      throw new GitsignError("ERR_OIDC", `${found}, three times`, {
        hint: "run the command again, log in at the address it shows, and paste what that login ends with",
      })
    }
    complaint = `${found}; `
  }
}

/** The address with the code in it, or what is wrong with the text. */
function understand(pasted: string, { redirectUrl, state, issuer }: PasteOptions): URL | string {
  // Browsers hide the scheme, and chat programs and shells put quotes or brackets around an address.
  const text = pasted.trim().replace(/^(["'<])(.*)["'>]$/, "$2")
  if (text === "") return "nothing was pasted"
  if (text.length > MAX_LENGTH) return "what was pasted is too long for a code"
  const address = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?\//.test(text) ? `http://${text}` : text
  if (/^[a-z][a-z\d+.-]*:/i.test(address)) {
    const parameters = URL.canParse(address) ? new URL(address).searchParams : new URLSearchParams()
    if (!parameters.has("code") && !parameters.has("error")) return "this address holds no code"
    if (parameters.get("state") !== state) return "this address is that of another login"
    const url = new URL(redirectUrl)
    url.search = parameters.toString()
    return url
  }
  // RFC 6749 appendix A.11 allows spaces too, but nobody who pastes words means a code.
  if (!/^[\x21-\x7e]{4,}$/.test(text)) return "this is neither an address nor a code"
  const url = new URL(redirectUrl)
  url.search = new URLSearchParams({ code: text, state, iss: issuer }).toString()
  return url
}
