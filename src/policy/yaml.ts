/**
 * A strict reading of YAML 1.2 (https://yaml.org/spec/1.2.2, core schema) for policies: what a reader of the file could miss is refused, and
 * every value knows its line.
 *
 * @module
 */

import { Composer, CST, isMap, isScalar, isSeq, Lexer, LineCounter, type ParsedNode, Parser, type YAMLMap } from "yaml"
import { GitsignError, messageOf } from "../errors.ts"

/** How large a policy, or a file that belongs to it, may be, in bytes. */
const MAX_POLICY_BYTES = 1 << 20
const MAX_NODES = 10_000
const MAX_DEPTH = 40
const MAX_LINES = 100_000
const MAX_SCALAR = 1 << 16
/** Beyond this many marks of YAML a text has too many nodes whatever they are. */
const MAX_LEXEMES = 8 * MAX_NODES

/** Text that is not what it looks like in a review (Trojan Source, CVE-2021-42574): invisible and bidirectional characters, controls. */
const DECEPTIVE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/u

/** A value in the file. Map keys are in the order of the file. */
export type YamlValue =
  | { readonly kind: "text"; readonly line: number; readonly text: string }
  | { readonly kind: "number"; readonly line: number; readonly number: number }
  | { readonly kind: "boolean"; readonly line: number; readonly boolean: boolean }
  | { readonly kind: "nothing"; readonly line: number }
  | { readonly kind: "list"; readonly line: number; readonly items: readonly YamlValue[] }
  | { readonly kind: "map"; readonly line: number; readonly members: ReadonlyMap<string, YamlMember> }

/** One member of a map. */
export interface YamlMember {
  /** Line of its name, counted from 1. */
  readonly line: number
  readonly value: YamlValue
}

/** An error at a line of a policy. */
export const policyError = (source: string, line: number, message: string, cause?: unknown): GitsignError =>
  new GitsignError("ERR_POLICY", `${source} line ${line}: ${message}`, cause === undefined ? {} : { cause })

/** The same for what is too large. */
export const limitError = (source: string, line: number, message: string): GitsignError =>
  new GitsignError("ERR_POLICY_LIMIT", `${source} line ${line}: ${message}`)

/**
 * Decodes a file that belongs to a policy.
 *
 * @throws ERR_POLICY_LIMIT when it is longer than {@link MAX_POLICY_BYTES}; ERR_POLICY when it is not UTF-8
 */
export function policyText(bytes: Uint8Array, source: string): string {
  if (bytes.length > MAX_POLICY_BYTES) {
    const message = `${source} has ${bytes.length} bytes, and a policy may have ${MAX_POLICY_BYTES}`
    throw new GitsignError("ERR_POLICY_LIMIT", message)
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new GitsignError("ERR_POLICY", `${source} is not UTF-8`, { cause })
  }
}

/**
 * Reads one YAML document: maps with text keys, lists and scalars, nothing that refers to something else.
 *
 * @throws ERR_POLICY, with the line, for what is not YAML, for anchors, aliases, tags, directives, several documents, keys that are there
 *   twice and characters that cannot be seen; ERR_POLICY_LIMIT for what is too long, too deep or has too many nodes
 */
export function readYaml(bytes: Uint8Array, source: string): YamlValue {
  const text = policyText(bytes, source)
  const written = text.split(/\r?\n/)
  if (written.length > MAX_LINES) throw limitError(source, MAX_LINES, "is the last line that a policy may have")
  for (const [index, line] of written.entries()) {
    const character = DECEPTIVE.exec(line.replaceAll("\t", ""))?.[0]
    if (character === undefined) continue
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")
    throw policyError(
      source,
      index + 1,
      `has the character U+${code}, which cannot be seen; write it as an escape in "…"`,
    )
  }
  const lines = new LineCounter()
  const tokens = parseTokens(text, source, lines)
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line)
  // uniqueKeys compares each key with every other one; toValue() does it with a Map
  const composer = new Composer({ version: "1.2", schema: "core", strict: true, uniqueKeys: false, merge: false })
  let root: ParsedNode | null = null
  let seen = false
  try {
    for (const document of composer.compose(tokens, true, text.length)) {
      const problem = document.errors[0] ?? document.warnings[0]
      if (problem !== undefined)
        throw policyError(source, lineAt(problem.pos[0]), yamlProblem(problem.message), problem)
      if (seen) throw policyError(source, lineAt(document.range[0]), "begins a second YAML document; a policy is one")
      seen = true
      root = document.contents
    }
  } catch (error) {
    if (error instanceof GitsignError) throw error
    // the composer recurses, and is not ours: what it cannot cope with is no policy
    throw new GitsignError("ERR_POLICY", `${source} cannot be read as YAML: ${firstLine(messageOf(error))}`, {
      cause: error,
    })
  }
  if (root === null) throw policyError(source, 1, "is empty")
  return toValue(root, source, lineAt, { nodes: 0 })
}

/** The library ends its messages with an excerpt of the text. */
const firstLine = (message: string): string => message.split("\n")[0] ?? ""

const yamlProblem = (message: string): string => {
  const sentence = firstLine(message).replace(/ at line \d+, column \d+:?$/, "")
  return `is not YAML: ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`
}

function parseTokens(text: string, source: string, lines: LineCounter): CST.Token[] {
  const parser = new Parser(lines.addNewLine)
  lines.addNewLine(0)
  const tokens: CST.Token[] = []
  let lexemes = 0
  for (const lexeme of new Lexer().lex(text)) {
    const line = (): number => lines.linePos(parser.offset).line
    switch (CST.tokenType(lexeme)) {
      case "space":
      case "newline":
      case "comment":
        break
      case "anchor":
        throw policyError(source, line(), `has an anchor, ${lexeme}; write the value out where it is used`)
      case "alias":
        throw policyError(
          source,
          line(),
          `has an alias, ${lexeme}; write the value out (quote a text that begins with *)`,
        )
      case "tag":
        throw policyError(source, line(), `has a YAML tag, ${lexeme}; leave it out (quote a text that begins with !)`)
      case "directive-line":
        throw policyError(source, line(), `has a YAML directive, ${lexeme}; leave it out`)
      default:
        if (lexeme.length > MAX_SCALAR)
          throw limitError(source, line(), `has a text of more than ${MAX_SCALAR} characters`)
        lexemes++
    }
    if (lexemes > MAX_LEXEMES) throw limitError(source, line(), `is beyond ${MAX_NODES} values`)
    for (const token of parser.next(lexeme)) tokens.push(token)
    if (parser.stack.length > MAX_DEPTH) throw limitError(source, line(), "is nested too deeply")
  }
  for (const token of parser.end()) tokens.push(token)
  return tokens
}

function toValue(
  node: ParsedNode,
  source: string,
  lineAt: (offset: number) => number,
  count: { nodes: number },
): YamlValue {
  const line = lineAt(node.range[0])
  if (++count.nodes > MAX_NODES) throw limitError(source, line, `is beyond ${MAX_NODES} values`)
  if (isMap(node)) return { kind: "map", line, members: membersOf(node, source, lineAt, count) }
  if (isSeq(node)) {
    const items = node.items.map((item) => {
      // `[a: b]` is a list of a map in YAML; the library has a pair here only for what its authors call strange
      if (isMap(item) || isSeq(item) || isScalar(item)) return toValue(item as ParsedNode, source, lineAt, count)
      throw policyError(source, line, "has a list with something that is no value")
    })
    return { kind: "list", line, items }
  }
  if (!isScalar(node)) throw policyError(source, line, "has a value that refers to something else")
  const { value } = node
  switch (typeof value) {
    case "string":
      return { kind: "text", line, text: value }
    case "number":
      return { kind: "number", line, number: value }
    case "boolean":
      return { kind: "boolean", line, boolean: value }
    default:
      return { kind: "nothing", line }
  }
}

function membersOf(
  map: YAMLMap.Parsed,
  source: string,
  lineAt: (offset: number) => number,
  count: { nodes: number },
): ReadonlyMap<string, YamlMember> {
  const members = new Map<string, YamlMember>()
  for (const { key, value } of map.items) {
    const line = lineAt(key?.range?.[0] ?? map.range[0])
    if (++count.nodes > MAX_NODES) throw limitError(source, line, `is beyond ${MAX_NODES} values`)
    if (!isScalar(key) || typeof key.value !== "string") {
      throw policyError(source, line, "has a name that is no text; put it in quotes")
    }
    if (members.has(key.value)) throw policyError(source, line, `has ${JSON.stringify(key.value)} twice`)
    const read: YamlValue = value === null ? { kind: "nothing", line } : toValue(value, source, lineAt, count)
    members.set(key.value, { line, value: read })
  }
  return members
}
