/**
 * `gitsign help`: of the program, of one verb, and of the settings.
 *
 * @module
 */

import { Argument, Command, Option } from "commander"
import { configHelp, configTable } from "../config.ts"
import { GitsignError } from "../errors.ts"
import { wrapWords } from "../formats/wrap.ts"
import { examplesText, helpWidth } from "./help-layout.ts"
import type { CommandIo } from "./io.ts"

/** Adds the examples that every verb's help ends with. */
export const withExamples = (command: Command, examples: readonly string[]): Command =>
  command.addHelpText("after", () => examplesText(examples, helpWidth()))

/** The verb `help`. */
export function helpCommand(io: CommandIo): Command {
  const command = new Command("help")
    .description("show the help of a command, or of the settings (config)")
    .addArgument(new Argument("[topic...]", "a command, or config"))
    .addOption(new Option("--markdown", "print the table of settings in Markdown").hideHelp())
    .action((topic: string[], options: { markdown?: boolean }) => {
      if (topic[0] === "config" && topic.length === 1) {
        const fill = (words: readonly string[], indent: number): string => wrapWords(words, helpWidth(), indent)
        return io.stdout(options.markdown ? configTable() : configHelp(fill))
      }
      showHelp(command.parent ?? command, topic)
    })
  return withExamples(command, ["gitsign help verify", "gitsign help config"])
}

/** The verb `help` of a verb with others behind it; commander's own shows the help of the whole for what it does not know. */
export function helpVerb(example: string): Command {
  const command = new Command("help")
    .description("show the help of a verb")
    .argument("[verb]")
    .action((verb: string | undefined) => showHelp(command.parent ?? command, verb === undefined ? [] : [verb]))
  return withExamples(command, [example])
}

/**
 * Shows the help of the command that `names` lead to from `root`.
 *
 * @throws ERR_USAGE when there is none
 */
export function showHelp(root: Command, names: readonly string[]): void {
  let command = root
  for (const name of names) {
    const next = command.commands.find((one) => one.name() === name)
    if (next === undefined) {
      const under = root.parent === null ? "" : ` ${root.name()}`
      throw new GitsignError("ERR_USAGE", `there is no help on ${names.join(" ")}`, {
        hint: `see: gitsign${under} help`,
      })
    }
    command = next
  }
  command.outputHelp()
}
