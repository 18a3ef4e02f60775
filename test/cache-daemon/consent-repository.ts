/**
 * A real repository with commits whose changes git itself tells.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ChangedFile } from "../../cache-daemon/changed-files.ts"
import { changedTreeObjects } from "../../src/git/changed-trees.ts"

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A Developer",
  GIT_AUTHOR_EMAIL: "dev@example.com",
  GIT_AUTHOR_DATE: "1700000000 +0100",
  GIT_COMMITTER_NAME: "A Developer",
  GIT_COMMITTER_EMAIL: "dev@example.com",
  GIT_COMMITTER_DATE: "1700000000 +0100",
}

/** A file of a commit: its mode and content, or the id of a submodule's commit. */
export type Files = Readonly<Record<string, string | { mode: string; content: string }>>

export class Repository {
  readonly directory: string

  constructor(objectFormat: "sha1" | "sha256" = "sha1") {
    this.directory = mkdtempSync(join(tmpdir(), "gitsign-consent-"))
    this.git(["init", "-q", "-b", "main", `--object-format=${objectFormat}`])
  }

  get context() {
    return { cwd: this.directory, env: ENV as NodeJS.ProcessEnv }
  }

  git(args: readonly string[], input: string | Buffer = ""): string {
    const ran = spawnSync("git", args, { cwd: this.directory, env: ENV, input, maxBuffer: 64 * 1024 * 1024 })
    if (ran.status !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`)
    return ran.stdout.toString("utf8").replace(/\n$/, "")
  }

  /** Commits exactly these files through git's fast-import, which takes any name; returns the commit's id. */
  commit(files: Files, parents: readonly string[] = [], message = "a subject\n\nmore\n"): string {
    const body = Buffer.from(message)
    const lines: (string | Buffer)[] = [
      "commit refs/heads/made\nauthor A Developer <dev@example.com> 1700000000 +0100\n",
      `committer A Developer <dev@example.com> 1700000000 +0100\ndata ${body.length}\n`,
      body,
      ...parents.map((parent, index) => `${index === 0 ? "from" : "merge"} ${parent}\n`),
      "deleteall\n",
    ]
    for (const [path, file] of Object.entries(files)) {
      const { mode, content } = typeof file === "string" ? { mode: "100644", content: file } : file
      const quoted = JSON.stringify(path)
      if (mode === "160000") lines.push(`M 160000 ${content} ${quoted}\n`)
      else lines.push(`M ${mode} inline ${quoted}\ndata ${Buffer.byteLength(content)}\n${content}\n`)
    }
    spawnSync("git", ["update-ref", "-d", "refs/heads/made"], { cwd: this.directory, env: ENV })
    this.git(["fast-import", "--quiet", "--force"], Buffer.concat(lines.map((one) => Buffer.from(one))))
    return this.git(["rev-parse", "refs/heads/made"])
  }

  payload(revision: string, type = "commit"): Buffer {
    const ran = spawnSync("git", ["cat-file", type, revision], { cwd: this.directory, env: ENV })
    return ran.stdout
  }

  objects(revision: string): Promise<Uint8Array[]> {
    return changedTreeObjects(this.context, this.payload(revision))
  }

  /** What git says that the commit changes against its first parent. */
  changes(revision: string): ChangedFile[] {
    const parent = this.git(["rev-parse", `${revision}^@`]).split("\n")[0]
    const args = ["diff-tree", "-r", "-z", "--name-status", "--no-renames", "--no-commit-id"]
    const said = this.git(parent ? [...args, parent, revision] : [...args, "--root", revision])
    const fields = said.split("\0")
    const kinds: Record<string, ChangedFile["kind"]> = { A: "added", D: "deleted", M: "modified", T: "modified" }
    const files: ChangedFile[] = []
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const kind = kinds[fields[i] ?? ""]
      if (kind !== undefined) files.push({ path: fields[i + 1] ?? "", kind })
    }
    return files
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** An object's bytes with its header, and the id they have. */
export function rawObject(type: string, content: Uint8Array, algorithm = "sha1"): { raw: Buffer; id: string } {
  const raw = Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content])
  return { raw, id: createHash(algorithm).update(raw).digest("hex") }
}

/** A tree's bytes from entries as they are, in the order they are in. */
export const treeContent = (entries: readonly (readonly [mode: string, name: string, id: string])[]): Buffer =>
  Buffer.concat(
    entries.flatMap(([mode, name, id]) => [Buffer.from(`${mode} ${name}\0`, "latin1"), Buffer.from(id, "hex")]),
  )

/** A commit's payload. */
export const commitPayload = (tree: string, parents: readonly string[] = [], message = "a subject\n"): Buffer =>
  Buffer.from(
    `tree ${tree}\n${parents.map((parent) => `parent ${parent}\n`).join("")}` +
      `author A Developer <dev@example.com> 1700000000 +0100\ncommitter A Developer <dev@example.com> 1700000000 +0100\n\n${message}`,
  )
