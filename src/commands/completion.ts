/**
 * `gitsign completion`: scripts for bash, zsh and fish, made from the tree of commands.
 *
 * @module
 */

import { Argument, Command, type Option } from "commander"
import { withExamples } from "./help.ts"
import type { CommandIo } from "./io.ts"

/** The verb `completion`. */
export function completionCommand(io: CommandIo): Command {
  const command = new Command("completion")
    .description("print a completion script for a shell")
    .addArgument(new Argument("<shell>", "the shell").choices(["bash", "zsh", "fish"]))
    .action((shell: "bash" | "zsh" | "fish") => {
      io.stdout(SCRIPTS[shell](flatten(command.parent ?? command)))
    })
  return withExamples(command, [
    "source <(gitsign completion bash)",
    "gitsign completion zsh > ~/.zfunc/_gitsign",
    "gitsign completion fish > ~/.config/fish/completions/gitsign.fish",
  ])
}

/** One place of the tree: the words that lead there, and what can follow. */
interface Place {
  /** The verbs, such as `sandbox start`; empty for the program itself. */
  readonly path: string
  readonly next: readonly { readonly name: string; readonly about: string }[]
  readonly flags: readonly Flag[]
}

interface Flag {
  readonly name: string
  readonly about: string
  /** What may follow it: nothing, one of these, or anything (a file). */
  readonly value: "none" | "any" | readonly string[]
}

function flatten(command: Command, path: readonly string[] = []): Place[] {
  const subcommands = command.commands.map((one) => ({ name: one.name(), about: one.description() }))
  const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? [])
  const topics =
    command.name() === "help" ? [...(command.parent?.commands.map((one) => one.name()) ?? []), "config"] : []
  const here: Place = {
    path: path.join(" "),
    next: [...subcommands, ...[...choices, ...topics].map((name) => ({ name, about: "" }))],
    flags: [...command.options.filter((option) => !option.hidden).map(flagOf), HELP],
  }
  return [here, ...command.commands.flatMap((one) => flatten(one, [...path, one.name()]))]
}

const HELP: Flag = { name: "--help", about: "show this help", value: "none" }

const flagOf = (option: Option): Flag => ({
  name: option.long ?? option.short ?? "",
  about: option.description,
  value: option.argChoices ?? (option.required || option.optional ? "any" : "none"),
})

/** In single quotes; what is quoted are descriptions from this program. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

const words = (place: Place): string => [...place.next, ...place.flags].map(({ name }) => name).join(" ")

const bash = (places: readonly Place[]): string => `# bash completion for gitsign
_gitsign() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} place= word i
  # bash splits at "=": --flag = value are three words.
  if [[ $cur == "=" ]]; then cur=; elif [[ $prev == "=" ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "\${place:+$place }$word" in
${places
  .filter(({ path }) => path !== "")
  .map(({ path }) => `      ${quote(path)}) place=${quote(path)} ;;`)
  .join("\n")}
    esac
  done
  case "$place $prev" in
${places
  .flatMap((place) =>
    place.flags.map(({ name, value }) => {
      if (value === "none") return ""
      const reply = value === "any" ? "-f" : `-W ${quote(value.join(" "))}`
      return `    ${quote(`${place.path} ${name}`)}) COMPREPLY=($(compgen ${reply} -- "$cur")); return ;;\n`
    }),
  )
  .join("")}  esac
  case "$place" in
${places.map((place) => `    ${quote(place.path)}) COMPREPLY=($(compgen -W ${quote(words(place))} -- "$cur")) ;;`).join("\n")}
  esac
  if [[ $place == verify-tag && $cur != -* ]]; then COMPREPLY=($(compgen -W "$(git tag 2>/dev/null)" -- "$cur")); fi
}
complete -o default -F _gitsign gitsign
`

const zsh = (places: readonly Place[]): string => `#compdef gitsign
_gitsign() {
  local place= word
  local -a candidates
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${place:+$place }$word" in
${places
  .filter(({ path }) => path !== "")
  .map(({ path }) => `      ${quote(path)}) place=${quote(path)} ;;`)
  .join("\n")}
    esac
  done
  case "$place \${words[CURRENT-1]}" in
${places
  .flatMap((place) =>
    place.flags.map(({ name, value }) => {
      if (value === "none") return ""
      const reply = value === "any" ? "_files" : `compadd -- ${value.join(" ")}`
      return `    ${quote(`${place.path} ${name}`)}) ${reply}; return ;;\n`
    }),
  )
  .join("")}  esac
  case "$place" in
${places
  .map(
    (place) =>
      `    ${quote(place.path)}) candidates=(${[...place.next, ...place.flags]
        .map(({ name, about }) => quote(`${name}:${about}`))
        .join(" ")}) ;;`,
  )
  .join("\n")}
  esac
  _describe gitsign candidates
}
if [ "$funcstack[1]" = "_gitsign" ]; then _gitsign "$@"; else compdef _gitsign gitsign; fi
`

const fish = (places: readonly Place[]): string => {
  const lines = places.flatMap((place) => {
    const when = quote(`__gitsign_at ${place.path}`)
    return [
      ...place.next.map(({ name, about }) => `complete -c gitsign -f -n ${when} -a ${quote(name)} -d ${quote(about)}`),
      ...place.flags.map(({ name, about, value }) => {
        const takes = value === "none" ? "" : value === "any" ? " -r" : ` -x -a ${quote(value.join(" "))}`
        return `complete -c gitsign -n ${when} -l ${name.replace(/^--/, "")} -d ${quote(about)}${takes}`
      }),
    ]
  })
  return `# fish completion for gitsign
function __gitsign_at
    set -l path
    for word in (commandline -opc)[2..-1]
        if contains -- "$(string join -- ' ' $path $word)" ${places
          .filter(({ path }) => path !== "")
          .map(({ path }) => quote(path))
          .join(" ")}
            set path $path $word
        end
    end
    test "$(string join -- ' ' $path)" = "$(string join -- ' ' $argv)"
end
${lines.join("\n")}
`
}

const SCRIPTS = { bash, zsh, fish }
