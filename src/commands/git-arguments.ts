/**
 * The arguments git and jj call a signing program with (git gpg-interface.c; gpg(1) for the names), read as the Go
 * gitsign reads them: bundled short flags, `--flag=value` and `--flag value`, files anywhere between.
 *
 * Written by hand because git waits for it at every commit.
 *
 * @module
 */

import { GitsignError } from "../errors.ts"

/** What the arguments ask for. Files are paths, or `-` for stdin. */
export type GitCall =
  | {
      readonly verb: "sign"
      /** False: the payload is put into the signature. */
      readonly detached: boolean
      readonly armor: boolean
      readonly statusFd: number | undefined
      readonly payloadFile: string
    }
  | {
      readonly verb: "verify"
      readonly statusFd: number | undefined
      readonly signatureFile: string
      /** Undefined: the payload is in the signature. */
      readonly payloadFile: string | undefined
    }
  | { readonly verb: "help" | "version" }

type FlagKind = "switch" | "text" | "number"

interface Flag {
  readonly name: string
  readonly short?: string
  readonly kind: FlagKind
}

const FLAGS: readonly Flag[] = [
  { name: "sign", short: "s", kind: "switch" },
  { name: "verify", short: "v", kind: "switch" },
  { name: "detach-sign", short: "b", kind: "switch" },
  { name: "armor", short: "a", kind: "switch" },
  { name: "local-user", short: "u", kind: "text" },
  { name: "status-fd", kind: "number" },
  // A signature always holds the signer's certificate and nothing else, as in the Go program.
  { name: "include-certs", kind: "number" },
  { name: "keyid-format", kind: "text" },
  { name: "help", short: "h", kind: "switch" },
  { name: "version", kind: "switch" },
]

/**
 * Reads the arguments after the program's name.
 *
 * @throws ERR_USAGE when they are not of this form
 */
export function parseGitArguments(argv: readonly string[]): GitCall {
  const { values, files } = readFlags(argv)
  const isSet = (name: string): boolean => values.get(name) === "true"
  if (isSet("help")) return { verb: "help" }
  if (isSet("version")) return { verb: "version" }
  const fd = Number(values.get("status-fd") ?? -1)
  const statusFd = fd < 0 ? undefined : fd
  const detached = isSet("detach-sign")
  const [first, second, ...more] = files
  if (isSet("verify")) {
    if (isSet("sign") || detached) throw usage("--verify goes neither with --sign nor with --detach-sign")
    if (more.length > 0) throw usage("--verify takes a signature file and a payload file, and no more")
    return { verb: "verify", statusFd, signatureFile: first ?? "-", payloadFile: second }
  }
  if (!isSet("sign") && !detached) throw usage("nothing to do: neither --sign nor --verify is there")
  if (second !== undefined) throw usage("--sign takes one file")
  return { verb: "sign", detached, armor: isSet("armor"), statusFd, payloadFile: first ?? "-" }
}

function readFlags(argv: readonly string[]): { values: Map<string, string>; files: string[] } {
  const values = new Map<string, string>()
  const files: string[] = []
  const rest = [...argv]
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === "--") {
      files.push(...rest)
      break
    }
    if (argument.startsWith("--")) readLong(argument, rest, values)
    else if (argument.startsWith("-") && argument !== "-") readShorts(argument, rest, values)
    else files.push(argument)
  }
  return { values, files }
}

function readLong(argument: string, rest: string[], values: Map<string, string>): void {
  const equals = argument.indexOf("=")
  const name = argument.slice(2, equals < 0 ? undefined : equals)
  const flag = FLAGS.find((one) => one.name === name)
  if (flag === undefined) throw usage(`unknown flag: --${name}`)
  const shown = `--${name}`
  if (equals >= 0) values.set(name, checked(flag, shown, argument.slice(equals + 1)))
  else if (flag.kind === "switch") values.set(name, "true")
  else values.set(name, checked(flag, shown, rest.shift()))
}

function readShorts(argument: string, rest: string[], values: Map<string, string>): void {
  for (let i = 1; i < argument.length; i++) {
    const letter = argument[i]
    const flag = FLAGS.find((one) => one.short === letter)
    const shown = `-${letter}`
    if (flag === undefined) throw usage(`unknown flag: ${shown} in ${argument}`)
    const after = argument.slice(i + 1)
    if (after.startsWith("=")) {
      values.set(flag.name, checked(flag, shown, after.slice(1)))
      return
    }
    if (flag.kind !== "switch") {
      values.set(flag.name, checked(flag, shown, after === "" ? rest.shift() : after))
      return
    }
    values.set(flag.name, "true")
  }
}

function checked(flag: Flag, shown: string, value: string | undefined): string {
  if (value === undefined) throw usage(`${shown} needs a value`)
  if (flag.kind === "number" && !/^-?\d{1,9}$/.test(value)) throw usage(`${shown} needs a number`)
  if (flag.kind === "switch" && !/^(true|false)$/.test(value)) throw usage(`${shown} is either there or not`)
  return value
}

const usage = (message: string): GitsignError => new GitsignError("ERR_USAGE", message)
