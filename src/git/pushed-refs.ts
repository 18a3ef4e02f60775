/**
 * The refs that a push changes, as git tells them to its hooks (githooks(5): pre-receive, update, pre-push).
 *
 * @module
 */

import { GitsignError } from "../errors.ts"

/** One ref as a push changes it. */
export interface PushedRef {
  /** Its full name, `refs/…`, on the side that receives. */
  readonly ref: string
  /** The object id that it has so far, lower-case hex; undefined when the ref is new. */
  readonly before: string | undefined
  /** The object id that it is to have; undefined when the ref is to be deleted. */
  readonly after: string | undefined
  /** What is pushed there, as whoever pushes calls it: `refs/heads/main`, `HEAD`, any revision. Only the hook pre-push is told. */
  readonly local?: string
}

/**
 * Whether git accepts a name as that of a ref (git-check-ref-format(1)). git tells its pre-receive hook the names before it looks at
 * them: what comes there may hold spaces, line feeds and whatever moves the cursor of a terminal.
 */
export const isRefName = (name: string): boolean =>
  /^refs\/[^/]/.test(name) &&
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a ref may not hold
  !/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(\/|$)|[./]$/.test(name)

/**
 * Reads what pre-receive gets on stdin, `OLD SP NEW SP REF LF` for each ref.
 *
 * @throws ERR_HOOK when a line is anything else, or a ref is told twice: what is not understood must not be accepted
 */
export const parseReceived = (input: Uint8Array): PushedRef[] =>
  distinct(
    linesOf(input).map((line) => {
      const [, before, after, ref] = /^([0-9a-f]+) ([0-9a-f]+) (.*)$/s.exec(line) ?? []
      return refUpdate(ref, before, after)
    }),
  )

/**
 * Reads what pre-push gets on stdin, `LOCAL-REF SP LOCAL-ID SP REMOTE-REF SP REMOTE-ID LF` for each ref. What is pushed may be any
 * expression, with spaces in it.
 *
 * @throws ERR_HOOK as {@link parseReceived}
 */
export const parsePushed = (input: Uint8Array): PushedRef[] =>
  distinct(
    linesOf(input).map((line) => {
      const [, local = "", after, ref, before] = /^(.*) ([0-9a-f]+) (\S+) ([0-9a-f]+)$/s.exec(line) ?? []
      return { ...refUpdate(ref, before, after), local }
    }),
  )

/**
 * Makes an update of its three parts, as the update hook gets them; ids of zeros stand for no object.
 *
 * @throws ERR_HOOK when a part is missing or is not what it should be
 */
export function refUpdate(ref: string | undefined, before: string | undefined, after: string | undefined): PushedRef {
  if (ref === undefined || before === undefined || after === undefined) {
    throw new GitsignError("ERR_HOOK", "git did not tell this hook what is pushed in the way that it should")
  }
  // What was no UTF-8 could be anything else by now.
  if (!isRefName(ref) || ref.includes("\u{fffd}")) {
    throw new GitsignError("ERR_HOOK", `${JSON.stringify(ref)} is not the name of a ref`, {
      hint: "give it a name that git accepts, in UTF-8; git check-ref-format tells which it does",
    })
  }
  return { ref, before: objectId(before), after: objectId(after) }
}

function objectId(text: string): string | undefined {
  if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text)) {
    throw new GitsignError("ERR_HOOK", `${JSON.stringify(text)} is not an object id`)
  }
  return /^0+$/.test(text) ? undefined : text
}

function linesOf(input: Uint8Array): string[] {
  const text = Buffer.from(input.buffer, input.byteOffset, input.length).toString("utf8")
  if (text === "") return []
  if (!text.endsWith("\n")) throw new GitsignError("ERR_HOOK", "what git told this hook ends in the middle of a line")
  return text.slice(0, -1).split("\n")
}

function distinct(updates: readonly PushedRef[]): PushedRef[] {
  const seen = new Set<string>()
  for (const { ref } of updates) {
    if (seen.has(ref)) throw new GitsignError("ERR_HOOK", `${ref} is pushed twice at once`)
    seen.add(ref)
  }
  return [...updates]
}
