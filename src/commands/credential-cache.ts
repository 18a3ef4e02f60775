/**
 * gitsign-credential-cache: the agent with the flags and the socket of the Go program of that name. It speaks its own
 * protocol (cache-daemon/PROTOCOL.md), not that of the Go program, which hands the private key to every client.
 *
 * @module
 */

import { parseArgs } from "node:util"
import { goSocketPath } from "../../cache-daemon/socket-path.ts"
import { GitsignError, messageOf } from "../errors.ts"
import { serveAgent } from "./agent-start.ts"
import type { Program } from "./program.ts"
import { VERSION } from "./version.ts"

const USAGE = `Usage of gitsign-credential-cache:
      --systemd-socket-activation   take the sockets from systemd
  -h, --help                        show this help
  -v, --version                     print the version number

It is the agent of gitsign on the socket that GITSIGN_CREDENTIAL_CACHE usually names, and runs until it is stopped.
"gitsign agent" has more: start, stop, list, lock, install.
`

/** Prints the socket's path and serves until it is stopped. */
export const runCredentialCache: Program = async (argv, io, messages) => {
  const flags = parse(argv)
  if (flags.help) io.stdout(USAGE)
  else if (flags.version) io.stdout(`gitsign-credential-cache version ${VERSION}\n`)
  else {
    const socket = goSocketPath(io.env)
    const activation = flags["systemd-socket-activation"]
    return serveAgent(io, messages, {
      socket,
      extraSocket: undefined,
      activation,
      leaveWhenIdle: false,
      listening: () => {
        if (!activation) io.stdout(`${socket}\n`)
      },
    })
  }
  return 0
}

function parse(argv: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        "systemd-socket-activation": { type: "boolean", default: false },
        version: { type: "boolean", short: "v", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    })
    return values
  } catch (cause) {
    const [sentence = ""] = messageOf(cause).split(". ")
    throw new GitsignError("ERR_USAGE", sentence.charAt(0).toLowerCase() + sentence.slice(1), {
      cause,
      hint: "see: gitsign-credential-cache --help",
    })
  }
}
