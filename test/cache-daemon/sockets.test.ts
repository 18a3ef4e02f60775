/**
 * Where the sockets are, and who may get at them.
 *
 * @module
 */

import { chmodSync, chownSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { prepareSocketDirectory, socketDirectoryProblem } from "../../cache-daemon/socket-directory.ts"
import { checkSocketPath, defaultSocketPath, extraSocketPath, goSocketPath } from "../../cache-daemon/socket-path.ts"
import { temporaryFolder } from "./programs.ts"

const folder = temporaryFolder()
const isRoot = process.getuid?.() === 0
const isLinux = process.platform === "linux"

const made = (name: string, mode: number): string => {
  const path = join(folder, name)
  mkdirSync(path)
  chmodSync(path, mode)
  return path
}

describe("the path of the socket", () => {
  const home = isLinux ? "/home/me/.cache" : "/home/me/Library/Caches"

  test("is in the runtime directory of this user", () => {
    expect(defaultSocketPath({ HOME: "/home/me", XDG_RUNTIME_DIR: folder })).toBe(`${folder}/gitsign/agent.sock`)
  })

  test.each([
    ["is not set", undefined],
    ["is empty", ""],
    ["is relative", "run/user/1000"],
    ["is not there", "/run/user/no-such-user"],
    ["is a file", "/etc/passwd"],
  ])("is in the cache directory when XDG_RUNTIME_DIR %s", (_, runtime) => {
    const env = { HOME: "/home/me", XDG_RUNTIME_DIR: runtime }
    expect(defaultSocketPath(env)).toBe(`${home}/sigstore/gitsign/agent.sock`)
  })

  test.runIf(isRoot)("is in the cache directory when XDG_RUNTIME_DIR is another user's (runs as root only)", () => {
    const runtime = made("runtime", 0o700)
    chownSync(runtime, 65534, 65534)
    expect(defaultSocketPath({ HOME: "/home/me", XDG_RUNTIME_DIR: runtime })).toContain(home)
  })

  test.runIf(isLinux)("follows XDG_CACHE_HOME (Linux only)", () => {
    expect(defaultSocketPath({ HOME: "/home/me", XDG_CACHE_HOME: "/c" })).toBe("/c/sigstore/gitsign/agent.sock")
    expect(goSocketPath({ HOME: "/home/me", XDG_CACHE_HOME: "/c" })).toBe("/c/sigstore/gitsign/cache.sock")
    expect(goSocketPath({ HOME: "/home/me", XDG_CACHE_HOME: "c" })).toBe(`${home}/sigstore/gitsign/cache.sock`)
  })

  test("does not exist without a home", () => {
    expect(() => defaultSocketPath({})).toThrow(expect.objectContaining({ code: "ERR_AGENT_SOCKET" }))
  })

  test("has a restricted one beside it", () => {
    expect(extraSocketPath("/r/agent.sock")).toBe("/r/agent.extra.sock")
    expect(extraSocketPath("/r/agent")).toBe("/r/agent.extra")
  })

  test("is as long as the system allows, and no longer", () => {
    const longest = `/${"a".repeat(isLinux ? 106 : 102)}`
    expect(checkSocketPath(longest)).toBe(longest)
    for (const path of [`${longest}a`, `/${"ä".repeat(60)}`, "agent.sock", "/a\0b"]) {
      expect(() => checkSocketPath(path)).toThrow(expect.objectContaining({ code: "ERR_AGENT_SOCKET" }))
    }
  })
})

describe("the directory of the socket", () => {
  const refusal = (message: RegExp, hint: string) =>
    expect.objectContaining({
      code: "ERR_AGENT_SOCKET",
      message: expect.stringMatching(message),
      hint: expect.stringContaining(hint),
    })

  test("is made with mode 0700, and all above it", () => {
    const before = process.umask(0)
    try {
      prepareSocketDirectory(join(folder, "new/one/two"))
    } finally {
      expect(process.umask(before)).toBe(0)
    }
    for (const path of ["new", "new/one", "new/one/two"]) expect(statSync(join(folder, path)).mode).toBe(0o40700)
  })

  test.each([0o700, 0o500])("may have mode %o", (mode) => {
    const path = made(`closed-${mode}`, mode)
    prepareSocketDirectory(path)
    expect(statSync(path).mode & 0o777).toBe(mode)
  })

  test.each([0o755, 0o710, 0o701, 0o770, 0o720])("may not have mode %o, and the hint has the command", (mode) => {
    const path = made(`open-${mode}`, mode)
    const command = `chmod 0700 ${path}`
    expect(() => prepareSocketDirectory(path)).toThrow(refusal(new RegExp(`mode ${mode.toString(8)}`), command))
    expect(statSync(path).mode & 0o777).toBe(mode)
  })

  test("is named in the hint so that a shell understands it", () => {
    const path = made("it's open", 0o755)
    expect(() => prepareSocketDirectory(path)).toThrow(refusal(/open/, "it'\\''s open'"))
  })

  test("may not be a link, not even to a good one", () => {
    const path = join(folder, "link")
    symlinkSync(made("target", 0o700), path)
    expect(() => prepareSocketDirectory(path)).toThrow(refusal(/link/, "directory of your own"))
  })

  test.runIf(isRoot)("of the system is not to be closed (runs as root only)", () => {
    const path = made("system", 0o755)
    writeFileSync(join(path, "passwd"), "")
    expect(() => prepareSocketDirectory(path)).toThrow(refusal(/open/, "directory of your own"))
  })

  test("that cannot be made is told in words", () => {
    expect(() => prepareSocketDirectory("/proc/nothing/here")).toThrow(
      refusal(
        /^the directory for the agent's socket cannot be made or used: [a-z -]+: \/proc/,
        "directory of your own",
      ),
    )
    expect(socketDirectoryProblem(join(folder, "not/yet"))).toBeUndefined()
    expect(socketDirectoryProblem(made("open", 0o755))).toMatchObject({ code: "ERR_AGENT_SOCKET" })
    expect(socketDirectoryProblem(made("closed", 0o700))).toBeUndefined()
  })

  test("may not be one that is open on purpose", () => {
    const path = made("sticky", 0o1777)
    expect(() => prepareSocketDirectory(path)).toThrow(refusal(/open/, "directory of your own"))
  })

  test("may not be a file, or below one", () => {
    for (const path of ["/etc/passwd", "/etc/passwd/x"]) {
      expect(() => prepareSocketDirectory(path)).toThrow(refusal(/./, "directory of your own"))
    }
  })

  test.runIf(isRoot)("may not be another user's (runs as root only)", () => {
    const path = made("foreign", 0o700)
    chownSync(path, 65534, 65534)
    expect(() => prepareSocketDirectory(path)).toThrow(refusal(/another user/, "directory of your own"))
    expect(existsSync(join(path, "x"))).toBe(false)
  })
})
