/**
 * The platform's own browser, as far as a machine without a screen has one: `xdg-open` runs the program that BROWSER names.
 *
 * @module
 */

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { openDefaultBrowser } from "../../../src/services/oidc/browser.ts"

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
