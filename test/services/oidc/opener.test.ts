/**
 * Programs that open addresses: what is configured, and the platform's own browser, as far as a machine without a screen has one:
 * `xdg-open` runs the program that BROWSER names.
 *
 * @module
 */

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { openDefaultBrowser, openWithCommand } from "../../../src/services/oidc/opener.ts"

const ADDRESS = "http://localhost:1/auth?state=a&nonce=$(b)%20c'd"

describe.skipIf(process.platform !== "linux")("the browser of BROWSER", () => {
  let directory = ""
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "gitsign-opener-"))
    for (const name of ["DISPLAY", "WAYLAND_DISPLAY", "XDG_CURRENT_DESKTOP"]) vi.stubEnv(name, undefined)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
  })

  const useBrowser = (script: string): void => {
    const file = join(directory, "browser")
    writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    vi.stubEnv("BROWSER", file)
  }

  test("gets the address as it is", async () => {
    const seen = join(directory, "seen")
    useBrowser(`printf %s "$1" > ${seen}`)
    await openDefaultBrowser(ADDRESS)
    expect(readFileSync(seen, "utf8")).toBe(ADDRESS)
  })

  test("is a failure when it gives up at once, or is not there", async () => {
    useBrowser("exit 1")
    await expect(openDefaultBrowser(ADDRESS)).rejects.toThrow(/ended with \d/)
    vi.stubEnv("BROWSER", join(directory, "absent"))
    await expect(openDefaultBrowser(ADDRESS)).rejects.toThrow(/ended with \d/)
  })

  test("is taken for working when it stays", async () => {
    useBrowser("exec sleep 6")
    const start = performance.now()
    await openDefaultBrowser(ADDRESS)
    expect(performance.now() - start).toBeGreaterThan(2500)
  })
})

describe.skipIf(process.platform === "win32")("a command", () => {
  /** How long it took, in milliseconds. */
  const run = async (...command: string[]): Promise<number> => {
    const start = performance.now()
    await openWithCommand(command)
    return performance.now() - start
  }
  const named = (name: string, script: string): string => {
    const file = join(mkdtempSync(join(tmpdir(), "gitsign-opener-")), name)
    writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return file
  }

  test("gets its words as they are, and nothing waits for what it has started", async () => {
    const file = named("opener", `printf '%s|' "$@" > "$0.seen"; sleep 30 &`)
    expect(await run(file, "--new-window", ADDRESS)).toBeLessThan(2500)
    expect(readFileSync(`${file}.seen`, "utf8")).toBe(`--new-window|${ADDRESS}|`)
  })

  test("is a failure when it gives up at once, is killed, or cannot be started", async () => {
    await expect(run("false", ADDRESS)).rejects.toThrow("the command of gitsign.urlOpener ended with 1")
    await expect(run("sh", "-c", "kill -9 $$", ADDRESS)).rejects.toThrow("ended with a signal")
    await expect(run("/no/such/browser", ADDRESS)).rejects.toThrow("cannot be started (ENOENT)")
    await expect(run(tmpdir(), ADDRESS)).rejects.toThrow("cannot be started (EACCES)")
    await expect(run("", ADDRESS)).rejects.toThrow("cannot be started")
  })

  test("is taken for working when it stays, however it ends", async () => {
    expect(await run("sh", "-c", "sleep 4; exit 1", ADDRESS)).toBeGreaterThan(2500)
  })

  test("that is Windows' Explorer says nothing with its status", async () => {
    await run(named("explorer.exe", "exit 1"), ADDRESS)
    await expect(run(named("explorer.sh", "exit 1"), ADDRESS)).rejects.toThrow("ended with 1")
  })
})
