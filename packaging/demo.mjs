/**
 * The demo: what a developer types, on a Sigstore of its own, in a temporary directory and away from everyone's settings. Every
 * answer is checked; one that is not as it should be ends it with status 1.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const program = resolve(fileURLToPath(import.meta.url), "..", "..", "dist", "gitsign.cjs")
const work = realpathSync(mkdtempSync(join(tmpdir(), "gitsign-demo-")))
const repository = join(work, "demo")

/** Nothing of the caller's git, gitsign or Sigstore settings is left. */
function cleanEnvironment() {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(GIT|GITSIGN|SIGSTORE|TUF|XDG)_/.test(name))
  const bin = join(work, "bin")
  mkdirSync(bin)
  mkdirSync(join(work, "home"))
  mkdirSync(join(work, "run"), { mode: 0o700 })
  writeFileSync(join(bin, "gitsign"), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`)
  chmodSync(join(bin, "gitsign"), 0o755)
  return {
    ...Object.fromEntries(inherited),
    PATH: `${bin}${delimiter}${process.env.PATH}`,
    HOME: join(work, "home"),
    XDG_CONFIG_HOME: join(work, "home", ".config"),
    XDG_CACHE_HOME: join(work, "home", ".cache"),
    XDG_STATE_HOME: join(work, "home", ".state"),
    XDG_RUNTIME_DIR: join(work, "run"),
    GIT_CONFIG_NOSYSTEM: "1",
    LC_ALL: "C.UTF-8",
  }
}

let environment = cleanEnvironment()
let cwd = work

const shell = (command) =>
  spawnSync("sh", ["-c", `{ ${command}\n} 2>&1`], { cwd, env: environment, encoding: "utf8", timeout: 120_000 })

/** Shows a command and its answer, and checks it: the exit status, and what must be in the output. */
function type(command, { status = 0, shows = [] } = {}) {
  const ran = shell(command)
  process.stdout.write(`$ ${command}\n${ran.stdout}`)
  if (ran.status !== status) throw new Error(`expected exit status ${status}, got ${ran.status}`)
  for (const text of [shows].flat()) if (!ran.stdout.includes(text)) throw new Error(`expected "${text}" in the output`)
  if (status !== 0) process.stdout.write(`$ echo $?\n${status}\n`)
  return ran.stdout
}

const say = (text) => process.stdout.write(`\n# ${text}\n`)

function demo() {
  say("A Sigstore of our own: OpenID provider, certificate authority, transparency logs, timestamps.")
  type("gitsign sandbox start --dir sandbox", { shows: "the sandbox runs on http://127.0.0.1:" })
  const setUp = 'eval "$(gitsign sandbox env --dir sandbox --token dev@example.com)"'
  process.stdout.write(`$ ${setUp}\n`)
  const { stdout } = spawnSync("sh", ["-c", `${setUp} && env -0`], { cwd, env: environment, encoding: "utf8" })
  environment = Object.fromEntries(
    stdout
      .split("\0")
      .flatMap((line) =>
        line.includes("=") ? [[line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]] : [],
      ),
  )
  if (!environment.SIGSTORE_ID_TOKEN) throw new Error("expected the sandbox to give an identity token")

  say("git, told once to sign with gitsign.")
  type("git config --global gpg.format x509")
  type("git config --global gpg.x509.program gitsign")
  type("git config --global commit.gpgSign true")
  type('git config --global user.name "A Developer" && git config --global user.email dev@example.com')
  type("git init -q -b main demo && cd demo")
  cwd = repository

  say("Signed commits and tags: no key to make, to guard or to lose.")
  type('echo one > file && git add file && git commit -m "first"', { shows: "first" })
  type('git tag -s -m "version 1" v1.0')
  type("git log -1 --show-signature", {
    shows: ["gitsign: good signature by dev@example.com (http://127.0.0.1:", "verified offline"],
  })
  const expected = "--certificate-identity=dev@example.com --certificate-oidc-issuer=$GITSIGN_OIDC_ISSUER"
  type(`gitsign verify ${expected}`, { shows: "good signature by dev@example.com" })
  type(`gitsign verify-tag ${expected} v1.0`, { shows: "good signature by dev@example.com" })

  say("Somebody else is refused, and so is a commit that was changed after it was signed.")
  type("gitsign verify --certificate-identity=boss@example.com --certificate-oidc-issuer=$GITSIGN_OIDC_ISSUER", {
    status: 1,
    shows: "[ERR_IDENTITY]",
  })
  type(
    "git update-ref refs/heads/tampered $(git cat-file commit main | sed 's/^first/second/' | git hash-object -w -t commit --stdin)",
  )
  type(`gitsign verify ${expected} tampered`, { status: 1, shows: "[ERR_CONTENT]" })
  type("git log -1 --format='%h %G? %s' tampered", { shows: " B second" })

  say("A rebase makes new commits, and signs each of them. With the agent one login is enough for all.")
  type("git config --global gitsign.credentialCache auto")
  type('git switch -q -c topic && for n in 1 2 3; do echo $n > topic$n; git add .; git commit -q -m "topic $n"; done')
  type('git switch -q main && git commit -q --allow-empty -m "meanwhile" && git rebase -q main topic')
  const log = type("git log --format='%h %G? %GS  %s' topic", { shows: ["topic 3", "meanwhile", "first"] })
  if (
    log
      .trim()
      .split("\n")
      .some((line) => !/^[0-9a-f]+ G dev@example\.com /.test(line))
  ) {
    throw new Error("expected every commit to be signed")
  }
  type("gitsign agent list", { shows: ["dev@example.com", "7 signatures"] })
}

// Ctrl-C ends the command that runs, and with it the demo; what was started is still stopped.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined)

let status = 1
try {
  demo()
  status = 0
} catch (error) {
  process.stdout.write(`\ndemo: ${error.message}\n`)
} finally {
  cwd = work
  say("Nothing is left behind.")
  try {
    type("gitsign agent stop")
    type("gitsign sandbox stop --dir sandbox", { shows: "has stopped" })
  } catch (error) {
    process.stdout.write(`demo: ${error.message}\n`)
    status = 1
  }
  rmSync(work, { recursive: true, force: true })
}
process.exit(status)
