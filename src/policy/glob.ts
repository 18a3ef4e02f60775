/**
 * The globs of a policy, over names of refs and over paths; docs/policy.md tells what they mean. Matching takes at most the product of both
 * lengths, whatever the glob and the name are.
 *
 * @module
 */

/** Whether a name is meant by a glob. */
export type GlobMatcher = (name: string) => boolean

/** `any`: one part, whatever it is. `all`: any number of parts. */
type Part = "any" | "all" | readonly Piece[]
/** A character, or `?`, or `*`. */
type Piece = { readonly character: string } | "one" | "some"

/**
 * Why a glob is none, in words; undefined when it is one. Everything that means something in other programs and nothing here is refused,
 * so that nobody relies on it.
 */
export function globProblem(glob: string, over: "refs" | "paths"): string | undefined {
  if (glob.startsWith("!"))
    return "begins with !, and there are no exceptions; write another rule (\\! is the character)"
  const special = /(?<!\\)(?:\\\\)*([[\]{}])/.exec(glob)?.[1]
  if (special !== undefined)
    return `has ${special}, which means nothing here; only *, ** and ? do (\\${special} is the character)`
  if (/(?<!\\)(?:\\\\)*\\$/.test(glob)) return "ends with a \\ that escapes nothing"
  const parts = glob.split("/")
  if (parts.some((part) => part.includes("**") && part !== "**"))
    return "has ** within a name; it stands alone between slashes"
  if (over === "paths" && glob.startsWith("/"))
    return "begins with a slash; paths begin at the top of the repository without one"
  if (parts.includes("") && !(over === "paths" && glob.endsWith("/"))) return "has an empty name between slashes"
  if (parts.some((part) => part === "." || part === "..")) return "has . or .. between slashes, which no name has"
  return undefined
}

/** Compiles a glob over names of refs. The caller MUST have asked {@link globProblem}. */
export function refGlob(glob: string): GlobMatcher {
  const parts = parse(glob)
  // release/** is what is below release, as everywhere
  if (parts.at(-1) === "all") parts.splice(-1, 1, "any", "all")
  return (name) => matchParts(parts, name.split("/").map(charactersOf))
}

/** The same to whoever keeps refs in files on a disk that does not tell some names apart. Only to ask for more, see {@link pathGlobs}. */
export function refGlobOnDisk(glob: string): GlobMatcher {
  const matchers = diskForms(glob).map(refGlob)
  return (name) => diskForms(name).some((form) => matchers.some((matches) => matches(form)))
}

/** {@link pathGlobs} of one glob. */
export const pathGlob = (glob: string): GlobMatcher => pathGlobs([glob])

/**
 * Compiles globs over paths, any of which may match: each means what it matches, and everything below. Upper and lower case are the same, and so
 * are the ways to write a letter in Unicode: file systems are like that, and a rule over `.github` has to hold for `.GitHub`. A name is compared
 * as it is as well, since `?` is one character of it: `stra?e` means `straße`, which on some disks is `strasse`.
 *
 * The caller MUST have asked {@link globProblem}, and MUST use it only to ask for more and never to let somebody in: it matches widely.
 */
export function pathGlobs(globs: readonly string[]): GlobMatcher {
  const patterns = globs.flatMap((glob) => diskForms(glob).map(patternBelow))
  return (name) => {
    const forms = diskForms(name).map((form) => form.split("/").map(charactersOf))
    return patterns.some((pattern) => forms.some((form) => matchParts(pattern, form)))
  }
}

/**
 * Whether a link or a submodule in some place would stand in the place of a folder above what one of the globs means: `deploy` for
 * `deploy/prod/**`. What lies where it leads to is found there then, whatever its own path is. A glob that begins with `**` asks so only for the
 * names that follow, since it means what it matches wherever it really lies. The caller has the duties of {@link pathGlobs}.
 */
export function linkGlobs(globs: readonly string[]): GlobMatcher {
  const patterns = globs.flatMap((glob) => diskForms(glob).map(patternBelow))
  return (name) => {
    const forms = diskForms(name).map((form) => form.split("/").map(charactersOf))
    return patterns.some((pattern) => forms.some((form) => isAbove(pattern, form)))
  }
}

function isAbove(pattern: readonly Part[], parts: readonly (readonly string[])[]): boolean {
  const [first, ...others] = pattern
  if (first !== "all") return leadsInto(pattern, parts)
  return others.length > 0 && parts.some((_, from) => leadsInto(others, parts.slice(from)))
}

/** Whether a pattern goes on where these parts end. */
function leadsInto(pattern: readonly Part[], parts: readonly (readonly string[])[]): boolean {
  for (const [index, name] of parts.entries()) {
    const part = pattern[index]
    if (part === "all") return true
    if (part === undefined || !(part === "any" || matchPieces(part, name))) return false
  }
  return true
}

function patternBelow(glob: string): readonly Part[] {
  // also ahead of what is there: a link or a file in the place of the folder of folder/**
  const parts = parse(glob.replace(/\/+$/, ""))
  if (parts.at(-1) !== "all") parts.push("all")
  return parts
}

/** One name that a glob means, and few others do; for telling what a glob is about. */
export const sampleOf = (glob: string): string =>
  glob
    .split("/")
    .map((part) =>
      part === "**" ? "any/thing" : part.replace(/\\(.)|\*|\?/gu, (_, escaped?: string) => escaped ?? "x"),
    )
    .join("/")

/** ASCII without a final dot or blank: nothing but its case is ever folded. */
const PLAIN = /^(?!.*[. ](?:\/|$))[\x20-\x7e]*$/

/**
 * A text in all the ways in which file systems compare names, each once, twelve at most: case, letter by letter or by what a letter is spelt out
 * as (all but Linux's), composition (APFS, HFS+), without invisible characters (HFS+), without final dots and blanks (NTFS).
 */
function diskForms(text: string): readonly string[] {
  if (PLAIN.test(text)) return [text.toLowerCase()]
  const forms = [text, text.replace(/\p{Default_Ignorable_Code_Point}/gu, "")].flatMap((visible) => {
    // composed after that: what stood between a letter and its accent is gone
    const composed = visible.normalize("NFC")
    return [foldLetters(visible), foldLetters(composed), foldWhole(composed)]
  })
  return [...new Set(forms.flatMap((form) => [form, form.replace(/(?<=[^/. ])[. ]+(?=\/|$)/g, "")]))]
}

/** By way of capitals, which are the same for more letters: ß and ss, and the long s. A final ς is one only in some places. */
const foldWhole = (text: string): string =>
  text.toUpperCase().toLowerCase().replaceAll("\u03c2", "\u03c3").normalize("NFC")

/** Each character stays one. */
function foldLetters(text: string): string {
  const upper = text.toUpperCase()
  const lower = upper.toLowerCase()
  if (upper.length === text.length && lower.length === upper.length) return lower.replaceAll("\u03c2", "\u03c3")
  return Array.from(text, foldLetter).join("")
}

function foldLetter(letter: string): string {
  const isOne = (text: string): boolean => Array.from(text).length === 1
  const upper = letter.toUpperCase()
  return [upper.toLowerCase(), letter.toLowerCase()].find(isOne) ?? letter
}

const charactersOf = (text: string): readonly string[] => Array.from(text)

function parse(glob: string): Part[] {
  const parts: Part[] = []
  for (const text of glob.split("/")) {
    const part: Part = text === "**" ? "all" : piecesOf(text)
    // two in a row mean no more than one
    if (part !== "all" || parts.at(-1) !== "all") parts.push(part)
  }
  return parts
}

function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = []
  let escaped = false
  for (const character of text) {
    if (!escaped && character === "\\") {
      escaped = true
      continue
    }
    if (escaped || (character !== "*" && character !== "?")) pieces.push({ character })
    else if (character === "?") pieces.push("one")
    else if (pieces.at(-1) !== "some") pieces.push("some")
    escaped = false
  }
  return pieces
}

/**
 * Whether a sequence matches a pattern with wildcards for any number of items. Going back to the latest wildcard only is enough, so no
 * pattern makes it take longer than the product of both lengths.
 */
function matchSequence<P, T>(
  pattern: readonly P[],
  items: readonly T[],
  isMany: (part: P) => boolean,
  matches: (part: P, item: T) => boolean,
): boolean {
  let at = 0
  let position = 0
  let wildcard = -1
  let resume = 0
  while (position < items.length) {
    const part = pattern[at]
    if (part !== undefined && isMany(part)) {
      wildcard = at++
      resume = position
    } else if (part !== undefined && matches(part, items[position] as T)) {
      at++
      position++
    } else if (wildcard >= 0) {
      at = wildcard + 1
      position = ++resume
    } else return false
  }
  while (at < pattern.length && isMany(pattern[at] as P)) at++
  return at === pattern.length
}

const matchParts = (pattern: readonly Part[], parts: readonly (readonly string[])[]): boolean =>
  matchSequence(
    pattern,
    parts,
    (part) => part === "all",
    (part, name) => part === "any" || matchPieces(part as readonly Piece[], name),
  )

const matchPieces = (pattern: readonly Piece[], name: readonly string[]): boolean =>
  matchSequence(
    pattern,
    name,
    (piece) => piece === "some",
    (piece, character) => piece === "one" || (piece as { character: string }).character === character,
  )
