/**
 * A GnuPG home of its own with keys that gpg made, and gpg's opinion of signatures.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Whether there is a gpg that can make and judge these keys. */
export const hasGpg = (): boolean => {
  const { status, stdout } = spawnSync("gpg", ["--version"], { encoding: "utf8" })
  return status === 0 && /gpg \(GnuPG\) 2\.[2-9]/.test(stdout)
}

/** The world; call {@link GpgWorld.end} when done. */
export class GpgWorld {
  // The path of gpg-agent's socket must be short
  readonly home = mkdtempSync(join(tmpdir(), "gs-gpg-"))

  constructor() {
    chmodSync(this.home, 0o700)
  }

  end(): void {
    spawnSync("gpgconf", ["--homedir", this.home, "--kill", "all"])
    rmSync(this.home, { recursive: true, force: true })
  }

  try(args: readonly string[], input: string | Uint8Array = "", mode: readonly string[] = ["--batch"]) {
    const quiet = ["--homedir", this.home, "--yes", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""]
    return spawnSync("gpg", [...quiet, ...mode, ...args], {
      input,
      env: { PATH: process.env.PATH, HOME: this.home, LC_ALL: "C" },
      timeout: 30_000,
    })
  }

  /** @throws Error when gpg fails */
  gpg(args: readonly string[], input: string | Uint8Array = ""): Buffer {
    const { status, stdout, stderr } = this.try(args, input)
    if (status !== 0) throw new Error(`gpg ${args.join(" ")}: ${stderr.toString()}`)
    return stdout
  }

  /** Makes a key and returns its fingerprint. */
  key(userId: string, algorithm: string, ...more: string[]): string {
    this.gpg([...more, "--quick-gen-key", userId, algorithm, "cert,sign", "0"])
    const listed = this.gpg(["--with-colons", "--list-keys", `=${userId}`]).toString()
    return /^fpr:+([0-9A-F]+):/m.exec(listed)?.[1] ?? ""
  }

  export(...fingerprints: string[]): string {
    return this.gpg(["--armor", "--export", ...fingerprints]).toString()
  }

  /** Signs as git has it signed: `gpg --status-fd=2 -bsau KEY`. */
  sign(key: string, payload: Uint8Array, ...more: string[]): Buffer {
    return this.gpg([...more, "-bsau", key], payload)
  }

  /** A revocation of a key for a reason (RFC 9580 section 5.2.3.31), armored. */
  revocation(key: string, reason: string, ...more: string[]): Buffer {
    const answers = `y\n${reason}\n\ny\n`
    return this.try([...more, "--armor", "--gen-revoke", key], answers, ["--command-fd", "0"]).stdout
  }

  /** The status words that gpg prints for a signature, such as `GOODSIG` and `EXPKEYSIG`. */
  statusOf(payload: Uint8Array, signature: Uint8Array): string[] {
    const file = join(this.home, "signature")
    writeFileSync(file, signature)
    const { stdout } = this.try(["--status-fd=1", "--verify", file, "-"], payload)
    return [...stdout.toString().matchAll(/^\[GNUPG:\] ([A-Z_]+)/gm)].map(([, word = ""]) => word)
  }
}
