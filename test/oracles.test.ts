/**
 * Programs that we did not write agree: openssl on our signatures and timestamps, pkijs on what we read in real ones, git on
 * what is the payload of an object.
 *
 * @module
 */

import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as pkijs from "pkijs"
import { afterAll, describe, expect, test } from "vitest"
import { CMS_OID, parseSignedData, single } from "../src/formats/cms.ts"
import { type ObjectFormat, parseSignedObject } from "../src/formats/git-object.ts"
import { decodeSignatureArmor, encodePem } from "../src/formats/pem.ts"
import { parseTimeStampToken } from "../src/formats/tsp.ts"
import { parseCertificate } from "../src/formats/x509.ts"
import { sign } from "../src/sign/sign.ts"
import { type Case, caseNamed, casesOf, trustedRootOf } from "./support/fixtures.ts"
import { NOW } from "./support/made/certificates.ts"
import { signRequest, TRUSTED_ROOT, timestampAuthority } from "./support/made/ports.ts"
import { PAYLOAD } from "./support/made/signatures.ts"
import { signedOf } from "./support/verify-case.ts"

const folder = mkdtempSync(join(tmpdir(), "gitsign-oracles-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string, content: Uint8Array | string): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const pems = (chain: readonly Uint8Array[]): string => chain.map((der) => encodePem("CERTIFICATE", der)).join("")

const has = (program: string, version: RegExp): boolean => {
  const { status, stdout } = spawnSync(program, ["version"], { encoding: "utf8" })
  return status === 0 && version.test(stdout)
}

describe.skipIf(!has("openssl", /^OpenSSL [3-9]/))("openssl (skipped where version 3 is not installed)", () => {
  const openssl = (...args: string[]): { ok: boolean; text: string } => {
    const { status, stdout, stderr } = spawnSync("openssl", args, { encoding: "utf8" })
    return { ok: status === 0, text: stdout + stderr }
  }
  const at = String(NOW.getTime() / 1000 + 60)
  const fulcio = file("fulcio.pem", pems(TRUSTED_ROOT.certificateAuthorities[0]?.certChain ?? []))
  const tsa = file("tsa.pem", pems(TRUSTED_ROOT.timestampAuthorities[0]?.certChain ?? []))

  const cmsVerify = (der: Uint8Array, ...more: string[]) =>
    openssl(
      "cms",
      "-verify",
      "-binary",
      "-inform",
      "DER",
      "-in",
      file("signature", der),
      "-out",
      join(folder, "out"),
      ...more,
    )
  const trusted = ["-CAfile", fulcio, "-purpose", "any", "-attime", at]

  test.each([
    ["offline", {}],
    ["online", { mode: "online" }],
    ["with a timestamp", { timestamp: timestampAuthority }],
  ] as const)("accepts our CMS: %s", async (_, changes) => {
    const { der } = await sign(await signRequest(changes))
    const content = file("payload", PAYLOAD)
    expect(cmsVerify(der, "-content", content, ...trusted)).toMatchObject({ ok: true })
    expect(readFileSync(join(folder, "out")).equals(PAYLOAD)).toBe(true)
    const changed = file("payload", Buffer.concat([PAYLOAD, Buffer.of(0)]))
    expect(cmsVerify(der, "-content", changed, ...trusted)).toMatchObject({ ok: false })
  })

  test("accepts our CMS with the payload in it", async () => {
    const { der } = await sign(await signRequest({ detached: false }))
    expect(cmsVerify(der, ...trusted)).toMatchObject({ ok: true })
    expect(readFileSync(join(folder, "out")).equals(PAYLOAD)).toBe(true)
  })

  test("refuses what the authority did not issue", async () => {
    const { der } = await sign(await signRequest())
    const content = file("payload", PAYLOAD)
    const { ok, text } = cmsVerify(der, "-content", content, "-CAfile", tsa, "-purpose", "any", "-attime", at)
    expect(ok).toBe(false)
    expect(text).toMatch(/unable to get (local )?issuer certificate/)
  })

  /** The timestamp of a signature, checked over the signature's octets. */
  const tsVerify = (der: Uint8Array, chain: string, time: string, over?: Uint8Array) => {
    const { signerInfo } = parseSignedData(der)
    const token = file("token", single(signerInfo.unsignedAttrs, CMS_OID.timeStampToken, "timestamp"))
    const data = file("stamped", over ?? signerInfo.signature)
    return openssl("ts", "-verify", "-token_in", "-in", token, "-data", data, "-CAfile", chain, "-attime", time)
  }

  test("accepts the timestamps in our signatures", async () => {
    const { der } = await sign(await signRequest({ timestamp: timestampAuthority }))
    expect(tsVerify(der, tsa, at)).toMatchObject({ ok: true })
    expect(tsVerify(der, tsa, at, Buffer.from("something else"))).toMatchObject({ ok: false })
  })

  test("accepts the timestamps that we accept in the Go gitsign's", () => {
    const one = caseNamed("commits", "go-offline-tsa")
    const chain = file("go-tsa.pem", pems(trustedRootOf(one).timestampAuthorities[0]?.certChain ?? []))
    const der = decodeSignatureArmor(signedOf(one).signature)
    const { signerInfo } = parseSignedData(der)
    const token = parseTimeStampToken(single(signerInfo.unsignedAttrs, CMS_OID.timeStampToken, "timestamp"))
    expect(tsVerify(der, chain, String(token.tstInfo.genTime.getTime() / 1000))).toMatchObject({ ok: true })
  })

  const real = casesOf("commits").filter(({ name, expect: code }) => name.startsWith("real") && code === "verified")
  test.each(real.slice(0, 5).map((one): [string, Case] => [one.name, one]))("and %s", (_, one) => {
    const { payload = new Uint8Array(), signature } = signedOf(one)
    const der = decodeSignatureArmor(signature)
    expect(cmsVerify(der, "-content", file("payload", payload), "-noverify")).toMatchObject({ ok: true })
  })
})

describe("pkijs reads what we read", () => {
  const exact = (view: Uint8Array): ArrayBuffer => Uint8Array.from(view).buffer
  const signed = ["commits", "tags"]
    .flatMap(casesOf)
    .filter(
      (one) => /^(real|go|gitsign)/.test(one.name) && ["verified", "ERR_LOG_ENTRY_UNAVAILABLE"].includes(one.expect),
    )

  test.each(signed.map((one): [string, Case] => [`${one.kind}/${one.name}`, one]))("%s", (_, one) => {
    const der = decodeSignatureArmor(signedOf(one).signature)
    const ours = parseSignedData(der)
    const content = pkijs.ContentInfo.fromBER(exact(der))
    const theirs = new pkijs.SignedData({ schema: content.content })
    const [info] = theirs.signerInfos
    if (info === undefined || theirs.signerInfos.length !== 1) return expect.unreachable("not one signer")
    const hex = (bytes: Uint8Array | ArrayBuffer): string => Buffer.from(bytes as Uint8Array).toString("hex")

    expect((theirs.certificates ?? []).map((each) => hex(each.toSchema().toBER()))).toEqual(ours.certificates.map(hex))
    expect(hex(info.signature.valueBlock.valueHexView)).toBe(hex(ours.signerInfo.signature))
    const attributes = new Map(info.signedAttrs?.attributes.map(({ type, values }) => [type, values]))
    expect([...attributes.keys()]).toEqual([CMS_OID.contentType, CMS_OID.signingTime, CMS_OID.messageDigest])
    expect(hex(attributes.get(CMS_OID.messageDigest)?.[0].valueBlock.valueHexView)).toBe(
      hex(ours.signerInfo.messageDigest),
    )
    expect(attributes.get(CMS_OID.signingTime)?.[0].toDate()).toEqual(ours.signerInfo.signingTime)
    const unsigned = new Map(
      info.unsignedAttrs?.attributes.map(({ type, values }) => [type, values.map((v) => hex(v.toBER()))]),
    )
    expect(unsigned).toEqual(
      new Map([...ours.signerInfo.unsignedAttrs].map(([type, values]) => [type, values.map(hex)])),
    )
    const sid = info.sid as pkijs.IssuerAndSerialNumber
    expect(hex(sid.issuer.toSchema().toBER())).toBe(hex(ours.signerInfo.issuer))
    expect(hex(sid.serialNumber.valueBlock.valueHexView)).toBe(hex(ours.signerInfo.serialNumber))

    for (const leaf of ours.certificates.map(parseCertificate)) {
      const other = pkijs.Certificate.fromBER(exact(leaf.der))
      expect(other.notBefore.value).toEqual(leaf.notBefore)
      expect(other.notAfter.value).toEqual(leaf.notAfter)
      expect(other.signatureAlgorithm.algorithmId).toBe(leaf.signatureAlgorithm)
      expect(hex(other.subjectPublicKeyInfo.toSchema().toBER())).toBe(hex(leaf.subjectPublicKeyInfo))
      const extensions = other.extensions ?? []
      expect(extensions.map(({ extnID, critical }) => [extnID, critical])).toEqual(
        [...leaf.extensions].map(([id, { critical }]) => [id, critical]),
      )
      const names = extensions.find(({ extnID }) => extnID === "2.5.29.17")?.parsedValue as pkijs.AltName | undefined
      expect((names?.altNames ?? []).map(({ value }) => value)).toEqual(leaf.subjectAltNames.map(({ value }) => value))
      const usage = extensions.find(({ extnID }) => extnID === "2.5.29.37")?.parsedValue as
        | pkijs.ExtKeyUsage
        | undefined
      expect(usage?.keyPurposes ?? []).toEqual(leaf.extKeyUsage)
    }
  })
})

describe.skipIf(!has("git", /^git version/) || process.platform === "win32")(
  "git (skipped where it is not installed)",
  () => {
    // Stands in for gpg.x509.program: keeps what git hands over, and accepts everything.
    const program = file(
      "keep.sh",
      `#!/bin/sh\nfor last; do :; done\nfile=\nfor arg; do case "$arg" in --*) ;; -) ;; *) file="$arg" ;; esac; done\n` +
        `cp "$file" '${folder}/git-signature'\ncat > '${folder}/git-payload'\n` +
        `printf '[GNUPG:] NEWSIG\\n[GNUPG:] GOODSIG 0 x\\n[GNUPG:] TRUST_FULLY 0 shell\\n'\n`,
    )
    spawnSync("chmod", ["+x", program])
    const env = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" }
    const git = (format: ObjectFormat, args: readonly string[], input?: Uint8Array) =>
      spawnSync("git", ["-C", join(folder, format), "-c", `gpg.x509.program=${program}`, ...args], { env, input })
    for (const format of ["sha1", "sha256"])
      spawnSync("git", ["init", "-q", `--object-format=${format}`, join(folder, format)], { env })

    const picked =
      /plain|both-formats|sha256-repository|no-final|crlf|merge|change-id|go-offline$|blank-line|other-format-header|large|root|offline-tag/
    const objects = ["commits", "tags"]
      .flatMap(casesOf)
      .filter((one) => picked.test(one.name) && ["verified", "ERR_LOG_ENTRY_UNAVAILABLE"].includes(one.expect))

    test.each(objects.map((one): [string, Case] => [`${one.kind}/${one.name}`, one]))(
      "takes %s apart as we do",
      (_, one) => {
        const raw = one.read("object")
        const type = one.kind === "tags" ? "tag" : "commit"
        const format = (one.fields.get("object-format") ?? "sha1") as ObjectFormat
        const written = git(format, ["hash-object", "-t", type, "-w", "--stdin", "--literally"], raw)
        const id = written.stdout.toString().trim()
        expect(id).toBe(one.fields.get("object-id"))
        const { status, stderr } = git(format, [`verify-${type}`, id])
        expect(status, stderr.toString()).toBe(0)
        const ours = parseSignedObject(type, raw, format)
        const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
        expect(sha(readFileSync(join(folder, "git-payload")))).toBe(sha(ours.payload))
        expect(readFileSync(join(folder, "git-signature"), "latin1")).toBe(
          Buffer.from(ours.signature ?? []).toString("latin1"),
        )
      },
    )
  },
)
