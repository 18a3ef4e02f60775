/**
 * What the hooks of others do, as far as their text tells: whether one runs a folder of further hooks, and whether it goes by its name.
 *
 * @module
 */

import { lstatSync } from "node:fs"
import { GitsignError } from "../errors.ts"
import type { HookName } from "./hook-script.ts"

/** `dirname "$0"`, also of where a link leads. */
const FOLDER_OF_ITSELF =
  /(?:\$\(|`)\s*dirname\s+(?:--\s+)?["']?(?:\$\(\s*(?:readlink|realpath)(?:\s+-\S+)*\s+["']?)?\$(?:0|\{0\}|\{?BASH_SOURCE(?:\[0\])?\}?)["']?(?:\s*\)["']?)?\s*(?:\)|`)|\$\{0%\/\*\}/g
const NAME_OF_ITSELF =
  /(?:\$\(|`)\s*basename\s+(?:--\s+)?["']?\$(?:0|\{0\}|\{?BASH_SOURCE(?:\[0\])?\}?)["']?\s*(?:\)|`)|\$\{0##\*\/\}/g
const ITSELF = /\$(?:0\b|\{0\})/g

/** What stands for these here; no script has it. */
const [FOLDER, NAME, GIT_DIR] = ["\u0001", "\u0002", "\u0003"] as const

/**
 * The directory of hooks that a hook runs by itself, as Gitea's does; undefined when it does not, or not as far as can be seen: what is
 * put where nothing runs it lets everything in. So only what surely is this hook's `NAME.d` counts, and all that is in it.
 *
 * @param path the hook's
 */
export function folderRunBy(path: string, name: HookName, text: string): string | undefined {
  const folder = `${path}.d`
  if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined
  // What is behind a # may be a word of the script, and then one less is read of it.
  const words = wordsOf(withoutComments(text).replace(/[ \t;]#.*$/gm, ""))
  const own = [FOLDER, `${GIT_DIR}/hooks`, "hooks", "./hooks", ".git/hooks"].flatMap((place) => [
    `${place}/${NAME}.d`,
    `${place}/${name}.d`,
  ])
  const runs = [folder, ...own].some(
    (place) => words.some((line) => goesThrough(line, place)) || words.some((line) => runsParts(line, place)),
  )
  return runs ? folder : undefined
}

/** `for hook in NAME.d/*`. */
const goesThrough = ([command, , separator, ...list]: readonly string[], place: string): boolean =>
  command === "for" && separator === "in" && list.includes(`${place}/*`)

/** run-parts(8) without a choice among the files. */
const runsParts = (line: readonly string[], place: string): boolean =>
  /(^|\/)run-parts$/.test(line[0] ?? "") &&
  !line.some((word) => /^--(regex|list|test)/.test(word)) &&
  line.some((word) => word === place || word === `${place}/`)

/** The longest value of a variable that can be a path. */
const MAX_VALUE = 1000

/** What follows each word on its line, itself first, with what a script calls itself and its variables for that put in. */
function wordsOf(script: string): string[][] {
  const values = new Map<string, string>()
  const text = script
    .replace(FOLDER_OF_ITSELF, FOLDER)
    .replace(NAME_OF_ITSELF, NAME)
    .replace(ITSELF, `${FOLDER}/${NAME}`)
    .replace(/\$(?:GIT_DIR\b|\{GIT_DIR(?::-[^{}]*)?\})/g, GIT_DIR)
    .replace(/["']/g, "")
  return text.split("\n").flatMap((line) => {
    const known = line.replace(
      /\$(?:\{(\w+)\}|(\w+))/g,
      (all: string, braced?: string, plain?: string) => values.get(braced ?? plain ?? "") ?? all,
    )
    const [, variable, value = ""] = /^\s*(?:(?:local|export|readonly)\s+)?(\w+)=(.*)$/.exec(known) ?? []
    if (variable !== undefined) {
      if (/^\S*$/.test(value.trim()) && value.length <= MAX_VALUE) values.set(variable, value.trim())
      else values.delete(variable)
    }
    const words = known.split(/[\s;()]+/).filter((word) => word !== "")
    return words.map((_, index) => words.slice(index))
  })
}

const withoutComments = (text: string): string => text.replace(/^[ \t]*#.*$/gm, "")

/**
 * Refuses to rename a hook that goes by its own name: it would do something else than before, or nothing.
 *
 * @throws ERR_HOOK
 */
export function refuseWhatAsksItsName(path: string, name: HookName, text: string): void {
  if (!asksItsName(text)) return
  throw new GitsignError("ERR_HOOK", `${path} depends on its own name, so that it cannot be renamed and kept`, {
    hint: `have it run by itself, with what it gets on stdin: gitsign hook ${name} -- "$@"`,
  })
}

/** Only of a script this can be told; the text of a compiled program may hold any of these words. */
function asksItsName(bytes: string): boolean {
  const end = bytes.indexOf("\0")
  if (end >= 0 && !bytes.startsWith("#!")) return false
  const text = end < 0 ? bytes : bytes.slice(0, end)
  if (/husky\.sh|PROGRAM_NAME|argv\[0\]|__file__|__filename/i.test(text)) return true
  if (/^#!.*\b(node|bun|deno)\b/.test(text) && /argv\[1\]|argv\.at\(1\)/.test(text)) return true
  const rest = withoutComments(text)
    .replace(FOLDER_OF_ITSELF, "")
    .replace(AWK, "")
    // A message in which it names itself.
    .replace(/(?<![(`]\s*)\b(?:echo|printf)\b(?:[^|;&\n`]|[<>]&)*(?=;|\n|&&|\|\||$)/g, "")
  return /\$0\b|\$\{0\b|BASH_SOURCE/.test(rest)
}

/** There `$0` is the line. */
const AWK = /\b[gmn]?awk\b[^'"\n]*'[^']*'/g
