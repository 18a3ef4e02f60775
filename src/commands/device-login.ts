/**
 * A login with a code in a browser anywhere (RFC 8628), as a person at a terminal sees it.
 *
 * @module
 */

import { openSync } from "node:fs"
import { WriteStream } from "node:tty"
import { printable } from "../formats/printable.ts"
import { deviceToken } from "../services/oidc/device.ts"
import type { LoggedIn, OpenidOptions } from "../services/oidc/provider.ts"
import type { Person } from "./person.ts"
import { qrFor } from "./qr.ts"

/**
 * Shows where to log in and the code to enter there, as a QR code too where the terminal can show one, and waits for the login.
 * Undefined when the issuer has no such login.
 *
 * @throws whatever `deviceToken` throws
 */
export function deviceLogin(
  openid: OpenidOptions,
  person: Person,
  env: NodeJS.ProcessEnv,
): Promise<LoggedIn | undefined> {
  return deviceToken({
    ...openid,
    show: ({ address, addressWithCode, userCode, expiresAt }) => {
      const image = qrFor(addressWithCode ?? address, { ...terminalSize(), env })
      const minutes = Math.max(1, Math.round((expiresAt.getTime() - Date.now()) / 60_000))
      person.show(
        [
          ...(image === undefined ? [] : [image.endsWith("\n") ? image : `${image}\n`]),
          `gitsign: log in at this address, on any machine, within ${minutes} min:\n`,
          `  ${printable(addressWithCode ?? address)}\n`,
          `gitsign: the code there has to be ${printable(userCode)}\n`,
        ].join(""),
      )
    },
  })
}

/** In characters; 0 where it is not known. */
function terminalSize(): { columns: number; rows: number } {
  try {
    // A descriptor of its own: the stream closes it.
    const stream = new WriteStream(openSync("/dev/tty", "w"))
    const [columns, rows] = stream.getWindowSize()
    stream.destroy()
    return { columns, rows }
  } catch {
    return { columns: 0, rows: 0 }
  }
}
