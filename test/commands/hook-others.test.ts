/**
 * `gitsign hook install` beside the hooks of others: put only where something runs it, and no hook renamed that would then do something
 * else than before.
 *
 * @module
 */

import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { folderRunBy, refuseWhatAsksItsName } from "../../src/commands/hook-others.ts"
import { isGitsignError } from "../../src/errors.ts"
import { type Ran, Workspace } from "../e2e/harness.ts"
import { policyText } from "../e2e/push-world.ts"

let workspace: Workspace
let bare: string
let hook: string

beforeEach(() => {
  workspace = new Workspace({})
  bare = workspace.repository("bare.git", "--bare")
  hook = join(bare, "hooks", "pre-receive")
})
afterEach(() => workspace.close())

function write(path: string, text: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text, { mode: 0o755 })
}

const run = (...args: string[]): Ran => workspace.gitsign(bare, "hook", ...args)

/** What git would get from the hook for a push. */
const runHook = (input: string): Ran => workspace.run(bare, "hooks/pre-receive", [], { input })

const LINE = `${"0".repeat(40)} ${"1".repeat(40)} refs/heads/main\n`
const GONE = `${"1".repeat(40)} ${"0".repeat(40)} refs/heads/gone\n`

describe("a folder of hooks", () => {
  const runs: [string, string][] = [
    ["by what the hook is called", 'for h in "$0".d/*; do "$h" || exit; done'],
    ["braces", `for h in \${0}.d/* ; do "$h" || exit; done`],
    ["beside it", 'for h in "$(dirname "$0")"/pre-receive.d/*; do "$h" || exit; done'],
    ["both", 'for h in `dirname $0`/`basename $0`.d/*\ndo "$h" || exit; done'],
    ["in git's directory", 'for h in hooks/pre-receive.d/*; do "$h" || exit; done'],
    ["a variable", `folder="\${0%/*}/\${0##*/}.d"\nfor h in "$folder"/*; do "$h" || exit; done`],
    [
      "variables",
      'here=$(dirname "$0")\nname=pre-receive\nfolder="$here/$name.d"\nfor h in "$folder"/*; do "$h" || exit; done',
    ],
    ["run-parts", 'exec run-parts --exit-on-error "$0.d"'],
  ]
  const runsNot: [string, string][] = [
    ["of somebody else", "[ -f /etc/nothing.d/x.sh ] && . /etc/nothing.d/x.sh"],
    ["of the same name elsewhere", 'for h in /etc/git/pre-receive.d/*; do "$h" || exit; done'],
    ["that is only spoken of", '# for h in "$0.d"/*; do\nexit 0'],
    ["that is told of", 'echo "more hooks can be put into hooks/pre-receive.d/* one day"'],
    ["that is only prepared", 'chmod a+x "$0".d/*'],
    ["behind the end", 'exit 0 # one day: for h in "$0.d"/*; do "$h"; done'],
    ["of which one is run", "hooks/pre-receive.d/first"],
    ["of which some are run", 'for h in hooks/pre-receive.d/*.sh; do "$h" || exit; done'],
    ["for another hook", 'for h in hooks/update.d/*; do "$h" || exit; done'],
    ["at a place that nobody knows", 'for h in "$HOME"/pre-receive.d/*; do "$h" || exit; done'],
    ["in a variable that has changed", 'd="$0.d"\nd=$(find some where)\nfor h in $d/*; do "$h" || exit; done'],
    ["chosen from", 'run-parts --regex "^x" hooks/pre-receive.d'],
  ]

  test.each(runs)("gets gitsign when the hook runs all of it: %s", (_, text) => {
    mkdirSync(`${hook}.d`, { recursive: true })
    expect(folderRunBy(hook, "pre-receive", `#!/bin/sh\n${text}\n`)).toBe(`${hook}.d`)
  })

  test.each(runsNot)("does not when it does not: %s", (_, text) => {
    mkdirSync(`${hook}.d`, { recursive: true })
    expect(folderRunBy(hook, "pre-receive", `#!/bin/sh\n${text}\n`)).toBe(undefined)
  })

  test("by its whole path, and never without the folder", () => {
    const text = `#!/bin/sh\nfor h in '${hook}.d'/*; do "$h" || exit; done\n`
    expect(folderRunBy(hook, "pre-receive", text)).toBe(undefined)
    mkdirSync(`${hook}.d`, { recursive: true })
    expect(folderRunBy(hook, "pre-receive", text)).toBe(`${hook}.d`)
  })

  test("that nothing runs is left alone, and gitsign refuses pushes", () => {
    mkdirSync(`${hook}.d`, { recursive: true })
    write(hook, "#!/bin/sh\n[ -f /etc/nothing.d/x.sh ] && . /etc/nothing.d/x.sh\nexit 0\n")
    expect(run("install").stdout).toContain(`the hook that was there is now ${hook}.before-gitsign`)
    expect(existsSync(`${hook}.d/gitsign`)).toBe(false)
    expect(runHook(LINE).status).toBe(2)
  })

  test("that is run is where gitsign goes, with what git says", () => {
    write(hook, '#!/bin/sh\nfor h in "$0".d/*; do "$h" || exit; done\n')
    mkdirSync(`${hook}.d`)
    const installed = run("install")
    expect(installed.stdout).toContain(`wrote ${hook}.d/gitsign\n${hook} is to run it, as all of ${hook}.d: try it`)
    expect(runHook(LINE)).toEqual({ status: 2, stdout: "", stderr: expect.stringContaining("[ERR_POLICY_MISSING]") })
    // One that comes before it and leaves it nothing to read would have it let everything in.
    write(`${hook}.d/first`, "#!/bin/sh\ncat >/dev/null\n")
    expect(runHook(LINE).status).toBe(2)
    expect(runHook(LINE).stderr).toMatch(/another hook has read.*\[ERR_HOOK\]\n.*hint: .*hand on/)
  })
})

describe("a hook that is renamed", () => {
  const asks = (text: string | Uint8Array): boolean => {
    try {
      refuseWhatAsksItsName("/hooks/pre-receive", "pre-receive", Buffer.from(text).toString("latin1"))
      return false
    } catch (error) {
      if (isGitsignError(error)) return true
      throw error
    }
  }

  test.each([
    ["a choice by it", '#!/bin/sh\ncase "$0" in\n*/pre-receive) exit 1 ;;\nesac\n'],
    ["no first line", `case "\${0}" in */pre-receive) exit 1 ;; esac\n`],
    ["its last part", `#!/bin/bash\n[ "\${0##*/}" = pre-receive ] && exit 1\n`],
    ["a variable", '#!/bin/sh\nme=$0\nexec tool "$me"\n'],
    ["bash", `#!/bin/bash\nname=$(basename "\${BASH_SOURCE[0]}")\n`],
    ["a pipe", "#!/bin/sh\necho $0 | grep -q pre-receive && exit 1\n"],
    ["an argument", '#!/bin/sh\nexec tool "$0" "$@"\n'],
    ["perl", "#!/usr/bin/perl\nexit 1 if $0 =~ /pre-receive/;\n"],
    ["python", "#!/usr/bin/env python3\nimport sys\nhook = sys.argv[0]\n"],
    ["node", "#!/usr/bin/env node\nconst hook = process.argv[1]\n"],
    ["a script with something packed behind it", '#!/bin/sh\ncase "$0" in x) ;; esac\nexit\n\0\0'],
  ])("and goes by its name is noticed: %s", (_, text) => {
    expect(asks(text)).toBe(true)
  })

  test.each([
    ["only its folder", `#!/bin/sh\ncd "$(dirname "$0")/.." && . "\${0%/*}/common.sh"\n`],
    ["where a link to it leads", '#!/bin/sh\nhere=$(dirname -- "$(readlink -f "$0")")\n'],
    ["the names of others", '#!/bin/sh\nwhile read a b ref; do branch=$(basename "$ref"); done\n'],
    ["the fields of awk", "#!/bin/sh\ngit diff --name-only | awk '{ print $0 }'\n"],
    ["a message", '#!/bin/sh\necho "usage: $0 (OLD NEW)" >&2\n[ $# = 0 ] || { printf "$0: no\\n"; exit 1; }\n'],
    ["an argument of node", "#!/usr/bin/python3\nimport sys\nprint(sys.argv[1])\n"],
    ["a remark", "#!/bin/sh\n# $0 is this\nexit 0\n"],
  ])("and does not is kept: %s", (_, text) => {
    expect(asks(text)).toBe(false)
  })

  test("is compiled, and whatever it holds is no script", () => {
    expect(asks(Buffer.concat([readFileSync(process.execPath).subarray(0, 4096), Buffer.from("argv[0]")]))).toBe(false)
    mkdirSync(dirname(hook), { recursive: true })
    copyFileSync("/bin/true", hook)
    expect(run("install").stdout).toContain(`the hook that was there is now ${hook}.before-gitsign`)
    expect(runHook(GONE)).toEqual({ status: 0, stdout: "", stderr: "" })
    expect(runHook(LINE).status).toBe(2)
  })

  test("and reads all before gitsign does is told", () => {
    write(hook, "#!/bin/sh\nwhile read -r old new ref; do :; done\nexec gitsign hook pre-receive\n")
    expect([runHook(LINE).status, runHook(LINE).stderr]).toEqual([2, expect.stringContaining("another hook has read")])
  })

  test("gets all of what git says or nothing", () => {
    write(hook, "#!/bin/sh\ntouch ran\n")
    run("install")
    expect([runHook("").status, runHook(GONE.slice(0, -1)).status, existsSync(join(bare, "ran"))]).toEqual([
      2,
      2,
      false,
    ])
    // In the place of cat one that ends before it has read anything.
    write(join(workspace.root, "other", "cat"), "#!/bin/sh\nkill -9 $$\n")
    const env = { PATH: `${join(workspace.root, "other")}:${workspace.env.PATH}` }
    const ran = workspace.run(bare, "hooks/pre-receive", [], { input: LINE, env })
    expect([ran.status, ran.stderr]).toEqual([3, expect.stringMatching(/could not read what git says \[ERR_HOOK\]/)])
    expect(existsSync(join(bare, "ran"))).toBe(false)
  })
})

test("a policy whose path is meant from the work tree is not there for a push, and that is told", () => {
  const tree = workspace.repository("tree")
  write(join(tree, "policy.yaml"), policyText("https://issuer.example"))
  workspace.git(tree, "config", "gitsign.policy", "policy.yaml")
  const installed = workspace.gitsign(tree, "hook", "install", "--server")
  expect([installed.status, installed.stderr]).toEqual([
    0,
    expect.stringMatching(
      /warning: the policy cannot be used, and until it can every push is refused\n[\s\S]*begins at .*\/tree\/\.git where/,
    ),
  ])
  workspace.git(tree, "config", "gitsign.policy", join(tree, "policy.yaml"))
  expect(workspace.gitsign(tree, "hook", "install", "--server").stderr).toBe("")
})
