/**
 * What a commit or tag says about itself, for people: subject, author, committer or tagger (git-commit-tree(1), git-mktag(1)).
 *
 * Read as git shows it, from whatever bytes; nothing of it is proven.
 *
 * @module
 */

/** A person line: text that nothing proves. */
export interface Person {
  readonly name: string
  readonly email: string
  /** Undefined where the seconds make no sense. */
  readonly date: Date | undefined
}

/** What an object says about itself. */
export interface ObjectSummary {
  /** The first line of the message. */
  readonly subject: string
  readonly author: Person
  /** The committer; of a tag the tagger, who is its author as well. */
  readonly committer: Person
  /** Hex ids, of a commit. */
  readonly parents: readonly string[]
  /** Hex id, of a commit. */
  readonly tree: string
  /** What a tag is for: `commit`, `tag`, `tree`, `blob`. */
  readonly targetType: string
  /** Hex id, of a tag. */
  readonly target: string
}

const NOBODY: Person = { name: "", email: "", date: undefined }
const MAX_SUBJECT = 500
const LF = 10

/**
 * Reads an object's headers and subject; never throws. What is missing is empty. A header counts only where git reads it: parents directly
 * behind the tree, a tagger in a tag and a committer in a commit. Elsewhere anybody may write such words, and git shows none of them.
 */
export function summarizeObject(raw: Uint8Array): ObjectSummary {
  const blank = Buffer.from(raw.buffer, raw.byteOffset, raw.length).indexOf("\n\n")
  const head = raw.subarray(0, blank < 0 ? raw.length : blank)
  const lines = Buffer.from(head).toString("utf8").split("\n")
  const values = (name: string): string[] =>
    lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1))
  const isTag = lines[0]?.startsWith("object ") === true
  const committer = readPerson(values(isTag ? "tagger" : "committer")[0])
  const author = isTag ? undefined : values("author")[0]
  return {
    subject: subjectOf(raw, blank),
    author: author === undefined ? committer : readPerson(author),
    committer,
    parents: isTag ? [] : parentsOf(lines),
    tree: values("tree")[0] ?? "",
    targetType: values("type")[0] ?? "",
    target: values("object")[0] ?? "",
  }
}

function parentsOf([, ...lines]: readonly string[]): string[] {
  const end = lines.findIndex((line) => !/^parent [0-9a-f]{40,64}$/i.test(line))
  return lines.slice(0, end < 0 ? lines.length : end).map((line) => line.slice("parent ".length).toLowerCase())
}

function subjectOf(raw: Uint8Array, blank: number): string {
  if (blank < 0) return ""
  let start = blank + 2
  while (raw[start] === LF) start++
  const end = raw.indexOf(LF, start)
  return Buffer.from(raw.subarray(start, Math.min(end < 0 ? raw.length : end, start + MAX_SUBJECT)))
    .toString("utf8")
    .trim()
}

function readPerson(text: string | undefined): Person {
  if (text === undefined) return NOBODY
  const [, name = "", email = "", seconds = ""] = /^([^<]*?) ?<([^>]*)> ?(\d*)/.exec(text) ?? []
  const date = new Date(Number(seconds) * 1000)
  return { name, email, date: seconds === "" || Number.isNaN(date.getTime()) ? undefined : date }
}
