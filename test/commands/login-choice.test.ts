/**
 * Which way a person logs in, by what the surroundings are.
 *
 * @module
 */

import { expect, test } from "vitest"
import { type LoginSurroundings, loginWay } from "../../src/commands/login-choice.ts"

const SSH = { SSH_CONNECTION: "10.0.0.1 1 10.0.0.2 22" }
const X11 = { DISPLAY: ":0" }

test.each<[string, Partial<LoginSurroundings>, string]>([
  ["nothing at all", {}, "nobody"],
  ["a terminal", { hasTerminal: true }, "device"],
  ["a terminal on a desktop", { hasTerminal: true, env: X11 }, "browser"],
  ["a desktop without a terminal, as editors have it", { env: { WAYLAND_DISPLAY: "wayland-0" } }, "browser"],
  ["a desktop in CI", { env: { ...X11, CI: "true" } }, "nobody"],
  ["a desktop that says that it is no CI", { env: { ...X11, CI: "false" } }, "browser"],
  ["a Mac without a terminal", { platform: "darwin" }, "browser"],
  ["a Mac over SSH", { platform: "darwin", env: SSH, hasTerminal: true }, "device"],
  ["Windows behind WSL", { env: { WSL_DISTRO_NAME: "Debian" }, hasTerminal: true }, "browser"],
  ["SSH with a forwarded display", { env: { ...SSH, ...X11 }, hasTerminal: true }, "device"],
  ["SSH without a terminal", { env: { ...SSH, ...X11 } }, "nobody"],
  ["SSH_TTY alone", { env: { SSH_TTY: "/dev/pts/1", ...X11 }, hasTerminal: true }, "device"],
  ["an opener, wherever", { env: SSH, hasOpener: true }, "browser"],
  ["interactive on a desktop", { wanted: "interactive", env: X11, hasTerminal: true }, "browser"],
  ["interactive without a display", { wanted: "interactive", hasTerminal: true }, "paste"],
  ["interactive without anybody", { wanted: "interactive" }, "nobody"],
  ["device on a desktop", { wanted: "device", env: X11, hasTerminal: true, hasOpener: true }, "device"],
  ["device without a terminal", { wanted: "device", env: X11 }, "nobody"],
])("%s", (_, surroundings, expected) => {
  const nothing: LoginSurroundings = {
    env: {},
    platform: "linux",
    wanted: "auto",
    hasTerminal: false,
    hasOpener: false,
  }
  expect(loginWay({ ...nothing, ...surroundings })).toBe(expected)
})
