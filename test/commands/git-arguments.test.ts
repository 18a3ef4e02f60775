/**
 * The arguments of git and jj, in every form in which pflag would take them.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import { parseGitArguments } from "../../src/commands/git-arguments.ts"

const SIGN = { verb: "sign", detached: true, armor: true, statusFd: 2, payloadFile: "-" }
const VERIFY = { verb: "verify", statusFd: 1, signatureFile: "FILE", payloadFile: "-" }

describe("forms", () => {
  test.each([
    ["--status-fd=2 -bsau KEY", SIGN],
    ["--status-fd 2 -bsau KEY", SIGN],
    ["--status-fd=2 -bsauKEY", SIGN],
    ["--status-fd=2 -bsau=KEY", SIGN],
    ["-bsau KEY --status-fd=2", SIGN],
    ["--status-fd=2 -b -s -a -u KEY", SIGN],
    ["--status-fd=2 --detach-sign --sign --armor --local-user KEY", SIGN],
    ["--status-fd=2 --detach-sign=true --sign=true --armor=true --local-user=KEY", SIGN],
    ["--keyid-format=long --status-fd=2 -abu KEY", SIGN],
    ["--status-fd=2 --include-certs=-2 -bsau KEY", SIGN],
    ["--status-fd=2 --include-certs -2 -bsau KEY", SIGN],
    ["--status-fd=2 -bsau KEY --", SIGN],
    ["--status-fd=2 -bsau KEY -", SIGN],
    ["--status-fd=2 -bsau --verify", SIGN],
    ["-b", { verb: "sign", detached: true, armor: false, statusFd: undefined, payloadFile: "-" }],
    ["-s", { verb: "sign", detached: false, armor: false, statusFd: undefined, payloadFile: "-" }],
    ["-sb=false", { verb: "sign", detached: false, armor: false, statusFd: undefined, payloadFile: "-" }],
    [
      "-bs payload.txt",
      { verb: "sign", detached: true, armor: false, statusFd: undefined, payloadFile: "payload.txt" },
    ],
    ["-bs -- -payload", { verb: "sign", detached: true, armor: false, statusFd: undefined, payloadFile: "-payload" }],
    ["--status-fd=-1 -b", { verb: "sign", detached: true, armor: false, statusFd: undefined, payloadFile: "-" }],
    ["--status-fd=1 --verify FILE -", VERIFY],
    ["--keyid-format=long --status-fd=1 --verify FILE -", VERIFY],
    ["--verify FILE - --status-fd=1", VERIFY],
    ["-v --status-fd=1 FILE -", VERIFY],
    ["--status-fd=1 --verify FILE", { ...VERIFY, payloadFile: undefined }],
    ["--status-fd=1 --verify", { ...VERIFY, signatureFile: "-", payloadFile: undefined }],
    ["--help -b", { verb: "help" }],
    ["-h", { verb: "help" }],
    ["--version", { verb: "version" }],
  ])("%s", (line, expected) => {
    expect(parseGitArguments(line.split(" "))).toEqual(expected)
  })

  test("a committer as the key, in one argument", () => {
    expect(parseGitArguments(["--status-fd=2", "-bsau", "-x <x@example.com>"])).toEqual(SIGN)
  })
})

describe("refusals", () => {
  test.each([
    ["-x", "unknown flag: -x in -x"],
    ["-bxs", "unknown flag: -x in -bxs"],
    ["--nonsense", "unknown flag: --nonsense"],
    ["--nonsense=-b", "unknown flag: --nonsense"],
    ["--sig", "unknown flag: --sig"],
    ["-bsau", "-u needs a value"],
    ["-b --status-fd", "--status-fd needs a value"],
    ["-b --status-fd=", "--status-fd needs a number"],
    ["-b --status-fd=1x", "--status-fd needs a number"],
    ["-b --armor=yes", "--armor is either there or not"],
    ["-s -v", "--verify goes neither with --sign nor with --detach-sign"],
    ["-b -v FILE", "--verify goes neither with --sign nor with --detach-sign"],
    ["-v a b c", "--verify takes a signature file and a payload file, and no more"],
    ["-b a b", "--sign takes one file"],
    ["-a", "nothing to do: neither --sign nor --verify is there"],
    ["-u KEY", "nothing to do: neither --sign nor --verify is there"],
    ["--sign=false", "nothing to do: neither --sign nor --verify is there"],
  ])("%s", (line, message) => {
    expect(() => parseGitArguments(line.split(" "))).toThrow(expect.objectContaining({ code: "ERR_USAGE", message }))
  })
})
