/**
 * The changed files that a person is shown are the ones git tells, whoever sends the objects.
 *
 * @module
 */

import { createHash } from "node:crypto"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { changedFiles } from "../../cache-daemon/changed-files.ts"
import { commitPayload, type Files, Repository, rawObject, treeContent } from "./consent-repository.ts"

const byPath = (one: { path: string; kind: string }, other: { path: string; kind: string }): number =>
  one.path < other.path ? -1 : one.path > other.path ? 1 : one.kind < other.kind ? -1 : 1

const BASE: Files = {
  "a.txt": "a",
  "gone/one": "1",
  "gone/deep/two": "2",
  "kept/file": "kept",
  "kept/big/file": "kept",
  link: { mode: "120000", content: "a.txt" },
  "tool.sh": "echo",
  turns: "a file",
  "was-dir/x": "x",
  module: { mode: "160000", content: "1".repeat(40) },
}

const CASES: Readonly<Record<string, Files>> = {
  nothing: BASE,
  "one file": { ...BASE, "a.txt": "b" },
  "a rename": { ...Object.fromEntries(Object.entries(BASE).filter(([path]) => path !== "a.txt")), "kept/b.txt": "a" },
  "a folder less": Object.fromEntries(Object.entries(BASE).filter(([path]) => !path.startsWith("gone/"))),
  "modes, links and modules": {
    ...BASE,
    "tool.sh": { mode: "100755", content: "echo" },
    link: { mode: "120000", content: "b.txt" },
    module: { mode: "160000", content: "2".repeat(40) },
    "a.txt": { mode: "120000", content: "a" },
  },
  "a file becomes a folder and the other way round": {
    ...Object.fromEntries(Object.entries(BASE).filter(([path]) => path !== "turns" && path !== "was-dir/x")),
    "turns/into": "folder",
    "was-dir": "file",
  },
  "deep folders": { ...BASE, [`${"d/".repeat(60)}file`]: "deep" },
  "odd names": {
    ...BASE,
    "line\nfeed": "x",
    "kept/größe 漢字 🙂": "x",
    "tab\there": "x",
    " ": "x",
    "-rf": "x",
    ":(top)": "x",
    "a.txt.x": "",
    "a-b/c": "",
    "a/b": "",
  },
  everything: {},
}

describe.each(["sha1", "sha256"] as const)("changedFiles in a %s repository", (objectFormat) => {
  let repository: Repository
  let base: string
  beforeAll(() => {
    repository = new Repository(objectFormat)
    base = repository.commit(sized(BASE))
  })
  afterAll(() => repository.remove())

  const sized = (files: Files): Files =>
    objectFormat === "sha1"
      ? files
      : Object.fromEntries(
          Object.entries(files).map(([path, file]) => [
            path,
            typeof file !== "string" && file.mode === "160000"
              ? { mode: "160000", content: file.content.repeat(2).slice(0, 64) }
              : file,
          ]),
        )

  test.each(Object.keys(CASES))("%s", async (name) => {
    const id = repository.commit(sized(CASES[name] ?? {}), [base])
    const changed = changedFiles(repository.payload(id), await repository.objects(id))
    const expected = repository.changes(id)
    expect(changed.status === "proven" && [...changed.files].sort(byPath)).toEqual(expected.sort(byPath))
    expect(changed).toMatchObject({ truncated: false })
    if (name !== "nothing") expect(expected.length).toBeGreaterThan(0)
  })

  test("a root commit adds all its files", async () => {
    const changed = changedFiles(repository.payload(base), await repository.objects(base))
    expect(changed.status === "proven" && [...changed.files].sort(byPath)).toEqual(
      repository.changes(base).sort(byPath),
    )
  })

  test("a merge is compared with its first parent", async () => {
    const side = repository.commit(sized({ ...BASE, side: "s" }), [base])
    const main = repository.commit(sized({ ...BASE, main: "m" }), [base])
    const merge = repository.commit(sized({ ...BASE, side: "s", main: "m" }), [main, side])
    expect(changedFiles(repository.payload(merge), await repository.objects(merge))).toEqual({
      status: "proven",
      files: [{ path: "side", kind: "added" }],
      truncated: false,
    })
  })

  test("3,000 files", async () => {
    const many = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`dir${i % 200}/sub/file${i}`, `${i}`]))
    const id = repository.commit(sized({ ...BASE, ...many }), [base])
    const changed = changedFiles(repository.payload(id), await repository.objects(id))
    expect(changed).toMatchObject({ status: "proven", truncated: false })
    expect(changed.status === "proven" && changed.files.length).toBe(3000)
  })

  test("any commit over any other, as git has it", async () => {
    const name = fc.constantFrom("a", "b", "a.b", "a-b", "a0", "é")
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"))
    const tree = fc.dictionary(path, fc.constantFrom("", "x", "y"), { maxKeys: 8 }).map(withoutConflicts)
    await fc.assert(
      fc.asyncProperty(tree, tree, async (before, after) => {
        const id = repository.commit(after, [repository.commit(before)])
        const changed = changedFiles(repository.payload(id), await repository.objects(id))
        expect(changed.status === "proven" && [...changed.files].sort(byPath)).toEqual(
          repository.changes(id).sort(byPath),
        )
      }),
      { numRuns: 25 },
    )
  })
})

/** A path cannot be a file and a folder. */
const withoutConflicts = (files: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(files).filter(([path]) => !Object.keys(files).some((other) => other.startsWith(`${path}/`))),
  )

describe("a client that lies", () => {
  let repository: Repository
  let base: string
  let id: string
  let payload: Buffer
  let objects: Uint8Array[]
  beforeAll(async () => {
    repository = new Repository()
    base = repository.commit(BASE)
    id = repository.commit({ ...BASE, "gone/deep/two": "other", "kept/file": "other" }, [base])
    payload = repository.payload(id)
    objects = await repository.objects(id)
  })
  afterAll(() => repository.remove())

  const TRUTH = [
    { path: "gone/deep/two", kind: "modified" },
    { path: "kept/file", kind: "modified" },
  ]

  test("gets the truth when it does not", () => {
    expect(changedFiles(payload, objects)).toEqual({ status: "proven", files: TRUTH, truncated: false })
    expect(objects).toHaveLength(9)
  })

  test("leaves an object out", () => {
    for (const left of objects) {
      const rest = objects.filter((one) => one !== left)
      expect(changedFiles(payload, rest)).toMatchObject({
        status: "unknown",
        reason: expect.stringMatching(/not send/),
      })
    }
  })

  test("sends none, or another commit's", async () => {
    expect(changedFiles(payload, [])).toMatchObject({ status: "unknown" })
    expect(changedFiles(payload, await repository.objects(base))).toMatchObject({ status: "unknown" })
  })

  test("changes a bit of an object", () => {
    for (const [index, object] of objects.entries()) {
      const forged = Buffer.from(object)
      forged[forged.length - 3] = (forged[forged.length - 3] ?? 0) ^ 1
      expect(changedFiles(payload, objects.with(index, forged))).toMatchObject({ status: "unknown" })
    }
  })

  test("sends objects twice, in another order, and others that nobody asked for", () => {
    const extra = rawObject("tree", treeContent([["100644", "evil", "1".repeat(40)]])).raw
    const junk = [Buffer.alloc(0), Buffer.from("tree"), Buffer.from("blob 3\0abc"), extra]
    const sent = [...junk, ...objects.toReversed(), ...objects]
    expect(changedFiles(payload, sent)).toEqual({ status: "proven", files: TRUTH, truncated: false })
  })

  test("passes a tree as the parent, or a commit as a tree", () => {
    const tree = rawObject("tree", treeContent([]))
    const file = rawObject("tree", treeContent([["100644", "a", "1".repeat(40)]]))
    expect(changedFiles(commitPayload(file.id, [tree.id]), [tree.raw, file.raw])).toMatchObject({
      reason: expect.stringMatching(/no commit$/),
    })
    const commit = rawObject("commit", commitPayload(tree.id))
    expect(changedFiles(commitPayload(commit.id), [commit.raw])).toMatchObject({
      reason: expect.stringMatching(/no tree$/),
    })
  })

  const ID = "1".repeat(40)
  test.each<[string, Buffer]>([
    ["no name", treeContent([["100644", "", ID]])],
    ["a dot", treeContent([["100644", ".", ID]])],
    ["two dots", treeContent([["40000", "..", ID]])],
    ["a slash", treeContent([["100644", "a/b", ID]])],
    ["a mode that is none", treeContent([["100666", "a", ID]])],
    ["a mode with a zero in front", treeContent([["040000", "a", ID]])],
    [
      "two of one name",
      treeContent([
        ["100644", "a", ID],
        ["100644", "a", ID],
      ]),
    ],
    [
      "a file and a folder of one name",
      treeContent([
        ["100644", "a", ID],
        ["100644", "a-", ID],
        ["40000", "a", ID],
      ]),
    ],
    [
      "a file and a folder of one name, and names between them",
      treeContent([
        ["100644", "a", ID],
        ["100644", "a-", ID],
        ["100644", "a--", ID],
        ["40000", "a-", ID],
      ]),
    ],
    ["a name that no path can have", treeContent([["40000", "a".repeat(4097), rawObject("tree", treeContent([])).id]])],
    [
      "another order",
      treeContent([
        ["100644", "b", ID],
        ["100644", "a", ID],
      ]),
    ],
    ["an id cut short", treeContent([["100644", "a", ID]]).subarray(0, -1)],
    ["bytes behind the last entry", Buffer.concat([treeContent([["100644", "a", ID]]), Buffer.from("x")])],
    ["no NUL", Buffer.from("100644 a")],
  ])("a tree with %s", (_, content) => {
    const tree = rawObject("tree", content)
    expect(changedFiles(commitPayload(tree.id), [tree.raw])).toMatchObject({ status: "unknown" })
  })

  test("a tree that says another size", () => {
    const content = treeContent([["100644", "a", ID]])
    const raw = Buffer.concat([Buffer.from(`tree ${content.length + 1}\0`), content])
    const id = createHash("sha1").update(raw).digest("hex")
    expect(changedFiles(commitPayload(id), [raw])).toMatchObject({ reason: expect.stringMatching(/own size/) })
  })

  test("a bomb of trees in trees ends, and soon", () => {
    let tree = rawObject("tree", treeContent([["100644", "f", ID]]))
    const all = [tree.raw]
    for (let depth = 0; depth < 60; depth++) {
      tree = rawObject(
        "tree",
        treeContent([
          ["40000", "a", tree.id],
          ["40000", "b", tree.id],
        ]),
      )
      all.push(tree.raw)
    }
    const started = performance.now()
    expect(changedFiles(commitPayload(tree.id), all)).toEqual({ status: "unknown", reason: "the trees are too large" })
    let empty = rawObject("tree", treeContent([]))
    const none = [empty.raw]
    for (let depth = 0; depth < 60; depth++) {
      empty = rawObject(
        "tree",
        treeContent([
          ["40000", "a", empty.id],
          ["40000", "b", empty.id],
        ]),
      )
      none.push(empty.raw)
    }
    expect(changedFiles(commitPayload(empty.id), none)).toMatchObject({ status: "unknown" })
    expect(performance.now() - started).toBeLessThan(5000)
  })

  test("one folder in many places is each of them", () => {
    const inner = rawObject("tree", treeContent(["a", "b", "c"].map((name) => ["100644", name, ID] as const)))
    const folders = (count: number) =>
      rawObject(
        "tree",
        treeContent(
          Array.from({ length: count }, (_, i) => ["40000", `d${String(i).padStart(5, "0")}`, inner.id] as const),
        ),
      )
    const some = folders(1000)
    const changed = changedFiles(commitPayload(some.id), [some.raw, inner.raw])
    expect(changed).toMatchObject({ status: "proven", truncated: false })
    expect(changed.status === "proven" && new Set(changed.files.map(({ path }) => path)).size).toBe(3000)
    const many = folders(20_000)
    expect(changedFiles(commitPayload(many.id), [many.raw, inner.raw])).toMatchObject({ truncated: true })
  })

  const numbered = (count: number, mode: string, id: string, suffix = "") =>
    rawObject(
      "tree",
      treeContent(
        Array.from({ length: count }, (_, i) => [mode, `${String(i).padStart(6, "0")}${suffix}`, id] as const),
      ),
    )
  const EMPTY = rawObject("tree", treeContent([]))

  /** Each takes seconds to minutes when what it repeats is read again each time. */
  test.each<[string, () => { payload: Buffer; objects: Buffer[] }, object]>([
    [
      "a name of two megabytes in 180,000 places",
      () => {
        const long = rawObject("tree", treeContent([["40000", "n".repeat(2_097_000), EMPTY.id]]))
        const middle = numbered(45_000, "40000", long.id)
        const root = numbered(4, "40000", middle.id)
        return { payload: commitPayload(root.id), objects: [root.raw, middle.raw, long.raw] }
      },
      { reason: "a path is too long" },
    ],
    [
      "57,000 folders in each of 57,000 folders",
      () => {
        const inner = numbered(57_000, "40000", EMPTY.id)
        const root = numbered(57_000, "40000", inner.id)
        return { payload: commitPayload(root.id), objects: [root.raw, inner.raw] }
      },
      { reason: "the trees are too large" },
    ],
    [
      "eight megabytes of empty folders",
      () => {
        const parts = [0, 1, 2, 3].map((one) => numbered(57_000, "40000", EMPTY.id, `${one}`))
        const root = rawObject("tree", treeContent(parts.map(({ id }, i) => ["40000", `${i}`, id] as const)))
        return { payload: commitPayload(root.id), objects: [root.raw, ...parts.map(({ raw }) => raw)] }
      },
      { reason: "the trees are too large" },
    ],
    [
      "two folders of 50,000 equal files and one that differs, in 5,000 places",
      () => {
        const [one, other] = ["2", "3"].map((digit) => {
          const files = Array.from(
            { length: 50_000 },
            (_, i) => ["100644", `${String(i).padStart(6, "0")}`, ID] as const,
          )
          return rawObject("tree", treeContent([...files, ["100644", "z", digit.repeat(40)]]))
        })
        if (one === undefined || other === undefined) throw new Error("two")
        const before = numbered(5000, "40000", one.id)
        const after = numbered(5000, "40000", other.id)
        const parent = rawObject("commit", commitPayload(before.id))
        const objects = [parent, before, after, one, other].map(({ raw }) => raw)
        return { payload: commitPayload(after.id, [parent.id]), objects }
      },
      { reason: "the trees are too large" },
    ],
    [
      "names of four thousand bytes that are no UTF-8",
      () => {
        const names = numbered(500, "100644", ID, "\xff".repeat(4000))
        return { payload: commitPayload(names.id), objects: [names.raw] }
      },
      { status: "proven", truncated: true },
    ],
  ])("%s cost little", (_, make, expected) => {
    const { payload, objects } = make()
    const started = process.cpuUsage()
    expect(changedFiles(payload, objects)).toMatchObject(expected)
    const { user, system } = process.cpuUsage(started)
    // Much more than it takes, and much less than it took, where it was read again each time.
    expect((user + system) / 1000).toBeLessThan(750)
  })

  test("a chain of folders deeper than any path", () => {
    let tree = rawObject("tree", treeContent([["100644", "f", ID]]))
    const all = [tree.raw]
    for (let depth = 0; depth < 4000; depth++) {
      tree = rawObject("tree", treeContent([["40000", "a", tree.id]]))
      all.push(tree.raw)
    }
    expect(changedFiles(commitPayload(tree.id), all)).toEqual({ status: "unknown", reason: "the trees are too deep" })
  })

  test("names of megabytes, too many objects, one too large", () => {
    const files = Array.from({ length: 500 }, (_, i) => ["100644", `f${String(i).padStart(4, "0")}`, ID] as const)
    const inner = rawObject("tree", treeContent(files))
    const long = rawObject("tree", treeContent([["40000", "n".repeat(1_900_000), inner.id]]))
    expect(changedFiles(commitPayload(long.id), [inner.raw, long.raw])).toMatchObject({ reason: "a path is too long" })
    expect(
      changedFiles(
        payload,
        Array.from({ length: 4097 }, () => Buffer.alloc(1)),
      ),
    ).toMatchObject({
      status: "unknown",
    })
    expect(changedFiles(payload, [...objects, Buffer.alloc(2 * 1024 * 1024 + 1)])).toMatchObject({ status: "unknown" })
  })

  test("whatever is done to the objects and the payload, it is the truth or unknown", () => {
    const pool = fc.constantFrom(...objects.keys())
    const edit = fc.oneof(
      fc.record({ kind: fc.constant("drop" as const), at: pool }),
      fc.record({ kind: fc.constant("copy" as const), at: pool, from: pool }),
      fc.record({ kind: fc.constant("flip" as const), at: pool, bit: fc.nat(4000) }),
      fc.record({ kind: fc.constant("junk" as const), bytes: fc.uint8Array({ maxLength: 60 }) }),
    )
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 6 }), (edits) => {
        let sent: Uint8Array[] = objects.map((one) => Uint8Array.from(one))
        for (const one of edits) {
          if (one.kind === "junk") sent.push(one.bytes)
          else if (one.kind === "drop") sent = sent.with(one.at, new Uint8Array())
          else if (one.kind === "copy") sent = sent.with(one.at, sent[one.from] ?? new Uint8Array())
          else {
            const object = Uint8Array.from(sent[one.at] ?? [])
            const byte = (one.bit >> 3) % Math.max(object.length, 1)
            object[byte] = (object[byte] ?? 0) ^ (1 << (one.bit & 7))
            sent = sent.with(one.at, object)
          }
        }
        const changed = changedFiles(payload, sent)
        if (changed.status === "proven") expect(changed).toEqual({ status: "proven", files: TRUTH, truncated: false })
      }),
      { numRuns: 500 },
    )
  })

  test("random bytes as a payload or as trees give an answer", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 80 }), (one, other) => {
        const tree = rawObject("tree", other)
        expect(changedFiles(one, [other]).status).toBe("unknown")
        expect(["proven", "unknown"]).toContain(changedFiles(commitPayload(tree.id), [tree.raw]).status)
      }),
    )
  })
})
