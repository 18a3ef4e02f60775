/**
 * The text of the hooks that `gitsign hook install` writes: POSIX sh.
 *
 * @module
 */

/** The hooks, and on which side they run. */
export const HOOKS = {
  "pre-receive": { side: "server", readsStdin: true },
  update: { side: "server", readsStdin: false },
  "pre-push": { side: "client", readsStdin: true },
  "post-merge": { side: "client", readsStdin: false },
} as const

/** The name of a hook that gitsign has. */
export type HookName = keyof typeof HOOKS

/** A file that holds this line was written by this program, and only such a file is ever changed or removed. */
const MARKER = "# Written by gitsign hook install; gitsign hook uninstall takes it away again."

/** Where a hook that was there before is kept, and run from. */
export const BEFORE_SUFFIX = ".before-gitsign"

/** What a hook's text is made of. */
export interface HookScript {
  readonly name: HookName
  /** The words of the program: absolute paths of files, and flags of the runtime between them. */
  readonly program: readonly string[]
  /** Whether a hook that was there before runs after this one. */
  readonly chained: boolean
  readonly warnOnly: boolean
}

/** Whether a hook's text is one of {@link hookScript}. */
export const isHookScript = (text: string): boolean => text.split("\n", 3).includes(MARKER)

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/** A whole hook. */
export function hookScript({ name, program, chained, warnOnly }: HookScript): string {
  const call = `run hook ${name}${warnOnly ? " --warn-only" : ""} -- "$@"`
  const isThere = program.filter((word) => word.startsWith("/")).map((path) => `[ -e ${quote(path)} ]`)
  return `#!/bin/sh
${MARKER}

run() {
  if ${isThere.join(" && ")}; then
    ${program.map(quote).join(" ")} "$@"
  elif command -v gitsign >/dev/null 2>&1; then
    gitsign "$@"
  else
    echo 'gitsign: error: this hook finds no gitsign where it was, and none on PATH [ERR_HOOK]' >&2
    echo 'gitsign: hint: install it again, then run: gitsign hook install' >&2
    return 2
  fi
}

${chained ? chainOf(name, call) : `${call}\n`}`
}

/** What gitsign refuses the other hook does not get to see: it may do something about what comes in. */
function chainOf(name: HookName, call: string): string {
  const { side, readsStdin } = HOOKS[name]
  const before = `before="\${0%/*}/${name}${BEFORE_SUFFIX}"\n`
  const status = name === "post-merge" ? "" : " || exit"
  if (!readsStdin) return `${before}${call}${status}\n[ -x "$before" ] || exit 0\nexec "$before" "$@"\n`
  const guard = `# Another manager of hooks may run this one from the hook that it keeps.
case "$GITSIGN_HOOK_RUNS" in "${name} $*") exit 0 ;; esac
GITSIGN_HOOK_RUNS="${name} $*"
export GITSIGN_HOOK_RUNS

`
  return `${side === "client" ? guard : ""}${before}# Both get what git says; the dot keeps its last line feed. Half of it could be nothing, which would be let in.
input=$(cat && echo .) || {
  echo 'gitsign: error: this hook could not read what git says [ERR_HOOK]' >&2
  echo 'gitsign: hint: push again; if it stays, tell whoever runs the repository' >&2
  exit 3
}
input=\${input%.}
printf %s "$input" 2>/dev/null | ${call}${status}
[ -x "$before" ] || exit 0
printf %s "$input" 2>/dev/null | "$before" "$@"
`
}

const BEGIN = "# gitsign hook install: begin"
const END = "# gitsign hook install: end"

/** The lines for a hook that is a file of the repository, as husky's are: others have gitsign elsewhere, or not at all. */
function blockOf(name: HookName, warnOnly: boolean): string {
  const call = `gitsign hook ${name}${warnOnly ? " --warn-only" : ""} -- "$@"`
  if (!HOOKS[name].readsStdin) {
    return `${BEGIN}\nif command -v gitsign >/dev/null 2>&1; then ${call}; fi\n${END}\n`
  }
  return `${BEGIN}
gitsign_input=$(cat) || exit
if [ -z "$gitsign_input" ]; then
  exec </dev/null
else
  if command -v gitsign >/dev/null 2>&1; then
    printf '%s\\n' "$gitsign_input" | ${call} || exit
  else
    echo 'gitsign: it is not installed here, so that nothing was verified before this push' >&2
  fi
  exec <<gitsign_end
$gitsign_input
gitsign_end
fi
${END}
`
}

/** Puts the lines of gitsign into a hook, or brings them up to date. */
export function withBlock(text: string, name: HookName, warnOnly: boolean): string {
  const lines = withoutBlock(text).split("\n")
  // husky.sh, of husky 5 to 8, starts the hook once more: what is before it would run twice.
  const husky = lines.findLastIndex((line) => /^\s*\..*husky\.sh/.test(line))
  const at = Math.max(husky, lines[0]?.startsWith("#!") ? 0 : -1) + 1
  const block = blockOf(name, warnOnly)
  // Behind a last line without a line feed neither gets one.
  if (at === lines.length) return `${lines.join("\n")}\n${block.slice(0, -1)}`
  const head = lines.slice(0, at).map((line) => `${line}\n`)
  return `${head.join("")}${block}${lines.slice(at).join("\n")}`
}

/** The hook as it was without the lines of gitsign. */
export function withoutBlock(text: string): string {
  const begin = text.indexOf(`${BEGIN}\n`)
  if (begin < 0) return text
  const end = text.indexOf(`${END}\n`, begin)
  if (end >= 0) return text.slice(0, begin) + text.slice(end + END.length + 1)
  return text.endsWith(`\n${END}`) ? text.slice(0, begin - 1) : text
}

/** Whether there are lines of gitsign in a hook. */
export const hasBlock = (text: string): boolean => withoutBlock(text) !== text
