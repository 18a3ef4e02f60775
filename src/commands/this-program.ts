/**
 * The program that runs now, as a command to start it again.
 *
 * @module
 */

/** What stands for the script of a compiled program is a name inside it. */
const INSIDE = /^(\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/

/** The standalone executable is its own command; elsewhere the runtime needs its flags and the script. */
export function thisProgram(): { readonly command: string; readonly args: readonly string[] } {
  const script = process.argv[1]
  const args = script === undefined || INSIDE.test(script) ? [] : [...process.execArgv, script]
  return { command: process.execPath, args }
}
