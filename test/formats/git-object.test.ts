/**
 * Payload and signature of git objects: taken apart and put together again without loss.
 *
 * @module
 */

import { describe, expect, test } from "vitest"
import {
  formatOfPayload,
  joinSignedObject,
  loggedObjectIds,
  type ObjectFormat,
  objectId,
  parseSignedObject,
} from "../../src/formats/git-object.ts"
import { type Case, casesOf } from "../support/fixtures.ts"
import { signedOf } from "../support/verify-case.ts"

const readable = ["commits", "tags"]
  .flatMap(casesOf)
  .filter(({ expect, name }) => expect === "verified" || (name.startsWith("real") && expect !== "ERR_NOT_SIGNED"))

test.each(readable.map((one): [string, Case] => [`${one.kind}/${one.name}`, one]))("%s", (_, one) => {
  const raw = one.read("object")
  const format = (one.fields.get("object-format") ?? "sha1") as ObjectFormat
  const type = one.kind === "tags" ? "tag" : "commit"
  const { payload, signature } = parseSignedObject(type, raw, format)
  expect(formatOfPayload(payload)).toEqual({ type, objectFormat: format })
  const header = type === "tag" ? "appended" : format === "sha1" ? "gpgsig" : "gpgsig-sha256"
  const joined = joinSignedObject(payload, signature ?? new Uint8Array(), header)
  // Headers of the other hash algorithm and empty continuation lines are the two things that are not git's own doing.
  if (!/both-formats|other-format-header|blank-line/.test(one.name)) expect(Buffer.from(joined).equals(raw)).toBe(true)
  const again = parseSignedObject(type, joined, format)
  expect(Buffer.from(again.payload).equals(payload)).toBe(true)
})

describe("online mode", () => {
  test("the first id is the one that git gives the object", () => {
    for (const one of readable.filter(({ expect }) => expect === "ERR_LOG_ENTRY_UNAVAILABLE")) {
      const { payload, signature } = signedOf(one)
      expect(loggedObjectIds(payload ?? new Uint8Array(), signature)[0], one.name).toBe(one.fields.get("object-id"))
    }
  })
  test("in a SHA-256 repository it is of 64 digits, and Go's id of 40 is a candidate too", () => {
    const payload = Buffer.from(`tree ${"6e".repeat(32)}\nauthor a <a> 1 +0000\n\nx`)
    const lengths = loggedObjectIds(payload, Buffer.from("-----BEGIN\n")).map(({ length }) => length)
    expect(lengths[0]).toBe(64)
    expect(lengths).toContain(40)
  })
})

describe("bytes are kept as they are", () => {
  const signature = Buffer.from("-----BEGIN SIGNED MESSAGE-----\nAA==\n-----END SIGNED MESSAGE-----\n")
  const HEAD = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n"

  test.each([
    ["a line of 70 KiB", `${HEAD}\n${"x".repeat(70 * 1024)}\n`],
    ["no final line feed", `${HEAD}\nx`],
    ["CRLF", `${HEAD}\nx\r\ny\r\n`],
    ["no message", `${HEAD}\n`],
    ["headers alone", HEAD],
    ["a multi-line header", `${HEAD}mergetag object 1\n type commit\n \n  two spaces\n\nx\n`],
    ["a NUL", `${HEAD}\nx\0y\n`],
    ["octets that are not UTF-8", `${HEAD}\n\xff\xfe\n`],
    ["a signature marker in the message", `${HEAD}\n-----BEGIN SIGNED MESSAGE-----\n`],
    ["gpgsig in the message", `${HEAD}\ngpgsig -----BEGIN SIGNED MESSAGE-----\n`],
  ])("%s", (_, text) => {
    const payload = Buffer.from(text, "latin1")
    const raw = joinSignedObject(payload, signature, "gpgsig")
    const parsed = parseSignedObject("commit", raw, "sha1")
    expect(Buffer.from(parsed.payload).equals(payload)).toBe(true)
    expect(Buffer.from(parsed.signature ?? []).equals(signature)).toBe(true)
  })

  test("the id is git's", () => {
    expect(objectId("commit", Buffer.alloc(0), "sha1")).toBe("dcf5b16e76cce7425d0beaef62d79a7d10fce1f5")
  })
})
