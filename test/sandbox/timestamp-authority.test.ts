/**
 * The sandbox's timestamps, asked for and verified by openssl, and read by our own strict parser.
 *
 * @module
 */

import { execFileSync, spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { get, temporarySandbox } from "./client.ts"

let box: Awaited<ReturnType<typeof temporarySandbox>>
beforeAll(async () => {
  box = await temporarySandbox()
  const [signer = "", root = ""] = readFileSync(file("tsa-chain.pem"), "utf8").split(/(?<=END CERTIFICATE-----\n)/)
  writeFileSync(file("tsa-signer.pem"), signer)
  writeFileSync(file("tsa-root.pem"), root)
  writeFileSync(file("data.tmp"), "some data")
})
afterAll(() => box.remove())

const file = (name: string): string => join(box.sandbox.directory, name)
const openssl = (...args: string[]): string => execFileSync("openssl", args, { encoding: "utf8", stdio: "pipe" })

/** Sends a query that openssl made with these options; returns the answer's status, type and bytes. */
async function ask(options: readonly string[]): Promise<{ status: number; type: string | null; body: Buffer }> {
  openssl("ts", "-query", "-data", file("data.tmp"), ...options, "-out", file("query.tmp"))
  return send(readFileSync(file("query.tmp")))
}

async function send(query: Buffer, type = "application/timestamp-query"): ReturnType<typeof ask> {
  const response = await fetch(box.sandbox.urls.timestamp, {
    method: "POST",
    headers: { "content-type": type },
    body: Uint8Array.from(query),
  })
  const body = Buffer.from(await response.arrayBuffer())
  writeFileSync(file("reply.tmp"), body)
  return { status: response.status, type: response.headers.get("content-type"), body }
}

describe("a timestamp", () => {
  test.each([
    ["sha256", []],
    ["sha384", []],
    ["sha512", []],
    ["sha256", ["-no_nonce"]],
    ["sha256", ["-tspolicy", "1.3.6.1.4.1.57264.2"]],
  ])("over %s %j is what openssl asked for, and openssl verifies it", async (hash, options) => {
    const { status, type } = await ask([`-${hash}`, "-cert", ...options])
    expect([status, type]).toEqual([200, "application/timestamp-reply"])
    const root = file("tsa-root.pem")
    expect(
      openssl("ts", "-verify", "-queryfile", file("query.tmp"), "-in", file("reply.tmp"), "-CAfile", root),
    ).toContain("OK")
    expect(openssl("ts", "-verify", "-data", file("data.tmp"), "-in", file("reply.tmp"), "-CAfile", root)).toContain(
      "OK",
    )
    const text = openssl("ts", "-reply", "-in", file("reply.tmp"), "-text")
    expect(text).toMatch(/Status: Granted\./)
    expect(text).toMatch(/Policy OID: 1\.3\.6\.1\.4\.1\.57264\.2/)
    const [, time = ""] = /Time stamp: (.*)/.exec(text) ?? []
    expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000)
    writeFileSync(file("other.tmp"), "other data")
    const other = ["ts", "-verify", "-data", file("other.tmp"), "-in", file("reply.tmp"), "-CAfile", root]
    expect(spawnSync("openssl", other).status).not.toBe(0)
  })

  test("carries the certificate only when it was asked for", async () => {
    const bytes = Buffer.from(readFileSync(file("tsa-signer.pem"), "utf8").replace(/-----[^-]+-----|\s/g, ""), "base64")
    const [withIt, without] = [await ask(["-sha256", "-cert"]), await ask(["-sha256"])]
    expect(withIt.body.includes(bytes)).toBe(true)
    expect(without.body.includes(bytes)).toBe(false)
    const args = ["-in", file("reply.tmp"), "-CAfile", file("tsa-root.pem"), "-untrusted", file("tsa-signer.pem")]
    expect(openssl("ts", "-verify", "-queryfile", file("query.tmp"), ...args)).toContain("OK")
  })

  test("is signed by a certificate whose only and critical purpose is timestamping", () => {
    const text = openssl("x509", "-in", file("tsa-signer.pem"), "-noout", "-ext", "extendedKeyUsage")
    expect(text).toMatch(/critical\s+Time Stamping\s*$/)
  })
})

describe("refusals", () => {
  test("weak and unknown digests, other policies", async () => {
    expect((await ask(["-sha1"])).status).toBe(400)
    expect((await ask(["-md5"])).status).toBe(400)
    const { status, body } = await ask(["-sha256", "-tspolicy", "1.2.3.4"])
    expect([status, JSON.parse(body.toString()).message]).toEqual([
      400,
      "unaccepted policy: requested TSA policy is not supported by the TSA",
    ])
  })

  test("what is no query", async () => {
    for (const bytes of ["", "x", "\x30\x00", "\x30\x03\x02\x01\x01"]) {
      expect((await send(Buffer.from(bytes, "latin1"))).status).toBe(400)
    }
    expect((await send(Buffer.from("{}"), "application/json")).status).toBe(415)
    await ask(["-sha256", "-cert"])
    const query = readFileSync(file("query.tmp"))
    // The digest's last octet goes, and every length around it shrinks.
    const digest = query.indexOf(Buffer.of(0x04, 0x20))
    const short = Buffer.concat([query.subarray(0, digest + 33), query.subarray(digest + 34)])
    for (const at of [1, 6, digest + 1]) short[at] = (short[at] ?? 0) - 1
    const { status, body } = await send(short)
    expect(status).toBe(400)
    expect(JSON.parse(body.toString()).message).toMatch(/digest has incorrect length|Error generating/)
  })
})

test("the chain can be fetched", async () => {
  const answer = await get(`${box.sandbox.urls.timestamp}/certchain`)
  expect(answer.text).toBe(readFileSync(file("tsa-chain.pem"), "utf8"))
})
