/**
 * Where a policy comes from: real repositories of every kind, and everything in them that must not be taken for a policy.
 *
 * @module
 */

import { execFileSync, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { deflateSync } from "node:zlib"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { openPolicy, readPoliciesAt, readPolicy, readPolicyAt, splitRevision } from "../../src/audit/policy-source.ts"
import { isGitsignError } from "../../src/errors.ts"

const POLICY = `version: 1
signers:
  maintainers:
    - issuer: https://accounts.google.com
      subject: alice@example.com
rules:
  - name: main
    branches: ['**']
    signers: [maintainers]
`
const CHAINGUARD = `spec:
  authorities:
    - keyless:
        url: https://fulcio.sigstore.dev
        identities:
          - subject: alice@example.com
            issuer: https://accounts.google.com
`
const SSH_LINE = "alice@example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"
const WITH_KEYS = POLICY.replace("rules:", "  laptops:\n    - ssh: keys/allowed_signers\nrules:").replace(
  "[maintainers]",
  "[maintainers, laptops]",
)

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.com",
}

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "gitsign-policy-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** A repository, and what its tests do with it. */
class Repository {
  static #count = 0
  readonly path = join(root, `repository ${Repository.#count++}`)
  readonly context = { cwd: this.path, env: ENV }

  constructor(...options: string[]) {
    execFileSync("git", ["init", "-q", "-b", "main", ...options, this.path], { env: ENV })
  }

  git(args: readonly string[], input: string | Buffer = ""): string {
    const ran = spawnSync("git", args, { cwd: this.path, env: ENV, input, encoding: "utf8" })
    if (ran.status !== 0) throw new Error(ran.stderr)
    return ran.stdout.trim()
  }

  /** Writes files into the work tree. */
  write(files: Readonly<Record<string, string | Buffer>>): void {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.path, name)), { recursive: true })
      writeFileSync(join(this.path, name), content)
    }
  }

  /** Commits files, or `MODE SP TYPE SP ID` for what is no file, onto a branch without a work tree; gives the commit's id. */
  commit(files: Readonly<Record<string, string | Buffer>>, branch = "main"): string {
    const tree = this.tree(files)
    const id = this.git(["commit-tree", "-m", "policy", tree])
    this.git(["update-ref", `refs/heads/${branch}`, id])
    return id
  }

  tree(files: Readonly<Record<string, string | Buffer>>): string {
    const folders = new Map<string, Record<string, string | Buffer>>()
    const lines: string[] = []
    for (const [name, content] of Object.entries(files)) {
      const [folder = "", ...rest] = name.split("/")
      if (rest.length > 0) {
        folders.set(folder, { ...folders.get(folder), [rest.join("/")]: content })
      } else if (typeof content === "string" && /^(120000|160000|100755) (blob|commit) [0-9a-f]+$/.test(content)) {
        lines.push(`${content}\t${name}`)
      } else lines.push(`100644 blob ${this.blob(content)}\t${name}`)
    }
    for (const [folder, inside] of folders) lines.push(`040000 tree ${this.tree(inside)}\t${folder}`)
    return this.git(["mktree", "--missing"], `${lines.join("\n")}\n`)
  }

  blob(content: string | Buffer): string {
    return this.git(["hash-object", "-w", "--stdin"], Buffer.from(content))
  }

  /** An object that git itself would not make, as a loose one. */
  object(type: string, content: Buffer): string {
    const stored = Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content])
    const id = createHash("sha1").update(stored).digest("hex")
    this.write({ [`.git/objects/${id.slice(0, 2)}/${id.slice(2)}`]: deflateSync(stored) })
    return id
  }

  at(commit: string, label?: string) {
    return readPolicyAt(this.context, commit, label)
  }

  file(where: string, cwd = this.path) {
    return readPolicy(this.context, cwd, where)
  }
}

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
    return "no error"
  } catch (error) {
    if (!isGitsignError(error)) throw error
    expect(error.message).not.toMatch(/[.\n]$/)
    return `${error.code} ${error.message}`
  }
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

describe("the policy of a commit", () => {
  test.each([
    ["a work tree", []],
    ["a bare repository", ["--bare"]],
    ["a SHA-256 repository", ["--object-format=sha256"]],
    ["a bare SHA-256 repository", ["--bare", "--object-format=sha256"]],
  ])("in %s", async (_, options) => {
    const repository = new Repository(...options)
    const id = repository.commit({ ".gitsign/policy.yaml": POLICY, "src/a.c": "int a;\n" })
    for (const [commit, label, source] of [
      [id, undefined, id.slice(0, 12)],
      ["main", undefined, "main"],
      [id, "origin/main", "origin/main"],
      ["refs/heads/main", undefined, "refs/heads/main"],
    ] as const) {
      const found = await repository.at(commit, label)
      expect(found?.source).toBe(`${source}:.gitsign/policy.yaml`)
      expect(found?.sha256).toBe(sha256(POLICY))
      expect(found?.paths).toEqual([".gitsign/policy.yaml"])
      expect(found?.compiled.policy.rules.map(({ name }) => name)).toEqual(["main"])
      expect(found?.compiled.policy.source).toBe(found?.source)
    }
  })

  test("is found through an annotated tag, and not where there is none", async () => {
    const repository = new Repository()
    repository.commit({ ".gitsign/policy.yaml": POLICY })
    repository.git(["tag", "-a", "-m", "v1", "v1", "main"])
    expect((await repository.at("v1"))?.source).toBe("v1:.gitsign/policy.yaml")
    repository.commit({ README: "hello\n", ".gitsign/other": "x\n" }, "none")
    expect(await repository.at("none")).toBeUndefined()
    expect(await codeOf(repository.at("nonsense"))).toBe("ERR_GIT there is no commit nonsense in this repository")
    expect(await codeOf(repository.at("--batch-all-objects"))).toMatch(/^ERR_GIT there is no commit --batch/)
    expect(await codeOf(repository.at("main\nmain"))).toMatch(/^ERR_GIT /)
    expect(await codeOf(repository.at(""))).toMatch(/^ERR_GIT /)
  })

  test("may be Chainguard's, which the own one comes before", async () => {
    const repository = new Repository()
    repository.commit({ ".chainguard/source.yaml": CHAINGUARD })
    const found = await repository.at("main")
    expect(found?.source).toBe("main:.chainguard/source.yaml")
    expect(found?.compiled.policy.format).toBe("chainguard")
    // Whoever adds the other one changes the policy.
    expect(found?.paths).toEqual([".chainguard/source.yaml", ".gitsign/policy.yaml"])
    repository.commit({ ".chainguard/source.yaml": CHAINGUARD, ".gitsign/policy.yaml": POLICY }, "both")
    expect((await repository.at("both"))?.source).toBe("both:.gitsign/policy.yaml")
  })

  test("has its key files beside it", async () => {
    const repository = new Repository()
    repository.commit({ ".gitsign/policy.yaml": WITH_KEYS, ".gitsign/keys/allowed_signers": SSH_LINE })
    const found = await repository.at("main")
    expect(found?.paths).toEqual([".gitsign/policy.yaml", ".gitsign/keys/allowed_signers"])
    const [entry] = found?.compiled.policy.signers.get("laptops") ?? []
    expect(entry?.scheme === "ssh" && entry.allowedSigners).toBe(SSH_LINE)
  })

  test("that is a link, or is reached through one, or is no file is refused", async () => {
    const repository = new Repository()
    const link = `120000 blob ${repository.blob("../evil.yaml")}`
    const submodule = `160000 commit ${"1".repeat(40)}`
    const cases: Readonly<Record<string, [Record<string, string>, RegExp]>> = {
      link: [{ ".gitsign/policy.yaml": link }, /policy\.yaml is a link$/],
      folder: [{ ".gitsign": link }, /main:\.gitsign is a link$/],
      submodule: [{ ".gitsign": submodule }, /main:\.gitsign is a submodule$/],
      inside: [{ ".gitsign/policy.yaml": submodule }, /is a submodule$/],
      directory: [{ ".gitsign/policy.yaml/x": "x" }, /is a folder, not a file$/],
      file: [{ ".gitsign": "x" }, /is a file, not a folder$/],
      chainguard: [{ ".chainguard": link }, /main:\.chainguard is a link$/],
      source: [{ ".chainguard/source.yaml": link }, /source\.yaml is a link$/],
      key: [{ ".gitsign/policy.yaml": WITH_KEYS, ".gitsign/keys/allowed_signers": link }, /is a link$/],
      keys: [{ ".gitsign/policy.yaml": WITH_KEYS, ".gitsign/keys": link }, /keys on the way to .* is a link$/],
      absent: [{ ".gitsign/policy.yaml": WITH_KEYS }, /keys\/allowed_signers, which is not beside it$/],
    }
    for (const [name, [files, message]] of Object.entries(cases)) {
      repository.commit(files)
      const said = await codeOf(repository.at("main"))
      expect(said, name).toMatch(/^ERR_POLICY_FILE /)
      expect(said, name).toMatch(message)
    }
    // Executable is ordinary.
    repository.commit({ ".gitsign/policy.yaml": `100755 blob ${repository.blob(POLICY)}` })
    expect((await repository.at("main"))?.sha256).toBe(sha256(POLICY))
  })

  test("that is huge is not read", async () => {
    const repository = new Repository()
    repository.commit({ ".gitsign/policy.yaml": Buffer.alloc(10_000_000, "# bomb\n") })
    expect(await codeOf(repository.at("main"))).toMatch(/^ERR_POLICY_LIMIT .* has more than 1048576 bytes$/)
    repository.commit({
      ".gitsign/policy.yaml": WITH_KEYS,
      ".gitsign/keys/allowed_signers": Buffer.alloc(2_000_000, "# bomb\n"),
    })
    expect(await codeOf(repository.at("main"))).toMatch(/^ERR_POLICY_LIMIT /)
  })

  test("is not what a replace ref or a graft shows", async () => {
    const repository = new Repository()
    const id = repository.commit({ ".gitsign/policy.yaml": POLICY })
    const evil = POLICY.replace("alice", "mallory")
    repository.commit({ ".gitsign/policy.yaml": evil }, "evil")
    const blobs = ["main", "evil"].map((name) => repository.git(["rev-parse", `${name}:.gitsign/policy.yaml`]))
    repository.git(["replace", ...blobs])
    repository.git(["replace", "main", "evil"])
    expect(repository.git(["show", "main:.gitsign/policy.yaml"])).toContain("mallory")
    expect((await repository.at(id))?.sha256).toBe(sha256(POLICY))
    expect((await repository.at("main"))?.sha256).toBe(sha256(POLICY))
    expect((await repository.file("main:.gitsign/policy.yaml")).sha256).toBe(sha256(POLICY))
  })

  test("is not one whose bytes are not those of its id", async () => {
    const repository = new Repository()
    repository.commit({ ".gitsign/policy.yaml": POLICY })
    const id = repository.git(["rev-parse", "main:.gitsign/policy.yaml"])
    const path = join(repository.path, ".git/objects", id.slice(0, 2), id.slice(2))
    const other = POLICY.replace("alice", "mallo")
    rmSync(path)
    writeFileSync(path, deflateSync(Buffer.from(`blob ${other.length}\0${other}`)))
    expect(await codeOf(repository.at("main"))).toMatch(/^ERR_(DAMAGED|GIT) /)
    rmSync(path)
    expect(await codeOf(repository.at("main"))).toBe(`ERR_GIT the file ${id} is not in this clone`)
  })

  test("is not one of two under the same name in one tree", async () => {
    const repository = new Repository()
    const entry = (mode: string, name: string, id: string): Buffer =>
      Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(id, "hex")])
    const one = entry("100644", "policy.yaml", repository.blob(POLICY))
    const two = entry("100644", "policy.yaml", repository.blob(POLICY.replace("alice", "mallory")))
    const twice = repository.object("tree", Buffer.concat([one, two]))
    const commitWith = (folder: string): string =>
      repository.git(["commit-tree", "-m", "x", repository.object("tree", entry("40000", ".gitsign", folder))])
    expect(await codeOf(repository.at(commitWith(twice)))).toMatch(/^ERR_DAMAGED .* holds policy\.yaml twice$/)
    expect(await repository.at(commitWith(repository.object("tree", one)))).toBeDefined()
    const cut = repository.object("tree", one.subarray(0, one.length - 1))
    expect(await codeOf(repository.at(commitWith(cut)))).toMatch(/^ERR_(DAMAGED|GIT) /)
    const odd = repository.object("tree", entry("060644", "policy.yaml", repository.blob(POLICY)))
    expect(await codeOf(repository.at(commitWith(odd)))).toMatch(/^ERR_DAMAGED .* the mode 060644$/)
  })

  test("is not that of a tag with the branch's name", async () => {
    const repository = new Repository()
    repository.commit({ ".gitsign/policy.yaml": POLICY })
    repository.commit({ ".gitsign/policy.yaml": POLICY.replace("alice", "mallory") }, "evil")
    repository.git(["update-ref", "refs/tags/main", "refs/heads/evil"])
    const said = "ERR_GIT main names more than one thing in this repository"
    expect(await codeOf(repository.at("main"))).toBe(said)
    expect(await codeOf(repository.file("main:.gitsign/policy.yaml"))).toBe(said)
    expect(await codeOf(repository.file("main:nothing.yaml"))).toBe(said)
    expect((await repository.at("refs/heads/main"))?.sha256).toBe(sha256(POLICY))
    // A whole name stays what it is, whatever is made beside it.
    repository.git(["update-ref", "refs/tags/refs/heads/main", "refs/heads/evil"])
    expect((await repository.file("refs/heads/main:.gitsign/policy.yaml")).sha256).toBe(sha256(POLICY))
    const id = repository.git(["rev-parse", "refs/heads/main"])
    repository.git(["update-ref", `refs/heads/${id}`, "refs/heads/evil"])
    expect((await repository.file(`${id}:.gitsign/policy.yaml`)).sha256).toBe(sha256(POLICY))
  })

  test("is not that of a tag with the whole name of a branch that is not there", async () => {
    const repository = new Repository()
    const evil = repository.commit({ ".gitsign/policy.yaml": POLICY })
    const name = "refs/remotes/origin/main"
    repository.git(["update-ref", `refs/tags/${name}`, evil])
    for (const revision of [name, `${name}~0`, `${name}^{commit}`]) {
      expect(repository.git(["rev-parse", revision])).toBe(evil)
      expect(await codeOf(repository.at(revision))).toBe(`ERR_GIT there is no commit ${revision} in this repository`)
      expect(await codeOf(repository.file(`${revision}:.gitsign/policy.yaml`))).toMatch(/^ERR_POLICY_MISSING /)
    }
  })

  test("is that of HEAD whatever else is called so, and of nothing else where HEAD is a branch without commits", async () => {
    const repository = new Repository()
    repository.commit({ ".gitsign/policy.yaml": POLICY })
    const evil = repository.commit({ ".gitsign/policy.yaml": POLICY.replace("alice", "mallory") }, "evil")
    repository.git(["update-ref", "refs/tags/HEAD", evil])
    repository.git(["update-ref", "refs/heads/HEAD", evil])
    const revisions = ["HEAD", "@", "HEAD~0", "@^{commit}"]
    for (const revision of revisions) {
      expect((await repository.at(revision))?.sha256).toBe(sha256(POLICY))
      expect((await repository.file(`${revision}:.gitsign/policy.yaml`)).sha256).toBe(sha256(POLICY))
    }
    repository.git(["symbolic-ref", "HEAD", "refs/heads/empty"])
    repository.git(["update-ref", "-d", "refs/heads/HEAD"])
    for (const revision of revisions) {
      expect(repository.git(["rev-parse", revision])).toBe(evil)
      expect(await codeOf(repository.at(revision))).toBe(`ERR_GIT there is no commit ${revision} in this repository`)
      expect(await codeOf(repository.file(`${revision}:.gitsign/policy.yaml`))).toMatch(/^ERR_POLICY_MISSING /)
    }
  })

  test("is not in a tree that holds names which are none", async () => {
    const repository = new Repository()
    const entry = (mode: string, name: string, id: string): Buffer =>
      Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(id, "hex")])
    const folder = entry("40000", ".gitsign", repository.tree({ "policy.yaml": POLICY }))
    const at = (...entries: Buffer[]): Promise<string> =>
      codeOf(
        repository.at(repository.git(["commit-tree", "-m", "x", repository.object("tree", Buffer.concat(entries))])),
      )
    expect(await at(folder)).toBe("no error")
    const blob = repository.blob(POLICY.replace("alice", "mallory"))
    const slash = entry("100644", ".gitsign/policy.yaml", blob)
    expect(await at(slash)).toMatch(/^ERR_DAMAGED .* holds an entry with a slash in its name$/)
    expect(await at(folder, slash)).toMatch(/^ERR_DAMAGED .* holds an entry with a slash in its name$/)
    expect(await at(folder, entry("100644", "", blob))).toMatch(/^ERR_DAMAGED .* holds an entry without a name$/)
  })

  test("that makes no sense is told with where it is", async () => {
    const repository = new Repository()
    repository.commit({ ".gitsign/policy.yaml": "version: 1\nnonsense: true\n" })
    expect(await codeOf(repository.at("main"))).toMatch(/^ERR_POLICY .*main:\.gitsign\/policy\.yaml/)
  })

  test("of thousands of commits: equal ones are one, a broken one spoils no other", async () => {
    const repository = new Repository()
    const good = repository.commit({ ".gitsign/policy.yaml": POLICY })
    const same = repository.commit({ ".gitsign/policy.yaml": POLICY, README: "x" }, "same")
    const none = repository.commit({ README: "x" }, "none")
    const huge = repository.commit({ ".gitsign/policy.yaml": Buffer.alloc(2_000_000, 35) }, "huge")
    const asked = Array.from({ length: 2_000 }, (_, i) => [good, huge, same, none, "nonsense"][i % 5] ?? "")
    const found = await readPoliciesAt(
      repository.context,
      asked.slice(0, 50).map((commit) => ({ commit, label: commit.slice(0, 4) })),
    )
    expect(found.slice(5, 10).map((one) => (isGitsignError(one) ? one.code : typeof one))).toEqual([
      "object",
      "ERR_POLICY_LIMIT",
      "object",
      "undefined",
      "ERR_GIT",
    ])
    expect(found[2]).toBe(found[0])
    const many = await readPoliciesAt(
      repository.context,
      asked.filter((one) => one !== huge && one !== "nonsense").map((commit) => ({ commit })),
    )
    expect(new Set(many).size).toBe(2)
  }, 30_000)
})

describe("the policy that a setting names", () => {
  test("in a commit", async () => {
    const repository = new Repository("--bare")
    repository.commit({ "ci/deep/policy.yaml": WITH_KEYS, "ci/deep/keys/allowed_signers": SSH_LINE, "p.yaml": POLICY })
    const found = await repository.file("refs/heads/main:ci/deep/policy.yaml")
    expect(found.source).toBe("refs/heads/main:ci/deep/policy.yaml")
    expect(found.paths).toEqual(["ci/deep/policy.yaml", "ci/deep/keys/allowed_signers"])
    expect((await repository.file("main:p.yaml")).paths).toEqual(["p.yaml"])
    expect((await repository.file("main^{/policy}:p.yaml")).sha256).toBe(sha256(POLICY))
  })

  test.each([
    ["nonsense:p.yaml", "ERR_POLICY_MISSING"],
    ["main:nothing.yaml", "ERR_POLICY_MISSING"],
    ["main:no/such/folder.yaml", "ERR_POLICY_MISSING"],
    [":p.yaml", "ERR_POLICY_MISSING"],
    ["main:", "ERR_POLICY_FILE"],
    ["main:folder", "ERR_POLICY_FILE"],
    ["main:p.yaml/x", "ERR_POLICY_FILE"],
    ["main:folder/../p.yaml", "ERR_POLICY_FILE"],
    ["main:./p.yaml", "ERR_POLICY_FILE"],
    ["main:/p.yaml", "ERR_POLICY_FILE"],
    ["main:folder//p.yaml", "ERR_POLICY_FILE"],
    ["main:folder/link.yaml", "ERR_POLICY_FILE"],
    ["nothing.yaml", "ERR_POLICY_MISSING"],
    ["p.yaml/x", "ERR_POLICY_MISSING"],
    ["folder", "ERR_POLICY_FILE"],
    ["fifo", "ERR_POLICY_FILE"],
    ["/dev/zero", "ERR_POLICY_FILE"],
  ])("%s: %s", async (where, code) => {
    const repository = new Repository()
    const link = `120000 blob ${repository.blob("../p.yaml")}`
    repository.commit({ "p.yaml": POLICY, "folder/link.yaml": link, "folder/p.yaml": POLICY })
    repository.git(["reset", "-q", "--hard"])
    execFileSync("sh", ["-c", "mkfifo fifo"], { cwd: repository.path })
    // No file can take the place of what a commit holds.
    repository.write({ "nonsense:p.yaml": POLICY })
    expect(await codeOf(repository.file(where))).toMatch(new RegExp(`^${code} `))
  })

  test("in a file, from where the caller says", async () => {
    const repository = new Repository()
    repository.write({ ".gitsign/policy.yaml": WITH_KEYS, ".gitsign/keys/allowed_signers": SSH_LINE })
    const paths = [".gitsign/policy.yaml", ".gitsign/keys/allowed_signers"]
    for (const [where, cwd] of [
      [".gitsign/policy.yaml", repository.path],
      ["policy.yaml", join(repository.path, ".gitsign")],
      [join(repository.path, ".gitsign/policy.yaml"), "/"],
    ] as const) {
      const found = await repository.file(where, cwd)
      expect(found.source).toBe(where)
      expect(found.paths).toEqual(paths)
    }
  })

  test("in a file outside of any repository", async () => {
    const folder = mkdtempSync(join(root, "outside "))
    writeFileSync(join(folder, "policy.yaml"), POLICY)
    const found = await readPolicy({ cwd: folder, env: ENV }, folder, "policy.yaml")
    expect(found.paths).toEqual([])
    const repository = new Repository()
    expect((await repository.file(join(folder, "policy.yaml"))).paths).toEqual([])
    const bare = new Repository("--bare")
    expect((await bare.file(join(folder, "policy.yaml"))).paths).toEqual([])
  })

  test("in a file that is a link, or behind one in the work tree", async () => {
    const repository = new Repository()
    repository.write({
      "real/policy.yaml": POLICY,
      "real/keys/allowed_signers": SSH_LINE,
      "with/policy.yaml": WITH_KEYS,
    })
    symlinkSync("real/policy.yaml", join(repository.path, "link.yaml"))
    symlinkSync("nowhere", join(repository.path, "dangling.yaml"))
    symlinkSync("real", join(repository.path, "linked"))
    symlinkSync(".", join(repository.path, "round"))
    symlinkSync("../real/keys", join(repository.path, "with/keys"))
    for (const where of ["link.yaml", "dangling.yaml", "linked/policy.yaml", "round/real/policy.yaml"]) {
      expect(await codeOf(repository.file(where)), where).toMatch(/^ERR_POLICY_FILE .* is a link$/)
    }
    expect(await codeOf(repository.file("with/policy.yaml"))).toMatch(
      /^ERR_POLICY_FILE keys on the way to .* is a link$/,
    )
    // Where the repository lies is the business of its owner.
    symlinkSync(repository.path, join(root, "elsewhere"))
    const found = await repository.file(join(root, "elsewhere/real/policy.yaml"))
    expect(found.paths).toEqual(["real/policy.yaml"])
  })

  test("in a huge file", async () => {
    const repository = new Repository()
    repository.write({ "policy.yaml": Buffer.alloc(1024 * 1024 + 1, 35) })
    expect(await codeOf(repository.file("policy.yaml"))).toMatch(/^ERR_POLICY_LIMIT /)
  })

  test("gives the text as it is, and what lies beside it", async () => {
    const repository = new Repository()
    repository.commit({ "a/p.yaml": "not: [yaml", "a/tests.yaml": "x\n", "b.yaml": "y\n" })
    const open = await openPolicy(repository.context, "/", "main:a/p.yaml")
    expect(open.text.toString()).toBe("not: [yaml")
    expect((await open.beside("tests.yaml"))?.toString()).toBe("x\n")
    expect(await open.beside("nothing.yaml")).toBeUndefined()
    expect(await codeOf(open.beside("../b.yaml"))).toMatch(/^ERR_POLICY_FILE /)
    expect(await codeOf(open.beside("/etc/passwd"))).toMatch(/^ERR_POLICY_FILE /)
    await open.close()
  })
})

test.each([
  ["main:a.yaml", { revision: "main", path: "a.yaml" }],
  ["HEAD^{/fix: it}:a:b.yaml", { revision: "HEAD^{/fix: it}", path: "a:b.yaml" }],
  ["C:x.yaml", { revision: "C", path: "x.yaml" }],
  ["C:/x.yaml", undefined],
  ["C:\\x.yaml", undefined],
  ["./main:a.yaml", undefined],
  ["/main:a.yaml", undefined],
  ["policy.yaml", undefined],
])("%s", (where, expected) => {
  expect(splitRevision(where)).toEqual(expected)
})
