/**
 * A repository with commits signed by SSH keys that ssh-keygen made, and git's own opinion of them.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseCommit } from "../../src/formats/git-object.ts"

/** Whether ssh-keygen can sign (OpenSSH 8.9 or later knows -Overify-time) and git asks it. */
export const hasSshKeygen = (): boolean => {
  const ssh = spawnSync("ssh", ["-V"], { encoding: "utf8" })
  const [, major, minor] = /OpenSSH_(\d+)\.(\d+)/.exec(`${ssh.stdout}${ssh.stderr}`) ?? []
  const git = spawnSync("git", ["version"], { encoding: "utf8" })
  const isNew = Number(major) > 8 || (Number(major) === 8 && Number(minor) >= 9)
  return isNew && /version (2\.(3[5-9]|[4-9]\d)|[3-9])/.test(git.stdout)
}

/** A payload and its signature, as a verifier gets them. */
export interface SignedPair {
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

/** The world; call {@link SshWorld.end} when done. */
export class SshWorld {
  readonly folder = mkdtempSync(join(tmpdir(), "gitsign-ssh-"))

  constructor() {
    this.git(["init", "-q", "."])
  }

  end(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Runs a program in the folder. @throws Error when it fails */
  run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ""): string {
    const { status, stdout, stderr } = this.try(program, args, env, input)
    if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`)
    return stdout
  }

  /** The same; a failure is an answer. */
  try(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}, input = "") {
    const isolated = {
      PATH: process.env.PATH ?? "",
      HOME: this.folder,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      // In summer ssh-keygen takes local times for an hour later than they are, and times with a Z for what they are
      TZ: "UTC",
    }
    return spawnSync(program, args, {
      cwd: this.folder,
      env: { ...isolated, ...env },
      input,
      encoding: "utf8",
      timeout: 20_000,
    })
  }

  git(args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
    return this.run("git", args, env)
  }

  /** Makes a key pair and returns the public key's line without the comment. */
  key(name: string, ...args: string[]): string {
    this.run("ssh-keygen", ["-q", "-N", "", "-C", "comment", "-f", name, ...args])
    return this.publicLine(`${name}.pub`)
  }

  publicLine(file: string): string {
    return readFileSync(join(this.folder, file), "utf8").split(" ").slice(0, 2).join(" ")
  }

  /** Has an authority certify a key; the certificate is written beside it. */
  certify(authority: string, name: string, ...args: string[]): void {
    this.run("ssh-keygen", ["-q", "-s", authority, "-I", `id of ${name}`, ...args, `${name}.pub`])
  }

  write(name: string, content: string | Uint8Array): string {
    const path = join(this.folder, name)
    writeFileSync(path, content)
    return path
  }

  /** A commit signed by a key, or by a certificate when it names a file of that; returns its id. */
  commit(key: string, seconds = 1_750_000_000): string {
    const who = (role: string) => ({ [`GIT_${role}_NAME`]: "A", [`GIT_${role}_EMAIL`]: "a@example.com" })
    const date = `${seconds} +0200`
    this.git(
      [
        "-c",
        "gpg.format=ssh",
        "-c",
        `user.signingkey=${join(this.folder, key)}`,
        "commit",
        "-qS",
        "--allow-empty",
        "-m",
        key,
      ],
      { ...who("AUTHOR"), ...who("COMMITTER"), GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date },
    )
    return this.git(["rev-parse", "HEAD"]).trim()
  }

  raw(id: string): Buffer {
    return spawnSync("git", ["cat-file", "commit", id], { cwd: this.folder }).stdout
  }

  pair(id: string): SignedPair {
    const { payload, signature } = parseCommit(this.raw(id), "sha1")
    return { payload, signature: signature ?? new Uint8Array() }
  }

  /** What git says: whether it accepts the signature, and for which principal. */
  verdictOf(id: string, allowedSigners: string): { readonly isAccepted: boolean; readonly principal: string } {
    const file = this.write("allowed_signers", allowedSigners)
    const args = ["-c", `gpg.ssh.allowedSignersFile=${file}`, "log", "-1", "--format=%G?|%GS", id]
    const [letter = "", principal = ""] = this.try("git", args).stdout.trim().split("|")
    return { isAccepted: letter === "G", principal }
  }
}
