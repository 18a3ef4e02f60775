/**
 * The completion scripts themselves, for bash, zsh and fish.
 *
 * A repository chooses the names of its branches and tags: no shell may take one for something to be run.
 *
 * @module
 */

import type { Flag, Kind, Place } from "./completion.ts"

/** In single quotes; what is quoted are descriptions from this program. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

const names = (list: readonly { readonly name: string }[]): string => list.map(({ name }) => name).join(" ")

const lines = <T>(list: readonly T[], line: (one: T) => string): string => list.map(line).join("\n")

const isVerb = ({ path }: Place): boolean => path !== ""

/** Every flag that has a value, with the verbs before it. */
const valuesIn = (places: readonly Place[]): (Flag & { readonly path: string })[] =>
  places.flatMap(({ path, flags }) => flags.filter(({ value }) => value !== "none").map((one) => ({ ...one, path })))

/** A kind in bash and zsh: its name, or the words to choose from. */
const word = (kind: Kind): string => quote(typeof kind === "string" ? kind : kind.join(" "))

const bash = (places: readonly Place[]): string => `# bash completion for gitsign
_gitsign() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} place= word i
  # bash splits at "=": --flag = value are three words.
  if [[ $cur == "=" ]]; then cur=; elif [[ $prev == "=" ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "\${place:+$place }$word" in
${lines(places.filter(isVerb), ({ path }) => `      ${quote(path)}) place=${quote(path)} ;;`)}
    esac
  done
  case "$place $prev" in
${lines(valuesIn(places), ({ path, name, value }) => `    ${quote(`${path} ${name}`)}) _gitsign_value ${word(value)} "$cur"; return ;;`)}
  esac
  local argument=none next= flags=
  case "$place" in
${lines(places, (one) => `    ${quote(one.path)}) argument=${word(one.argument)} next=${quote(names(one.next))} flags=${quote(names(one.flags))} ;;`)}
  esac
  if [[ $cur == -* ]]; then _gitsign_value "$flags" "$cur"
  elif [[ -n $next ]]; then _gitsign_value "$next" "$cur"
  else _gitsign_value "$argument" "$cur"; fi
}
_gitsign_value() {
  [[ $1 == file || $1 == policy ]] || compopt +o default 2>/dev/null
  case $1 in
    none | text) ;;
    file) _gitsign_files "$2" ;;
    revision | policy) _gitsign_refs "$2" HEAD ;;
    tag) _gitsign_refs "$2" "" refs/tags ;;
    *) COMPREPLY=($(compgen -W "$1" -- "$2")) ;;
  esac
}
_gitsign_files() {
  local file
  compopt -o filenames 2>/dev/null
  while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$1")
}
_gitsign_refs() {
  local typed=$1 ref before= quoted
  # The other end of a range, and what is left out.
  case $typed in *..*) before=\${typed%"\${typed##*..}"} ;; ^*) before=^ ;; esac
  # Not compgen -W, which would run what is in the name of a branch.
  while IFS= read -r ref; do
    [[ -n $ref && $before$ref == "$typed"* ]] || continue
    printf -v quoted %q "$ref"
    COMPREPLY+=("$before$quoted")
  done < <(echo "$2"; git for-each-ref --format='%(refname:short)' "\${@:3}" 2>/dev/null)
}
complete -o default -F _gitsign gitsign
`

const zsh = (places: readonly Place[]): string => `#compdef gitsign
_gitsign() {
  local place= word
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${place:+$place }$word" in
${lines(places.filter(isVerb), ({ path }) => `      ${quote(path)}) place=${quote(path)} ;;`)}
    esac
  done
  case "$place \${words[CURRENT-1]}" in
${lines(valuesIn(places), ({ path, name, value }) => `    ${quote(`${path} ${name}`)}) _gitsign_value ${word(value)}; return ;;`)}
  esac
  local argument=none
  local -a next flags
  case "$place" in
${lines(
  places,
  (one) =>
    `    ${quote(one.path)}) argument=${word(one.argument)} next=(${described(one.next)}) flags=(${described(one.flags)}) ;;`,
)}
  esac
  if [[ $PREFIX == -* ]]; then _describe gitsign flags
  elif (( $#next )); then _describe gitsign next
  else _gitsign_value $argument; fi
}
_gitsign_value() {
  case $1 in
    none | text) _message 'nothing to choose from' ;;
    file) _files ;;
    policy) _gitsign_refs HEAD; _files ;;
    revision) _gitsign_refs HEAD ;;
    tag) _gitsign_refs "" refs/tags ;;
    *) compadd -- \${=1} ;;
  esac
}
_gitsign_refs() {
  local -a refs
  refs=($1 \${(f)"$(git for-each-ref --format='%(refname:short)' \${@:2} 2>/dev/null)"})
  # The other end of a range, and what is left out.
  compset -P '*..' || compset -P '\\^'
  compadd -a refs
}
if [ "$funcstack[1]" = "_gitsign" ]; then _gitsign "$@"; else compdef _gitsign gitsign; fi
`

/** `name:what it is`, as zsh takes candidates. */
const described = (list: readonly { readonly name: string; readonly about: string }[]): string =>
  list.map(({ name, about }) => quote(`${name}:${about}`)).join(" ")

/** What follows `complete` in fish for a value or argument of that kind; files are its own default. */
function fishValue(kind: Kind): string {
  if (typeof kind !== "string") return ` -x -a ${quote(kind.join(" "))}`
  if (kind === "revision") return " -x -a '(__gitsign_refs HEAD)'"
  if (kind === "tag") return " -x -a '(__gitsign_refs \"\" refs/tags)'"
  if (kind === "policy") return " -r -a '(__gitsign_refs HEAD)'"
  return kind === "file" ? " -r" : kind === "text" ? " -x" : ""
}

function fishPlace({ path, next, flags, argument }: Place): string[] {
  const when = quote(`__gitsign_at ${path}`)
  const follows =
    argument === "file" ? [] : [`complete -c gitsign -n ${when}${fishValue(argument === "none" ? "text" : argument)}`]
  return [
    // Of an argument there is no -r and no -x: only whether files are offered too.
    ...follows.map((line) => line.replace(/ -x( |$)/, " -f$1").replace(" -r ", " ")),
    ...next.map(({ name, about }) => `complete -c gitsign -f -n ${when} -a ${quote(name)} -d ${quote(about)}`),
    ...flags.map(
      ({ name, about, value }) =>
        `complete -c gitsign -n ${when} -l ${name.replace(/^--/, "")} -d ${quote(about)}${fishValue(value)}`,
    ),
  ]
}

const fish = (places: readonly Place[]): string => `# fish completion for gitsign
function __gitsign_at
    set -l path
    set -l words (commandline -opc)
    for word in $words[2..]
        if contains -- "$(string join -- ' ' $path $word)" ${places
          .filter(isVerb)
          .map(({ path }) => quote(path))
          .join(" ")}
            set path $path $word
        end
    end
    test "$(string join -- ' ' $path)" = "$(string join -- ' ' $argv)"
end
function __gitsign_refs
    # The other end of a range, and what is left out.
    set -l before (string match -r '^.*\\.\\.|^\\^' -- (commandline -ct))
    for ref in $argv[1] (git for-each-ref --format='%(refname:short)' $argv[2..] 2>/dev/null)
        test -n "$ref"; and echo "$before$ref"
    end
end
${lines(places.flatMap(fishPlace), (line) => line)}
`

/** The script of each shell, for the tree of commands. */
export const SCRIPTS = { bash, zsh, fish }
