/**
 * Gets the identity token for a signature: what the surroundings have, else a login of the person at the terminal.
 *
 * @module
 */

import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { type Config, URL_PLACEHOLDER } from "../config.ts"
import { GitsignError } from "../errors.ts"
import { getIdentityToken } from "../services/oidc/provider.ts"
import { describeIdentity } from "../services/oidc/token.ts"
import { type CommandIo, reasonOf } from "./io.ts"
import { httpClientOf } from "./network.ts"
import type { Person } from "./person.ts"

/** What a login works with. */
export interface LoginTools {
  readonly config: Config
  readonly io: CommandIo
  readonly person: Person
}

/**
 * Gets an identity token, well-formed and valid now by this machine's clock, and tells the person who will become public.
 *
 * @throws whatever `getIdentityToken` throws; ERR_CONFIG when gitsign.clientSecretFile cannot be read
 */
export async function logIn({ config, io, person }: LoginTools): Promise<string> {
  const { urlOpener, clientSecretFile } = config
  const { env } = io
  const { token, claims } = await getIdentityToken({
    env,
    http: httpClientOf(env),
    now: () => new Date(),
    tokenProvider: config.tokenProvider,
    interactive: person.isThere || urlOpener !== undefined || hasDesktop(env),
    issuer: config.issuer,
    clientID: config.clientID,
    clientSecret: clientSecretFile === undefined ? undefined : readSecret(clientSecretFile),
    connectorID: config.connectorID,
    unattended: person.isAway,
    redirectURL: config.redirectURL,
    notify: (loginUrl) => person.show(`gitsign: log in at this address, if no browser opens:\n  ${loginUrl}\n`),
    openBrowser: urlOpener && ((loginUrl) => openWith(urlOpener, loginUrl)),
    // As in the Go program: a login page where one still has to choose must not close itself.
    autocloseSeconds: config.autoclose && config.connectorID !== undefined ? config.autocloseTimeout : undefined,
  })
  const { email, emailVerified } = claims
  if (config.matchCommitter && email !== undefined && emailVerified && email !== config.committer.email) {
    const expected = config.committer.email ?? "somebody with user.email set"
    const message = `gitsign.matchCommitter asks for ${expected}, and the login is that of ${email}`
    throw new GitsignError("ERR_COMMITTER", message)
  }
  // Said before anything is sent: a transparency log forgets nothing.
  const host = new URL(config.rekor).host
  person.tell(`signing as ${describeIdentity(claims)}; this identity becomes public in ${host}`)
  return token
}

/** Editors start git without a terminal on a desktop where a browser can be opened; CI and remote shells have none. */
const hasDesktop = (env: NodeJS.ProcessEnv): boolean =>
  !env.CI &&
  !env.SSH_CONNECTION &&
  (process.platform === "darwin" || process.platform === "win32" || Boolean(env.DISPLAY || env.WAYLAND_DISPLAY))

function readSecret(file: string): string {
  try {
    return readFileSync(file, "utf8").trim()
  } catch (cause) {
    throw new GitsignError("ERR_CONFIG", `gitsign.clientSecretFile ${file} cannot be read: ${reasonOf(cause)}`, {
      cause,
    })
  }
}

/** Runs the configured command with the address in its place; no shell sees it. */
function openWith(command: readonly string[], loginUrl: string): Promise<void> {
  const [program = "", ...args] = command.map((word) => word.replaceAll(URL_PLACEHOLDER, () => loginUrl))
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { detached: true, stdio: "ignore", windowsHide: true })
    child.on("error", reject)
    child.on("spawn", () => {
      child.unref()
      resolve()
    })
  })
}
