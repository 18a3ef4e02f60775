/**
 * Runs transcripts: what a person could type, and what must come of it. The form is that of Go's testscript, cut down.
 *
 *   exec CMD ARGS...      run it; it must exit with 0          ! exec …        it must exit with anything else
 *   status N              what the last one exited with
 *   stdout 'RE'  stderr 'RE'   must match, line by line        ! stdout 'RE'   must not match
 *   stdin FILE            the input of the next exec           env NAME=VALUE  for everything after; env -NAME removes
 *   cd DIR                cmp FILE FILE (`stdout` is one)      exists FILE     ! exists FILE
 *   object TYPE FILE REF  puts the bytes of a fixture into the repository and points a ref at the object
 *
 * Words are separated by blanks and may be quoted with single quotes; $NAME is replaced outside of them. A line with # at its
 * beginning is a comment. Files follow at the end, each after a line `-- NAME --`. The last newline of a file is kept.
 *
 * @module
 */

import { spawn, spawnSync } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join, resolve } from "node:path"
import { FIXTURES } from "../support/fixtures.ts"

const ROOT = resolve(import.meta.dirname, "../..")

/** The program under test: what `npm test` has built, or the one that GITSIGN_E2E_PROGRAM names. */
const PROGRAM = resolve(ROOT, process.env.GITSIGN_E2E_PROGRAM ?? "dist/gitsign.cjs")

const TIMEOUT_MS = 20_000

interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a transcript in a directory of its own with a HOME of its own; throws at the first line that does not hold. */
export async function runTranscript(text: string): Promise<void> {
  const work = realpathSync(mkdtempSync(join(tmpdir(), "gitsign transcript ")))
  try {
    const { script, files } = parseArchive(text)
    for (const [name, content] of files) {
      mkdirSync(dirname(join(work, name)), { recursive: true })
      writeFileSync(join(work, name), content)
    }
    const run = new Transcript(work)
    for (const [index, line] of script.entries()) {
      try {
        await run.step(line)
      } catch (cause) {
        const { status, stdout, stderr } = run.last
        const shown = `exit status ${status}\n--- stdout ---\n${stdout}--- stderr ---\n${stderr}`
        const reason = cause instanceof Error ? cause.message : String(cause)
        throw new Error(`line ${index + 1}: ${line}\n${reason}\n${shown}`, { cause })
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function parseArchive(text: string): { script: string[]; files: [string, string][] } {
  const [script = "", ...parts] = text.split(/^-- (\S+) --\n/m)
  const files: [string, string][] = []
  for (let i = 0; i + 1 < parts.length; i += 2) files.push([parts[i] ?? "", parts[i + 1] ?? ""])
  return { script: script.split("\n"), files }
}

class Transcript {
  readonly #env: Record<string, string>
  #cwd: string
  #stdin = ""
  last: Ran = { status: null, stdout: "", stderr: "" }

  constructor(work: string) {
    this.#cwd = work
    mkdirSync(join(work, "bin"))
    mkdirSync(join(work, "home"))
    const program = join(work, "bin", "gitsign")
    const start = PROGRAM.endsWith(".cjs") ? `"${process.execPath}" "${PROGRAM}"` : `"${PROGRAM}"`
    writeFileSync(program, `#!/bin/sh\nexec ${start} "$@"\n`)
    chmodSync(program, 0o755)
    this.#env = {
      PATH: [join(work, "bin"), process.env.PATH].join(delimiter),
      HOME: join(work, "home"),
      XDG_CACHE_HOME: join(work, "home", ".cache"),
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_AUTHOR_NAME: "A Developer",
      GIT_AUTHOR_EMAIL: "dev@example.com",
      GIT_COMMITTER_NAME: "A Developer",
      GIT_COMMITTER_EMAIL: "dev@example.com",
      TMPDIR: tmpdir(),
      LC_ALL: "C.UTF-8",
      WORK: work,
      FIXTURES,
    }
  }

  async step(line: string): Promise<void> {
    const [first, ...rest] = this.#words(line)
    if (first === undefined || first.startsWith("#")) return
    const negated = first === "!"
    const [verb = "", ...args] = negated ? rest : [first, ...rest]
    switch (verb) {
      case "exec":
        this.last = await this.#exec(args)
        if ((this.last.status === 0) === negated) throw new Error(negated ? "it succeeded" : "it failed")
        return
      case "status":
        return this.#expect(String(this.last.status) === args[0], negated)
      case "stdout":
      case "stderr":
        return this.#expect(new RegExp(args[0] ?? "", "m").test(this.last[verb]), negated)
      case "stdin":
        this.#stdin = this.#read(args[0] ?? "")
        return
      case "env":
        return this.#setEnv(args[0] ?? "")
      case "cd":
        this.#cwd = resolve(this.#cwd, args[0] ?? "")
        return
      case "cmp":
        return this.#expect(this.#read(args[0] ?? "") === this.#read(args[1] ?? ""), negated)
      case "exists":
        return this.#expect(existsSync(resolve(this.#cwd, args[0] ?? "")), negated)
      case "object":
        return this.#putObject(args)
      default:
        throw new Error(`there is no verb ${verb}`)
    }
  }

  #expect(holds: boolean, negated: boolean): void {
    if (holds === negated) throw new Error("it does not hold")
  }

  #words(line: string): string[] {
    return [...line.matchAll(/(?:'[^']*'|[^\s'])+/g)].map(([word]) =>
      word.replace(
        /'([^']*)'|\$(\w+)/g,
        (_, quoted: string | undefined, name: string) => quoted ?? this.#env[name] ?? "",
      ),
    )
  }

  #setEnv(assignment: string): void {
    const [, name = "", value = ""] = /^(\w+)=(.*)$/s.exec(assignment) ?? []
    if (assignment.startsWith("-")) delete this.#env[assignment.slice(1)]
    else this.#env[name] = value
  }

  #read(name: string): string {
    if (name === "stdout" || name === "stderr") return this.last[name]
    return readFileSync(resolve(this.#cwd, name), "latin1")
  }

  /** In a session of its own: no terminal is there, whoever runs the tests. */
  #exec([command = "", ...args]: string[]): Promise<Ran> {
    const input = this.#stdin
    this.#stdin = ""
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, { cwd: this.#cwd, env: this.#env, detached: true })
      const output = { stdout: "", stderr: "" }
      for (const name of ["stdout", "stderr"] as const) {
        child[name].setEncoding("utf8").on("data", (text: string) => {
          output[name] += text
        })
      }
      const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS)
      child.on("error", reject)
      child.stdin.on("error", () => undefined)
      child.stdin.end(Buffer.from(input, "latin1"))
      child.on("close", (status) => {
        clearTimeout(timer)
        resolve({ status, ...output })
      })
    })
  }

  #putObject([type = "", file = "", ref = ""]: string[]): void {
    const git = (...args: string[]): string => {
      const ran = spawnSync("git", args, { cwd: this.#cwd, env: this.#env, encoding: "utf8" })
      if (ran.status !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`)
      return ran.stdout.trim()
    }
    const id = git("hash-object", "-w", "-t", type, "--literally", resolve(this.#cwd, file))
    // What the object names is not here: without its parents the repository is a shallow one.
    const gitDirectory = git("rev-parse", "--absolute-git-dir")
    if (type === "commit") appendFileSync(join(gitDirectory, "shallow"), `${id}\n`)
    const path = join(gitDirectory, ref)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `${id}\n`)
  }
}

/** Whether the program under test has been built. */
export const isBuilt = (): boolean => existsSync(PROGRAM)
