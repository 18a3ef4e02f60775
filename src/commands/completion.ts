/**
 * `gitsign completion`: scripts for bash, zsh and fish, made from the tree of commands.
 *
 * @module
 */

import { Argument, Command, type Option } from "commander"
import { SCRIPTS } from "./completion-scripts.ts"
import { withExamples } from "./help.ts"
import type { CommandIo } from "./io.ts"

/** The verb `completion`. */
export function completionCommand(io: CommandIo): Command {
  const command = new Command("completion")
    .description("print a completion script for a shell")
    .addArgument(new Argument("<shell>", "the shell").choices(["bash", "zsh", "fish"]))
    .action((shell: "bash" | "zsh" | "fish") => {
      io.stdout(SCRIPTS[shell](placesOf(command.parent ?? command)))
    })
  return withExamples(command, [
    "source <(gitsign completion bash)",
    "gitsign completion zsh > ~/.zfunc/_gitsign",
    "gitsign completion fish > ~/.config/fish/completions/gitsign.fish",
  ])
}

/** What a word can be: nothing, a file, a revision or range, a tag, a policy (a revision or a file), any text, or one of these. */
export type Kind = "none" | "file" | "revision" | "tag" | "policy" | "text" | readonly string[]

/** One place of the tree: the words that lead there, and what can follow. */
export interface Place {
  /** The verbs, such as `sandbox start`; empty for the program itself. */
  readonly path: string
  readonly next: readonly { readonly name: string; readonly about: string }[]
  readonly flags: readonly Flag[]
  /** What can follow besides. */
  readonly argument: Kind
}

/** A flag, and what may follow it. */
export interface Flag {
  readonly name: string
  readonly about: string
  readonly value: Kind
}

function placesOf(command: Command, path: readonly string[] = []): Place[] {
  const [argument] = command.registeredArguments
  const here: Place = {
    path: path.join(" "),
    next: [...verbsOf(command), ...(argument?.argChoices ?? []).map((name) => ({ name, about: "" }))],
    flags: [...command.options.filter((option) => !option.hidden).map(flagOf), HELP],
    argument: argument?.argChoices === undefined ? kindOf(argument?.name()) : "none",
  }
  if (command.name() === "help") return topicsOf(command, here)
  return [here, ...command.commands.flatMap((one) => placesOf(one, [...path, one.name()]))]
}

/** `help` is followed by the verbs beside it, and each of these by its own. */
function topicsOf({ parent }: Command, here: Place): Place[] {
  const topics = (command: Command, path: string): Place[] => [
    { path, next: verbsOf(command), flags: [], argument: "none" },
    ...command.commands.flatMap((one) => topics(one, `${path} ${one.name()}`)),
  ]
  if (parent === null) return [here]
  const settings = parent.parent === null ? [{ name: "config", about: "the settings" }] : []
  const [, ...deeper] = topics(parent, here.path)
  return [
    { ...here, next: [...verbsOf(parent), ...settings], argument: "none" },
    ...deeper,
    ...settings.map(({ name }) => ({ path: `${here.path} ${name}`, next: [], flags: [], argument: "none" as const })),
  ]
}

const verbsOf = (command: Command): Place["next"] =>
  command.commands.map((one) => ({ name: one.name(), about: one.description() }))

const HELP: Flag = { name: "--help", about: "show this help", value: "none" }

const flagOf = (option: Option): Flag => ({
  name: option.long ?? option.short ?? "",
  about: option.description,
  value: option.argChoices ?? (option.required || option.optional ? kindOf(valueNameOf(option)) : "none"),
})

const valueNameOf = ({ flags }: Option): string => /[<[]([^\].>]+)/.exec(flags)?.[1] ?? ""

/** What the name of an argument or value, as help shows it, says of its kind. */
function kindOf(name: string | undefined): Kind {
  if (name === undefined) return "none"
  if (/^(revisions?|commit|ref|range)$/.test(name)) return "revision"
  if (/^(file|path|directory)$/.test(name)) return "file"
  if (/^(policy|before|after)$/.test(name)) return "policy"
  return name === "tag" ? "tag" : "text"
}
