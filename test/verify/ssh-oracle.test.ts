/**
 * git with ssh-keygen and this verifier agree on whom a file of allowed signers accepts.
 *
 * @module
 */

import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { createKeyVerifier } from "../../src/verify/other-schemes.ts"
import { hasSshKeygen, SshWorld } from "../support/ssh-world.ts"

const SECONDS = 1_750_000_000 // 2025-06-15T15:06:40Z

describe.skipIf(!hasSshKeygen())("ssh-keygen (skipped where it cannot sign)", () => {
  const world = new SshWorld()
  afterAll(() => world.end())
  const keys: Record<string, string> = {}
  const commits: Record<string, string> = {}

  beforeAll(() => {
    keys.ed = world.key("ed", "-t", "ed25519")
    keys.other = world.key("other", "-t", "ed25519")
    keys.p256 = world.key("p256", "-t", "ecdsa", "-b", "256")
    keys.p384 = world.key("p384", "-t", "ecdsa", "-b", "384")
    keys.p521 = world.key("p521", "-t", "ecdsa", "-b", "521")
    keys.rsa = world.key("rsa", "-t", "rsa", "-b", "2048")
    keys.ca = world.key("ca", "-t", "ed25519")
    keys.rsaca = world.key("rsaca", "-t", "rsa", "-b", "2048")
    for (const name of ["good", "past", "future", "host", "nameless", "rsasigned", "two"])
      world.key(name, "-t", "ed25519")
    const valid = ["-V", "20250101:20260101"]
    world.certify("ca", "good", "-n", "a@example.com", ...valid)
    world.certify("ca", "past", "-n", "a@example.com", "-V", "20240101:20250101")
    world.certify("ca", "future", "-n", "a@example.com", "-V", "20260101:20270101")
    world.certify("ca", "host", "-h", "-n", "a@example.com", ...valid)
    world.certify("ca", "nameless", ...valid)
    world.certify("rsaca", "rsasigned", "-n", "a@example.com", ...valid)
    world.certify("ca", "two", "-n", "x@else.example,b@example.com", ...valid)
    for (const name of ["ed", "p256", "p384", "p521", "rsa"]) commits[name] = world.commit(name, SECONDS)
    for (const name of ["good", "past", "future", "host", "nameless", "rsasigned", "two"]) {
      commits[name] = world.commit(`${name}-cert.pub`, SECONDS)
    }
  })

  /** Lines in which `$NAME` is a key; whose commit; whether git takes it (checked against git too). */
  const cases: [name: string, lines: string, commit: string, accepted: boolean][] = [
    ["Ed25519", "a@example.com $ed\n", "ed", true],
    ["P-256", "a@example.com $p256\n", "p256", true],
    ["P-384", "a@example.com $p384\n", "p384", true],
    ["P-521", "a@example.com $p521\n", "p521", true],
    ["RSA", "a@example.com $rsa\n", "rsa", true],
    ["another key", "a@example.com $other\n", "ed", false],
    ["an empty file", "", "ed", false],
    ["no line feed at the end", "a@example.com $ed", "ed", true],
    ["CRLF", "a@example.com $ed\r\n", "ed", true],
    ["CRLF and a comment", "a@example.com $ed a comment\r\n", "ed", true],
    ["comments and blank lines", "# a comment\n\n \t\n\r\n  # more\na@example.com $ed\n", "ed", true],
    ["blanks before", " \t a@example.com \t $ed\n", "ed", true],
    ["principal and key with two tabs", "a@example.com\t\t$ed\n", "ed", true],
    ["a word too many", "a@example.com extra $ed\n", "ed", false],
    ["no principal", "$ed\n", "ed", false],
    ["a quoted principal", '"a@example.com" $ed\n', "ed", true],
    ["a quoted principal with a blank", '"a b@example.com" $ed\n', "ed", true],
    ["a quote within a principal", 'a"b c"d $ed\n', "ed", false],
    ["a quote within a principal, to its end", 'a"b c" $ed\n', "ed", true],
    ["an open quote", '"a@example.com $ed\n', "ed", false],
    ["an empty principal", '"" $ed\n', "ed", false],
    ["an empty principal, then a line", '"" $ed\na@example.com $ed\n', "ed", false],
    ["a comma first", ",a@example.com $ed\n", "ed", false],
    ["two commas", "a@example.com,,b@example.com $ed\n", "ed", true],
    ["a pattern", "*@example.com $ed\n", "ed", true],
    ["a list", "a@example.com,b@example.com $ed\n", "ed", true],
    ["a star", "* $ed\n", "ed", true],
    ["only a negation", "!a@example.com $ed\n", "ed", false],
    ["a negation of the pattern itself", "!*@example.com,*@example.com $ed\n", "ed", false],
    ["negation beside a pattern", "!b@example.com,*@example.com $ed\n", "ed", true],
    ["all, but not all", "!*,a@example.com $ed\n", "ed", false],
    ["a pattern of 1022 bytes", `${"a".repeat(1022)} $ed\n`, "ed", true],
    ["a pattern of 1023 bytes", `${"a".repeat(1023)} $ed\n`, "ed", false],
    ["namespaces", 'a@example.com namespaces="git" $ed\n', "ed", true],
    ["namespaces in a list", 'a@example.com namespaces="file,git" $ed\n', "ed", true],
    ["namespaces as a pattern", 'a@example.com namespaces="g?t" $ed\n', "ed", true],
    ["other namespaces", 'a@example.com namespaces="file" $ed\n', "ed", false],
    ["every namespace but git", 'a@example.com namespaces="*,!git" $ed\n', "ed", false],
    ["an empty list of namespaces", 'a@example.com namespaces="" $ed\n', "ed", false],
    ["namespaces in capitals", 'a@example.com NAMESPACES="git" $ed\n', "ed", true],
    ["namespaces without quotes", "a@example.com namespaces=git $ed\n", "ed", false],
    ["namespaces twice", 'a@example.com namespaces="git",namespaces="git" $ed\n', "ed", false],
    ["a blank in namespaces", 'a@example.com namespaces="git, file" $ed\n', "ed", true],
    ["an escaped quote in namespaces", 'a@example.com namespaces="\\"x\\",git" $ed\n', "ed", true],
    ["an escaped quote at the end", 'a@example.com namespaces="git\\" $ed\n', "ed", false],
    ["first line for others, second for git", 'a@example.com namespaces="file" $ed\na@example.com $ed\n', "ed", true],
    [
      "first line for others, second names another",
      'a@example.com namespaces="file" $ed\nb@example.com $ed\n',
      "ed",
      false,
    ],
    ["an unknown option", "a@example.com no-such $ed\n", "ed", false],
    ["an unknown option beside a known", 'a@example.com namespaces="git",no-such $ed\n', "ed", false],
    ["options with a comma first", 'a@example.com ,namespaces="git" $ed\n', "ed", true],
    ["options with a comma last", 'a@example.com namespaces="git", $ed\n', "ed", false],
    ["an unreadable line before", "a@example.com no-such $ed\na@example.com $ed\n", "ed", true],
    ["valid after an earlier time", 'a@example.com valid-after="20250101" $ed\n', "ed", true],
    ["valid after a later time", 'a@example.com valid-after="20260101" $ed\n', "ed", false],
    ["valid before a later time", 'a@example.com valid-before="20260101" $ed\n', "ed", true],
    ["valid before an earlier time", 'a@example.com valid-before="20250101" $ed\n', "ed", false],
    ["valid from that second on", 'a@example.com valid-after="20250615150640Z" $ed\n', "ed", true],
    ["valid from the next second on", 'a@example.com valid-after="20250615150641Z" $ed\n', "ed", false],
    ["valid to that second", 'a@example.com valid-before="20250615150640Z" $ed\n', "ed", true],
    ["valid to the second before", 'a@example.com valid-before="20250615150639Z" $ed\n', "ed", false],
    ["minutes only", 'a@example.com valid-after="202506151506Z" $ed\n', "ed", true],
    ["the next minute", 'a@example.com valid-after="202506151507z" $ed\n', "ed", false],
    ["valid between", 'a@example.com valid-after="20250101",valid-before="20260101" $ed\n', "ed", true],
    ["an empty time between", 'a@example.com valid-after="20260101",valid-before="20250101" $ed\n', "ed", false],
    ["valid-after twice", 'a@example.com valid-after="20250101",valid-after="20250101" $ed\n', "ed", false],
    ["no time", 'a@example.com valid-after="soon" $ed\n', "ed", false],
    ["a time with a word", 'a@example.com valid-after="2025010112" $ed\n', "ed", false],
    ["31 February", 'a@example.com valid-after="20250231" $ed\n', "ed", true],
    ["month 13", 'a@example.com valid-after="20241301" $ed\n', "ed", false],
    ["hour 24", 'a@example.com valid-after="202501012400" $ed\n', "ed", false],
    [
      "an ended line, then one that holds",
      'a@example.com valid-before="20250101" $ed\nb@example.com $ed\n',
      "ed",
      true,
    ],
    ["the key of an authority, itself signing", "a@example.com cert-authority $ed\n", "ed", false],
    ["a key of another type than it says", "a@example.com $wrong\n", "ed", false],
    ["a NUL in the line", "a@example.com\0 $ed\n", "ed", false],
    ["a NUL behind the key", "a@example.com $ed\0 rest\n", "ed", true],
    ["two on a line", "a@example.com $other $ed\n", "ed", false],
    ["base64 cut", "a@example.com $cut\n", "ed", false],
    ["a certificate", "a@example.com cert-authority $ca\n", "good", true],
    ["a certificate for a pattern", "*@example.com cert-authority $ca\n", "good", true],
    ["a certificate of an authority that is none", "a@example.com $ca\n", "good", false],
    ["a certificate of another authority", "a@example.com cert-authority $other\n", "good", false],
    ["a certificate for another principal", "b@example.com cert-authority $ca\n", "good", false],
    ["a certificate, and the key itself listed", "a@example.com $goodkey\n", "good", false],
    ["a certificate that is itself listed", "b@example.com $goodcert\n", "good", true],
    ["a certificate that has ended", "a@example.com cert-authority $ca\n", "past", false],
    ["a certificate that has not begun", "a@example.com cert-authority $ca\n", "future", false],
    ["a certificate of a host", "a@example.com cert-authority $ca\n", "host", false],
    ["a certificate without principals", "* cert-authority $ca\n", "nameless", false],
    ["a certificate signed by RSA", "a@example.com cert-authority $rsaca\n", "rsasigned", true],
    ["a certificate with two principals", "*@example.com cert-authority $ca\n", "two", true],
    ["a certificate, negated", "!b@example.com,*@example.com cert-authority $ca\n", "two", false],
    [
      "an authority that names none, then one that does",
      "z cert-authority $ca\n*@example.com cert-authority $ca\n",
      "two",
      true,
    ],
    ["an authority for other things", '*@example.com cert-authority,namespaces="file" $ca\n', "two", false],
    ["an authority for a time", '*@example.com cert-authority,valid-before="20250101" $ca\n', "two", false],
    ["an authority in capitals", "*@example.com CERT-AUTHORITY $ca\n", "two", true],
  ]

  const filled = (lines: string): string => {
    const special: Record<string, string> = {
      wrong: (keys.ed ?? "").replace("ssh-ed25519", "ssh-rsa"),
      cut: (keys.ed ?? "").slice(0, -2),
      goodkey: world.publicLine("good.pub"),
      goodcert: world.publicLine("good-cert.pub"),
    }
    return lines.replace(/\$([a-z0-9]+)/g, (_, name: string) => special[name] ?? keys[name] ?? name)
  }

  test.each(cases)("%s", async (_, lines, commit, accepted) => {
    const id = commits[commit] ?? ""
    const allowedSigners = filled(lines)
    const { payload, signature } = world.pair(id)
    const verifier = createKeyVerifier({ openpgp: [], ssh: [{ allowedSigners, source: "test" }] })
    const verdict = await verifier.verify(payload, signature)
    const git = world.verdictOf(id, allowedSigners)
    expect({ git: git.isAccepted, gitsign: verdict.signer !== undefined }, verdict.problem?.message).toEqual({
      git: accepted,
      gitsign: accepted,
    })
    if (verdict.signer?.scheme === "ssh") {
      expect(verdict.signer.principals).toContain(
        git.principal.startsWith("!") ? verdict.signer.principals[0] : git.principal,
      )
      const printed = world.run("ssh-keygen", ["-lf", commit === "ed" ? "ed.pub" : `${commit}.pub`])
      expect(printed.split(" ")[1]).toBe(verdict.signer.fingerprints[0])
    }
  })

  test("lines made at random", { timeout: 120_000 }, async () => {
    const words = fc.constantFrom(
      ...[
        "a@example.com",
        "*@example.com",
        "!a*",
        "!b@x",
        "*",
        "",
        ",",
        '"',
        "\\",
        " ",
        "\t",
        "#",
        "\r",
        "\n",
        "=",
        "a,b",
      ],
      ...[
        "cert-authority",
        'namespaces="git"',
        'namespaces="f*"',
        'valid-after="20250101"',
        'valid-before="20250101Z"',
      ],
      ...["$ed", "$ca", "$goodcert", "$p256", " $ed\n", " $ca\n", " cert-authority $ca\n", "ssh-ed25519", "\0"],
    )
    const lines = fc.array(words, { minLength: 1, maxLength: 9 }).map((parts) => parts.join(""))
    let accepted = 0
    const one = fc.asyncProperty(lines, fc.constantFrom("ed", "good"), async (text, commit) => {
      const id = commits[commit] ?? ""
      const allowedSigners = filled(text)
      const { payload, signature } = world.pair(id)
      const verdict = await createKeyVerifier({ openpgp: [], ssh: [{ allowedSigners, source: "t" }] }).verify(
        payload,
        signature,
      )
      if (verdict.signer !== undefined) accepted++
      expect(verdict.signer !== undefined).toBe(world.verdictOf(id, allowedSigners).isAccepted)
    })
    // One that is accepted in any case, so that a few runs do not only see refusals.
    const examples: [string, string][] = [["a@example.com $ed\n", "ed"]]
    await fc.assert(one, { numRuns: Number(process.env.GITSIGN_TEST_RUNS ?? 60), examples })
    expect(accepted).toBeGreaterThan(0)
  })
})
