/**
 * Which way a person logs in here: what can be told from the surroundings, before anything is opened or asked.
 *
 * @module
 */

/** What the choice depends on. */
export interface LoginSurroundings {
  readonly env: NodeJS.ProcessEnv
  readonly platform: NodeJS.Platform
  /** What gitsign.tokenProvider asks for; `auto` where it asks for nothing. */
  readonly wanted: "auto" | "interactive" | "device"
  /** Whether somebody reads the terminal. */
  readonly hasTerminal: boolean
  /** Whether gitsign.urlOpener is set. */
  readonly hasOpener: boolean
}

/** `browser` opens one here, `device` shows a code for a browser anywhere, `paste` shows an address and takes what it led to. */
export type LoginWay = "browser" | "device" | "paste" | "nobody"

/**
 * The way to log in; `nobody` where no person could answer.
 *
 * A browser that a remote shell would open, or one on a machine without a display, is one that nobody sees.
 */
export function loginWay({ env, platform, wanted, hasTerminal, hasOpener }: LoginSurroundings): LoginWay {
  if (wanted === "device") return hasTerminal ? "device" : "nobody"
  if (hasOpener) return "browser"
  if (hasDisplay(env, platform) && !isRemote(env) && (hasTerminal || !isCi(env))) return "browser"
  if (!hasTerminal) return "nobody"
  return wanted === "interactive" ? "paste" : "device"
}

/** Whether this is a job of a CI system, as they all say it; people set the variable to false. */
const isCi = ({ CI }: NodeJS.ProcessEnv): boolean => Boolean(CI) && !/^(0|false|no|off)$/i.test(CI ?? "")

/** Whether this is a session over SSH: its display, if it has one, is far away. */
const isRemote = (env: NodeJS.ProcessEnv): boolean => Boolean(env.SSH_CONNECTION || env.SSH_TTY)

/** Whether a window could be opened: always on macOS and Windows, under WSL by Windows, else with X11 or Wayland. */
const hasDisplay = (env: NodeJS.ProcessEnv, platform: NodeJS.Platform): boolean =>
  platform === "darwin" ||
  platform === "win32" ||
  Boolean(env.DISPLAY || env.WAYLAND_DISPLAY || env.WSL_DISTRO_NAME || env.WSL_INTEROP)
