/**
 * `gitsign hook install` and `uninstall` in real repositories: what was there goes on working, and comes back untouched.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join, resolve } from "node:path"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { hookScript, withBlock, withoutBlock } from "../../src/commands/hook-script.ts"
import { type Ran, Workspace } from "../e2e/harness.ts"

let workspace: Workspace
let repository: string
let hooks: string

beforeEach(() => {
  workspace = new Workspace({})
  repository = workspace.repository("it's here")
  hooks = join(repository, ".git", "hooks")
})
afterEach(() => workspace.close())

const run = (...args: string[]): Ran => workspace.gitsign(repository, "hook", ...args)

/** Runs a hook as git does: by its path, with what it gets on stdin. */
const runHook = (path: string, input = "", ...args: string[]): Ran => workspace.run(repository, path, args, { input })

function write(path: string, text: string, mode = 0o755): void {
  mkdirSync(resolve(path, ".."), { recursive: true })
  writeFileSync(path, text)
  chmodSync(path, mode)
}

/** All that is in a directory, with its bytes and modes. */
const contentOf = (directory: string): unknown =>
  readdirSync(directory, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const path = join(directory, name)
      const { mode } = lstatSync(path)
      if (lstatSync(path).isSymbolicLink()) return [name, readlinkSync(path)]
      return [name, mode, lstatSync(path).isFile() ? readFileSync(path, "base64") : ""]
    })

/** A line that pre-push gets. */
const LINE = `refs/heads/a ${"1".repeat(40)} refs/heads/a ${"0".repeat(40)}\n`

describe("a repository without hooks", () => {
  test("gets those of its side, once, and loses them again", () => {
    const before = contentOf(hooks)
    const installed = run("install")
    expect(installed).toEqual({
      status: 0,
      stdout: `wrote ${hooks}/pre-push\nwrote ${hooks}/post-merge\n`,
      stderr: "",
    })
    expect(lstatSync(join(hooks, "pre-push")).mode & 0o777).toBe(0o755)
    expect(run("install").stdout).toBe(`${hooks}/pre-push is up to date\n${hooks}/post-merge is up to date\n`)
    expect(runHook(join(hooks, "pre-push"), "", "origin", "url")).toEqual({ status: 0, stdout: "", stderr: "" })
    expect(run("install", "--warn-only").stdout).toContain("wrote")
    expect(readFileSync(join(hooks, "pre-push"), "utf8")).toContain('hook pre-push --warn-only -- "$@"')
    expect(run("uninstall").stdout).toBe(`removed ${hooks}/pre-push\nremoved ${hooks}/post-merge\n`)
    expect(contentOf(hooks)).toEqual(before)
    expect(run("uninstall").stdout).toBe("nothing was installed\n")
  })

  test("from a folder in it, from a worktree, and from its git directory", () => {
    const below = join(repository, "below")
    mkdirSync(below)
    expect(workspace.gitsign(below, "hook", "install").stdout).toContain(`wrote ${hooks}/pre-push`)
    workspace.git(repository, "-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "one")
    const tree = join(workspace.root, "tree")
    workspace.git(repository, "worktree", "add", "--quiet", "--detach", tree)
    expect(workspace.gitsign(tree, "hook", "install").stdout).toContain(`${hooks}/pre-push is up to date`)
    expect(workspace.gitsign(join(repository, ".git"), "hook", "install").status).toBe(2)
  })

  test("a bare one those of a server", () => {
    const bare = workspace.repository("bare.git", "--bare")
    const install = (...args: string[]): Ran => workspace.gitsign(bare, "hook", "install", ...args)
    const installed = install()
    expect([installed.status, installed.stdout]).toEqual([0, `wrote ${bare}/hooks/pre-receive\n`])
    expect(installed.stderr).toContain("there is no policy yet")
    expect(install("--each-ref").stdout).toBe(`wrote ${bare}/hooks/update\nremoved ${bare}/hooks/pre-receive\n`)
    expect(install("--client").stdout).toContain(`wrote ${bare}/hooks/pre-push`)
    expect(workspace.gitsign(bare, "hook", "uninstall").stdout.match(/removed/g)).toHaveLength(3)
    expect(install("--server", "--client").status).toBe(2)
    expect(install("--client", "--each-ref").status).toBe(2)
  })

  test("none where there is no repository", () => {
    const ran = workspace.gitsign(workspace.root, "hook", "install")
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringContaining("git finds no repository here")])
  })

  test("with a program whose path a shell would take apart", () => {
    const odd = join(workspace.root, "o'd $(d) place")
    cpSync(resolve(import.meta.dirname, "../../dist"), odd, { recursive: true })
    const program = join(odd, "gitsign.cjs")
    const installed = workspace.run(repository, process.execPath, [program, "hook", "install"])
    expect(installed.status).toBe(0)
    expect(readFileSync(join(hooks, "pre-push"), "utf8")).toContain(`o'\\''d $(d) place/gitsign.cjs'`)
    const env = { PATH: "/usr/bin:/bin" }
    const ran = workspace.run(repository, join(hooks, "pre-push"), ["origin", "url"], { env, input: "gibberish\n" })
    expect([ran.status, ran.stderr]).toEqual([0, expect.stringContaining("[ERR_HOOK]")])
    // Once it is gone from there, the one on PATH is taken, and without one nothing goes through.
    renameSync(odd, join(workspace.root, "moved"))
    expect(runHook(join(hooks, "pre-push"), "gibberish\n").stderr).toContain("[ERR_HOOK]")
    const none = workspace.run(repository, join(hooks, "pre-push"), [], { env })
    expect([none.status, none.stderr]).toEqual([2, expect.stringContaining("finds no gitsign")])
  })
})

describe("a hook that is there", () => {
  /** A hook that keeps what it gets. */
  const witness = (name: string): string => `#!/bin/sh\n{ echo "$@"; cat; } > "${workspace.root}/${name}"\n`

  test.each([
    ["a shell script", () => write(join(hooks, "pre-push"), witness("seen"))],
    ["a script without a final line feed", () => write(join(hooks, "pre-push"), witness("seen").trimEnd())],
    [
      "another program",
      () =>
        write(
          join(hooks, "pre-push"),
          `#!${process.execPath}\nconst { writeFileSync, readFileSync } = require("node:fs")\nwriteFileSync(${JSON.stringify(
            join(workspace.root, "seen"),
          )}, process.argv.slice(2).join(" ") + "\\n" + readFileSync(0))\n`,
        ),
    ],
    [
      "a link to a file of the repository",
      () => {
        write(join(repository, "tools", "check.sh"), witness("seen"))
        symlinkSync("../../tools/check.sh", join(hooks, "pre-push"))
      },
    ],
  ])("%s runs after gitsign, with the same arguments and input, and is put back", (_, put) => {
    put()
    const before = contentOf(hooks)
    const installed = run("install")
    expect(installed.stdout).toContain(`the hook that was there is now ${hooks}/pre-push.before-gitsign`)
    expect(run("install").stdout).toContain(`${hooks}/pre-push is up to date`)
    expect(runHook(join(hooks, "pre-push"), LINE, "origin", "some where").status).toBe(0)
    expect(readFileSync(join(workspace.root, "seen"), "utf8")).toBe(`origin some where\n${LINE}`)
    expect(run("uninstall").stdout).toContain(`the hook that was there before is back at ${hooks}/pre-push`)
    expect(contentOf(hooks)).toEqual(before)
  })

  test("decides as well, and does not see what gitsign refuses", () => {
    const bare = workspace.repository("bare.git", "--bare")
    const hook = join(bare, "hooks", "pre-receive")
    write(hook, `#!/bin/sh\ncat >/dev/null\ntouch "${workspace.root}/ran"\nexit 7\n`)
    expect(workspace.gitsign(bare, "hook", "install").status).toBe(0)
    const input = `${"1".repeat(40)} ${"0".repeat(40)} refs/heads/gone\n`
    const good = workspace.run(bare, "hooks/pre-receive", [], { input })
    expect([good.status, existsSync(join(workspace.root, "ran"))]).toEqual([7, true])
    const other = join(workspace.root, "ran")
    spawnSync("rm", [other])
    const bad = workspace.run(bare, "hooks/pre-receive", [], { input: "gibberish\n" })
    expect([bad.status, existsSync(other)]).toEqual([2, false])
  })

  test("gets thousands of lines, and need not read them", () => {
    const many = Array.from(
      { length: 20_000 },
      (_, n) => `(delete) ${"0".repeat(40)} refs/heads/b${n} ${"1".repeat(40)}\n`,
    )
    write(join(hooks, "pre-push"), witness("seen"))
    run("install")
    expect(runHook(join(hooks, "pre-push"), many.join("")).status).toBe(0)
    expect(readFileSync(join(workspace.root, "seen"), "utf8")).toBe(`\n${many.join("")}`)
    write(join(hooks, "pre-push.before-gitsign"), "#!/bin/sh\nexit 0\n")
    expect(runHook(join(hooks, "pre-push"), many.join(""))).toEqual({ status: 0, stdout: "", stderr: "" })
  })

  test("that git does not run, for want of its mode, is not run now", () => {
    write(join(hooks, "pre-push"), witness("seen"), 0o644)
    run("install")
    expect(runHook(join(hooks, "pre-push"), LINE).status).toBe(0)
    expect(existsSync(join(workspace.root, "seen"))).toBe(false)
    run("uninstall")
    expect(lstatSync(join(hooks, "pre-push")).mode & 0o777).toBe(0o644)
  })

  test("of a manager that keeps gitsign's hook in its turn runs once, and nothing runs in circles", () => {
    const manager = `#!/bin/sh
here=\${0%/*}
[ ! -x "$here/pre-push.legacy" ] || "$here/pre-push.legacy" "$@" || exit
echo ran >> "${workspace.root}/ran"
`
    write(join(hooks, "pre-push"), manager)
    run("install")
    renameSync(join(hooks, "pre-push"), join(hooks, "pre-push.legacy"))
    write(join(hooks, "pre-push"), manager)
    expect(runHook(join(hooks, "pre-push"), "", "origin", "url").status).toBe(0)
    expect(readFileSync(join(workspace.root, "ran"), "utf8")).toBe("ran\nran\n")
  })

  test.each([
    ["that asks for its own name", '#!/bin/sh\nname=$(basename "$0")\n', "depends on its own name"],
    ["of husky 4", '#!/bin/sh\n. "$(dirname "$0")/husky.sh"\n', "depends on its own name"],
  ])("%s is left alone", (_, text, reason) => {
    write(join(hooks, "post-merge"), text)
    const before = contentOf(hooks)
    const ran = run("install")
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringContaining(reason)])
    expect(contentOf(hooks)).toEqual(before)
  })

  test("that came after gitsign's is not overwritten", () => {
    write(join(hooks, "pre-push"), witness("old"))
    run("install")
    write(join(hooks, "pre-push"), witness("new"))
    const before = contentOf(hooks)
    const ran = run("install")
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringContaining("has come after gitsign's hook")])
    expect(contentOf(hooks)).toEqual(before)
    expect(run("uninstall").stdout).toContain("which was kept for it, stays")
    expect(readFileSync(join(hooks, "pre-push"), "utf8")).toBe(witness("new"))
  })

  test("that is no file", () => {
    mkdirSync(join(hooks, "pre-push"))
    expect(run("install").stderr).toContain("is no ordinary file")
    expect(existsSync(join(hooks, "post-merge"))).toBe(false)
  })

  test("that runs all of a folder, as Gitea's does, gets one more there", () => {
    const bare = workspace.repository("gitea.git", "--bare")
    const hook = join(bare, "hooks", "pre-receive")
    const text = `#!/usr/bin/env bash
data=$(cat)
exitcodes=""
hookname=$(basename $0)
GIT_DIR=\${GIT_DIR:-$(dirname $0)/..}
for hook in \${GIT_DIR}/hooks/\${hookname}.d/*; do
  test -x "\${hook}" && test -f "\${hook}" || continue
  echo "\${data}" | "\${hook}"
  exitcodes="\${exitcodes} $?"
done
for i in \${exitcodes}; do
  [ \${i} -eq 0 ] || exit \${i}
done
`
    write(hook, text)
    write(`${hook}.d/gitea`, "#!/bin/sh\nexit 0\n")
    const before = contentOf(join(bare, "hooks"))
    expect(workspace.gitsign(bare, "hook", "install").stdout).toMatch(
      /^wrote .*\/pre-receive\.d\/gitsign\n.*\/pre-receive is to run it.*: try it with a commit that is not signed/,
    )
    const id = "1".repeat(40)
    const input = `${"0".repeat(40)} ${id} refs/heads/main\n`
    const ran = workspace.run(bare, "hooks/pre-receive", [], { input })
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringContaining("[ERR_POLICY_MISSING]")])
    expect(workspace.gitsign(bare, "hook", "uninstall").stdout).toBe(`removed ${hook}.d/gitsign\n`)
    expect(contentOf(join(bare, "hooks"))).toEqual(before)
  })
})

// The program for Node only: this reaches into its file system.
describe.skipIf(process.env.GITSIGN_E2E_PROGRAM !== undefined)("what is ended in its middle", () => {
  const OLD = "#!/bin/sh\ncat >/dev/null\nexit 7\n"
  let bare: string
  let directory: string
  beforeEach(() => {
    bare = workspace.repository("bare.git", "--bare")
    directory = join(bare, "hooks")
    mkdirSync(directory, { recursive: true })
    for (const name of readdirSync(directory)) spawnSync("rm", [join(directory, name)])
  })

  /** Runs a verb for which the `at`-th change of a name in the file system does not happen any more; whether it came that far. */
  function endedAt(at: number, how: "killed" | "full", ...args: string[]): boolean {
    const script = join(workspace.root, "end.cjs")
    const end =
      how === "killed"
        ? 'process.kill(process.pid, "SIGKILL")'
        : 'throw Object.assign(new Error("x"), { code: "ENOSPC" })'
    writeFileSync(
      script,
      `const fs = require("node:fs")
let left = ${at}
for (const name of ["renameSync", "linkSync", "symlinkSync", "unlinkSync", "fsyncSync"]) {
  const original = fs[name]
  fs[name] = (...args) => {
    if (--left === 0) ${end}
    return original(...args)
  }
}
`,
    )
    const ran = workspace.run(bare, workspace.program, ["hook", ...args], {
      env: { NODE_OPTIONS: `--require ${script}` },
    })
    return ran.status !== 0
  }

  /** What git runs by a name: the status of the hook, for a push that makes no sense. */
  const refuses = (name: string): number | null =>
    existsSync(join(directory, name))
      ? workspace.run(bare, join(directory, name), [], { input: "gibberish\n" }).status
      : 0

  const puts: [string, () => void][] = [
    ["a script", () => write(join(directory, "pre-receive"), OLD)],
    [
      "a link",
      () => {
        write(join(bare, "check.sh"), OLD)
        symlinkSync("../check.sh", join(directory, "pre-receive"))
      },
    ],
  ]
  test.each(puts)(
    "never leaves a server without the hook that was there, %s, and can be done again",
    (_, put) => {
      put()
      const before = contentOf(directory)
      let at = 0
      while (endedAt(++at, "killed", "install")) {
        expect([at, refuses("pre-receive")]).not.toEqual([at, 0])
        expect([at, workspace.gitsign(bare, "hook", "install").status]).toEqual([at, 0])
        expect(refuses("pre-receive")).toBe(2)
        expect(readFileSync(join(directory, "pre-receive.before-gitsign"), "utf8")).toBe(OLD)
        expect(workspace.gitsign(bare, "hook", "uninstall").status).toBe(0)
        spawnSync("sh", ["-c", 'rm -f "$1"/*.tmp', "sh", directory])
        expect([at, contentOf(directory)]).toEqual([at, before])
      }
      expect(at).toBeGreaterThan(2)
      while (endedAt(++at, "killed", "uninstall")) expect(refuses("pre-receive")).not.toBe(0)
      expect(workspace.gitsign(bare, "hook", "uninstall").status).toBe(0)
      expect(contentOf(directory)).toEqual(before)
    },
    60_000,
  )

  test("of an installation that did not come to its end nothing is left behind", () => {
    puts[0]?.[1]()
    const before = contentOf(directory)
    expect(endedAt(3, "killed", "install")).toBe(true)
    expect(readdirSync(directory)).toContain("pre-receive.before-gitsign")
    expect(workspace.gitsign(bare, "hook", "uninstall").stdout).toContain("removed ")
    spawnSync("sh", ["-c", 'rm -f "$1"/*.tmp', "sh", directory])
    expect(contentOf(directory)).toEqual(before)
  })

  test.each([["killed"], ["full"]] as const)(
    "update takes the place of pre-receive, and neither is missing: %s",
    (how) => {
      const install = (...args: string[]) => expect(workspace.gitsign(bare, "hook", "install", ...args).status).toBe(0)
      install()
      let at = 0
      while (endedAt(++at, how, "install", "--each-ref")) {
        expect([at, refuses("pre-receive") === 0 && refuses("update") === 0]).toEqual([at, false])
        if (how === "full") expect(readdirSync(directory).filter((name) => name.endsWith(".tmp"))).toEqual([])
        install()
      }
      expect(at).toBeGreaterThan(2)
      expect([existsSync(join(directory, "pre-receive")), refuses("update")]).toEqual([false, 2])
    },
    60_000,
  )
})

test("a folder of hooks that is a link to one of many repositories is left alone", () => {
  const shared = join(workspace.root, "shared")
  mkdirSync(shared)
  spawnSync("rm", ["-r", hooks])
  symlinkSync(shared, hooks)
  const refused = run("install")
  expect([refused.status, refused.stderr]).toEqual([
    2,
    expect.stringContaining(`the link ${hooks} has other repositories take their hooks from`),
  ])
  expect(readdirSync(shared)).toEqual([])
  expect(run("install", "--shared").status).toBe(0)
  const before = contentOf(shared)
  const kept = run("uninstall")
  expect([kept.status, kept.stderr]).toEqual([
    2,
    expect.stringMatching(/the link .* has other[\s\S]*--shared, or first put/),
  ])
  // Nor where another directory is used by now.
  workspace.git(repository, "config", "core.hooksPath", "tools/hooks")
  expect(run("uninstall").status).toBe(2)
  expect(contentOf(shared)).toEqual(before)
  workspace.git(repository, "config", "--unset", "core.hooksPath")
  expect(run("uninstall", "--shared").stdout.match(/removed/g)).toHaveLength(2)
  expect(run("uninstall").stdout).toBe("nothing was installed\n")
  // One that leads to files of the repository is its own.
  spawnSync("rm", [hooks])
  mkdirSync(join(repository, "tools"))
  symlinkSync("../tools", hooks)
  expect(run("install").status).toBe(0)
  expect(readdirSync(join(repository, "tools")).sort()).toEqual(["post-merge", "pre-push"])
})

describe("core.hooksPath", () => {
  test("of the repository is where the hooks go", () => {
    workspace.git(repository, "config", "core.hooksPath", "tools/hooks")
    const below = join(repository, "below")
    mkdirSync(below)
    expect(workspace.gitsign(below, "hook", "install").stdout).toContain(`wrote ${repository}/tools/hooks/pre-push`)
    workspace.git(repository, "config", "--unset", "core.hooksPath")
    run("install")
    workspace.git(repository, "config", "core.hooksPath", "tools/hooks")
    // Those from before it was set are found too.
    expect(run("uninstall").stdout.match(/removed/g)).toHaveLength(4)
  })

  test("of all repositories only when that is meant", () => {
    const shared = join(workspace.root, "shared")
    workspace.git(repository, "config", "--global", "core.hooksPath", shared)
    const refused = run("install")
    expect([refused.status, refused.stderr]).toEqual([
      2,
      expect.stringMatching(/other repositories take their hooks.*[\s\S]*--shared/),
    ])
    expect(existsSync(shared)).toBe(false)
    // Its own hooks are its own business.
    workspace.git(repository, "config", "core.hooksPath", hooks)
    expect(run("install").status).toBe(0)
    workspace.git(repository, "config", "--unset", "core.hooksPath")
    expect(run("uninstall").stdout).toContain(`removed ${hooks}/pre-push`)
    expect(run("install", "--shared").stdout).toContain(`wrote ${shared}/pre-push`)
    const other = workspace.repository("other")
    const kept = workspace.gitsign(other, "hook", "uninstall")
    expect([kept.status, kept.stderr]).toEqual([
      2,
      expect.stringMatching(/core\.hooksPath in .* has other repositories take their hooks[\s\S]*--shared/),
    ])
    expect(readdirSync(shared).sort()).toEqual(["post-merge", "pre-push"])
    expect(run("uninstall", "--shared").status).toBe(0)
    expect(readdirSync(shared)).toEqual([])
  })

  test("that switches hooks off is told", () => {
    workspace.git(repository, "config", "core.hooksPath", "/dev/null")
    const refused = run("install")
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining("git runs no hooks")])
  })
})

describe("husky", () => {
  /** What husky 9 makes at each `npm install`. */
  function husky9(): void {
    const inner = join(repository, ".husky", "_")
    write(
      join(inner, "h"),
      '#!/usr/bin/env sh\nn=$(basename "$0")\ns=$(dirname "$(dirname "$0")")/$n\n[ ! -f "$s" ] && exit 0\nsh -e "$s" "$@"\nc=$?\n[ $c != 0 ] && echo "husky - $n script failed (code $c)"\nexit $c\n',
      0o644,
    )
    for (const name of ["pre-push", "post-merge", "pre-commit"]) {
      write(join(inner, name), '#!/usr/bin/env sh\n. "$(dirname "$0")/h"')
    }
    workspace.git(repository, "config", "core.hooksPath", ".husky/_")
  }

  const prePush = (): string => join(repository, ".husky", "pre-push")
  const asGitRuns = (input: string): Ran => runHook(join(repository, ".husky", "_", "pre-push"), input, "origin", "url")

  test("9: lines in its own hooks, which stay when it is installed again, and go without a trace", () => {
    husky9()
    const text = `echo "tests run for $1"\ncat > "${workspace.root}/seen"\n`
    write(prePush(), text, 0o644)
    const before = contentOf(join(repository, ".husky"))
    expect(run("install").stdout).toBe(`wrote ${repository}/.husky/pre-push\nwrote ${repository}/.husky/post-merge\n`)
    husky9()
    expect(run("install").stdout.match(/is up to date/g)).toHaveLength(2)
    const ran = asGitRuns(LINE)
    expect([ran.status, ran.stdout]).toEqual([0, "tests run for origin\n"])
    expect(readFileSync(join(workspace.root, "seen"), "utf8")).toBe(LINE)
    expect(asGitRuns("").status).toBe(0)
    expect(readFileSync(join(workspace.root, "seen"), "utf8")).toBe("")
    expect(runHook(join(repository, ".husky", "_", "post-merge"), "", "0").status).toBe(0)
    // Who has no gitsign is told, and not kept from pushing.
    const env = { PATH: "/usr/bin:/bin" }
    const without = workspace.run(repository, join(repository, ".husky/_/pre-push"), ["origin"], { env, input: LINE })
    expect([without.status, without.stderr]).toEqual([0, expect.stringContaining("not installed here")])
    expect(run("uninstall").status).toBe(0)
    expect(contentOf(join(repository, ".husky"))).toEqual(before)
  })

  test("9: a refusal ends the hook", () => {
    husky9()
    write(prePush(), "echo never\n", 0o644)
    run("install")
    // In the place of gitsign one that refuses.
    const bin = join(workspace.root, "other")
    write(join(bin, "gitsign"), "#!/bin/sh\ncat >/dev/null\nexit 1\n")
    workspace.env.PATH = `${bin}:${workspace.env.PATH}`
    const ran = asGitRuns(LINE)
    expect([ran.status, ran.stdout]).toEqual([1, "husky - pre-push script failed (code 1)\n"])
  })

  test("8: behind its own line, which runs the hook a second time", () => {
    const lines = '#!/usr/bin/env sh\n. "$(dirname -- "$0")/_/husky.sh"\n\necho tests\n'
    write(prePush(), lines)
    write(
      join(repository, ".husky", "_", "husky.sh"),
      'if [ -z "$husky_skip_init" ]; then\n  export husky_skip_init=1\n  sh -e "$0" "$@"\n  exit $?\nfi\n',
      0o644,
    )
    workspace.git(repository, "config", "core.hooksPath", ".husky")
    const before = contentOf(join(repository, ".husky"))
    run("install")
    const ran = runHook(prePush(), LINE, "origin", "url")
    expect([ran.status, ran.stdout]).toEqual([0, "tests\n"])
    run("uninstall")
    expect(contentOf(join(repository, ".husky"))).toEqual(before)
  })

  test("has none for servers", () => {
    husky9()
    expect(run("install", "--server").stderr).toContain("husky has no hooks for the receiving side")
  })
})

describe("the lines in a hook of the repository", () => {
  test("leave no trace, whatever the hook was", () => {
    const line = fc.constantFrom(
      "#!/bin/sh",
      "",
      "echo 1",
      '. "$(dirname "$0")/_/husky.sh"',
      "# gitsign",
      "\ttab ",
      "\u00e9",
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), fc.boolean(), (lines, ends) => {
        const text = `${lines.join("\n")}${ends ? "\n" : ""}`
        for (const name of ["pre-push", "post-merge"] as const) {
          const once = withBlock(text, name, false)
          expect(withoutBlock(once)).toBe(text)
          expect(withBlock(once, name, false)).toBe(once)
        }
      }),
    )
  })
})

const HOOKS_DIRECTORY = resolve(import.meta.dirname, "../../hooks")

describe.each(["sh", "dash", "bash"])("%s can read", (shell) => {
  const check = (text: string): void => {
    const ran = spawnSync(shell, ["-n"], { input: text, encoding: "utf8" })
    if (ran.error === undefined) expect([ran.status, ran.stderr]).toEqual([0, ""])
  }

  test.each(["pre-receive", "update", "pre-push", "post-merge"] as const)("the hook %s", (name) => {
    const path = join(HOOKS_DIRECTORY, name)
    expect(lstatSync(path).mode & 0o111).toBe(0o111)
    check(readFileSync(path, "utf8"))
    for (const chained of [true, false]) {
      check(hookScript({ name, program: ["/a b/node", "--flag", "/c'd/gitsign"], chained, warnOnly: true }))
    }
    check(withBlock("#!/bin/sh\necho\n", name, false))
  })
})

test("the hooks that are shipped run what they are named after", () => {
  const bin = join(workspace.root, "witness")
  write(join(bin, "gitsign"), '#!/bin/sh\necho "$@"\n')
  const env = { PATH: `${bin}:/usr/bin:/bin` }
  for (const name of ["pre-receive", "update", "pre-push", "post-merge"]) {
    const ran = workspace.run(repository, join(HOOKS_DIRECTORY, name), ["one", "--two"], { env })
    expect(ran.stdout).toBe(`hook ${name} -- one --two\n`)
  }
})
