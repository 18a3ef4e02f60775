/**
 * What git is told about a signature and what it makes of it: letters, trust, keys, raw status lines, levels of trust.
 *
 * @module
 */

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { EMAIL, type Services, startServices, statusOf, Workspace } from "./harness.ts"

let services: Services
let workspace: Workspace
let repository: string
let good: string

beforeAll(async () => {
  services = await startServices()
  workspace = new Workspace({ ...services.environment, SIGSTORE_ID_TOKEN: await services.token() })
  repository = workspace.repository("status")
  good = workspace.commit(repository, "a", "1\n")
}, 60_000)

afterAll(async () => {
  workspace?.close()
  await services?.close()
})

/** Writes a copy of the good commit with a change, and returns its id. */
function tampered(change: (object: string) => string): string {
  const object = workspace.run(repository, "git", ["cat-file", "commit", good]).stdout
  const input = change(object)
  expect(input).not.toBe(object)
  const made = workspace.run(repository, "git", ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"], {
    input,
  })
  return made.stdout.trim()
}

/** SHA-1 of the certificate, computed by git's own means from what `gitsign show` prints. */
function fingerprint(): string {
  const shown = JSON.parse(workspace.gitsign(repository, "show", good).stdout)
  const pem: string = shown.predicate.signer_info[0].certificate
  const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64")
  const file = join(workspace.root, "certificate")
  writeFileSync(file, der)
  return workspace.run(repository, "sha1sum", [file]).stdout.slice(0, 40)
}

test("a good signature: G, fully, the certificate's fingerprint, identity and issuer", () => {
  const signer = `${EMAIL} (${services.issuer})`
  const key = fingerprint()
  expect(key).toMatch(/^[0-9a-f]{40}$/)
  expect(statusOf(workspace, repository, good)).toEqual({ letter: "G", trust: "fully", key, fingerprint: key, signer })
})

test("verify-commit --raw shows the status lines, verify-commit the text, -v the payload", () => {
  const raw = workspace.tryGit(repository, "verify-commit", "--raw", good)
  expect(raw.status).toBe(0)
  expect(
    raw.stderr
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ").slice(0, 2).join(" ")),
  ).toEqual(["[GNUPG:] NEWSIG", "[GNUPG:] GOODSIG", "[GNUPG:] VALIDSIG", "[GNUPG:] TRUST_FULLY"])
  const text = workspace.tryGit(repository, "verify-commit", "-v", good)
  expect(text.stderr).toContain(`gitsign: good signature by ${EMAIL}`)
  expect(text.stdout).toMatch(/^tree [0-9a-f]{40}\nauthor /)
})

test.each(["undefined", "marginal", "fully"])("gpg.minTrustLevel %s is reached", (level) => {
  expect(workspace.tryGit(repository, "-c", `gpg.minTrustLevel=${level}`, "verify-commit", good).status).toBe(0)
})

test("gpg.minTrustLevel ultimate is not: nobody's own key is meant here", () => {
  expect(workspace.tryGit(repository, "-c", "gpg.minTrustLevel=ultimate", "verify-commit", good).status).toBe(1)
})

test.each([
  ["the message", (object: string) => object.replace("change a", "change b")],
  ["the author", (object: string) => object.replace("author A Developer", "author B Developer")],
  ["the tree", (object: string) => object.replace(/^tree [0-9a-f]{40}/, `tree ${"0".repeat(39)}1`)],
  [
    "one letter of the signature",
    (object: string) => object.replace(/\n MI(.)/, (_, letter) => `\n MI${letter === "A" ? "B" : "A"}`),
  ],
])("tampered with %s: B and never, verify-commit and merge refuse", (_, change) => {
  const forged = tampered(change)
  expect(statusOf(workspace, repository, forged)).toMatchObject({ letter: "B", trust: "never" })
  expect(workspace.tryGit(repository, "verify-commit", forged).status).toBe(1)
  expect(workspace.gitsign(repository, "verify", "--any-identity", forged).status).toBe(1)
})

test("not signed: N, and gitsign says what to do", () => {
  workspace.git(repository, "commit", "--quiet", "--allow-empty", "--no-gpg-sign", "-m", "unsigned")
  expect(statusOf(workspace, repository)).toMatchObject({ letter: "N" })
  const refused = workspace.gitsign(repository, "verify", "--any-identity", "HEAD")
  expect(refused.status).toBe(1)
  expect(refused.stderr).toContain("[ERR_NOT_SIGNED]")
})

test("a configuration that is wrong is never shown as unsigned", () => {
  const settings = ["-c", "gitsign.trustedRoot=/does/not/exist"]
  const { GITSIGN_TRUSTED_ROOT: _, ...env } = workspace.env
  const before = workspace.env
  workspace.env = env
  try {
    expect(workspace.git(repository, ...settings, "log", "-1", "--format=%G?", good)).toBe("E")
    expect(workspace.git(repository, "-c", "gitsign.rekorMode=wrong", "log", "-1", "--format=%G?", good)).toBe("E")
  } finally {
    workspace.env = before
  }
})

test("what git shows something else for is refused, and a good replacement makes nothing verified", () => {
  const unsigned = workspace.git(repository, "commit-tree", "--no-gpg-sign", "-m", "replacement", `${good}^{tree}`)
  workspace.git(repository, "replace", good, unsigned)
  try {
    expect(workspace.git(repository, "log", "-1", "--format=%s", good)).toBe("replacement")
    const refused = workspace.gitsign(repository, "verify", "--any-identity", good)
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining("[ERR_REPLACED]")])
  } finally {
    workspace.git(repository, "replace", "--delete", good)
  }
  // The other way round: an unsigned commit that a signed one stands in for stays unsigned.
  workspace.git(repository, "replace", unsigned, good)
  try {
    expect(workspace.gitsign(repository, "verify", "--any-identity", unsigned).stderr).toContain("[ERR_NOT_SIGNED]")
  } finally {
    workspace.git(repository, "replace", "--delete", unsigned)
  }
})

test("matchCommitter signs for the committer and for nobody else", async () => {
  const settings = ["-c", "gitsign.matchCommitter=true"]
  workspace.git(repository, ...settings, "commit", "--quiet", "--allow-empty", "-m", "matches")
  const token = await services.token("other@example.com")
  const log = join(workspace.root, "committer-log")
  const env = { SIGSTORE_ID_TOKEN: token, GITSIGN_LOG: log }
  const refused = workspace.run(repository, "git", [...settings, "commit", "--allow-empty", "-m", "does not"], { env })
  expect(refused.status).toBe(128)
  expect(workspace.run(repository, "cat", [log]).stdout).toMatch(/other@example\.com.*\[ERR_COMMITTER\]/s)
})

test("status lines go to the descriptor that is named, and nothing else does", () => {
  const payload = join(workspace.root, "payload")
  writeFileSync(payload, workspace.run(repository, "git", ["cat-file", "commit", `${good}^{tree}`]).stdout || "tree\n")
  const script = '"$1" --status-fd=7 --detach-sign --armor --local-user x "$2" 7>status-lines >signature 2>text'
  const ran = workspace.run(workspace.root, "sh", ["-c", script, "sh", workspace.program, payload])
  expect(ran.status).toBe(0)
  const read = (name: string): string => workspace.run(workspace.root, "cat", [name]).stdout
  expect(read("status-lines")).toMatch(
    /^\[GNUPG:\] BEGIN_SIGNING\n\[GNUPG:\] SIG_CREATED D 19 \d+ 00 \d+ [0-9a-f]{40}\n$/,
  )
  expect(read("signature")).toMatch(/^-----BEGIN SIGNED MESSAGE-----\n[\s\S]*-----END SIGNED MESSAGE-----\n$/)
  expect(read("text")).not.toContain("[GNUPG:]")
  const verified = workspace.run(workspace.root, "sh", [
    "-c",
    '"$1" --keyid-format=long --status-fd=1 --verify signature - <"$2"',
    "sh",
    workspace.program,
    payload,
  ])
  expect(verified.status, verified.stderr).toBe(0)
  expect(verified.stdout).toContain("[GNUPG:] GOODSIG")
})

test("a name that means two things is refused, not guessed", () => {
  workspace.git(repository, "tag", "-a", "--no-sign", "-m", "in the way", "main", good)
  try {
    const refused = workspace.gitsign(repository, "verify", "--any-identity", "main")
    expect(refused.stderr).toContain("main names more than one thing")
    expect(refused.status).toBe(3)
    expect(workspace.gitsign(repository, "verify", "--any-identity", `${good}`).status).toBe(0)
  } finally {
    workspace.git(repository, "tag", "-d", "main")
  }
})

test("an empty --trusted-root is none: it does not widen what is trusted", () => {
  expect(workspace.gitsign(repository, "verify", "--any-identity", "--trusted-root=", good).status).toBe(0)
})

test("a signature header of bare DER is not what git takes for a signature", () => {
  const raw = workspace.run(repository, "git", ["cat-file", "commit", good]).stdout
  const armored = /gpgsig -----BEGIN SIGNED MESSAGE-----\n([\s\S]*?) -----END SIGNED MESSAGE-----\n/.exec(raw)
  const der = Buffer.from((armored?.[1] ?? "").replace(/\s/g, ""), "base64").toString("latin1")
  const file = join(workspace.root, "bare-der")
  writeFileSync(
    file,
    raw.replace(armored?.[0] ?? "", () => `gpgsig ${der.replaceAll("\n", "\n ")}\n`),
    "latin1",
  )
  const id = workspace.git(repository, "hash-object", "-t", "commit", "-w", "--literally", file)
  const refused = workspace.gitsign(repository, "verify", "--any-identity", id)
  expect(refused.status).toBe(1)
  expect(refused.stderr).toMatch(/\[ERR_(PEM|CMS|DER|CONTENT)\]/)
})

test("show does not print what is secret in a remote's address", () => {
  for (const address of [
    "https://SECRET@example.com/x/y",
    "https://user:SE@CRET@example.com/x/y",
    "https://user:SE/CRET@example.com/x/y",
  ]) {
    workspace.git(repository, "config", "remote.origin.url", address)
    const shown = JSON.parse(workspace.gitsign(repository, "show", good).stdout)
    expect(shown.subject[0].name).toBe("https://example.com/x/y")
  }
})

test("a descriptor that is not the caller's, and a stdout that cannot be written, are refused before anything is sent", () => {
  const payload = join(workspace.root, "payload")
  writeFileSync(payload, workspace.run(repository, "git", ["cat-file", "commit", good]).stdout)
  const shell = (script: string) =>
    workspace.run(workspace.root, "sh", ["-c", script, "sh", workspace.program, payload])
  for (const fd of [7, 12, 18]) {
    const refused = shell(`"$1" --status-fd=${fd} -bsau x "$2" >out`)
    expect(refused.status, `descriptor ${fd}`).toBe(3)
    expect(refused.stderr).toContain("[ERR_IO]")
    expect(refused.stderr).not.toContain("with index")
  }
  const readOnly = shell('"$1" --status-fd=2 -bsau x "$2" 1<"$2"')
  expect(readOnly.status).toBe(3)
  expect(readOnly.stderr).toContain("[ERR_IO]")
  expect(readOnly.stderr).not.toContain("with index")
})
