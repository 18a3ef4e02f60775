/**
 * Certificates for the tests of the network peers, made with pkijs (RFC 5280): a server's for TLS, and a leaf for a key.
 *
 * @module
 */

import { createPublicKey, generateKeyPairSync, type KeyObject, webcrypto } from "node:crypto"
import * as asn1js from "asn1js"
import * as pkijs from "pkijs"
import { encodePem } from "../../src/formats/pem.ts"

const engine = new pkijs.CryptoEngine({ name: "node", crypto: webcrypto })

/** A fresh P-256 key pair. */
export interface TestKey {
  readonly privateKey: KeyObject
  readonly publicKeyDer: Buffer
  readonly publicKeyPem: string
}

export function testKey(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  return {
    privateKey,
    publicKeyDer: publicKey.export({ type: "spki", format: "der" }),
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  }
}

/**
 * A certificate (DER) for the key, valid for a day around now.
 *
 * @param host a DNS name for subjectAltName; the certificate signs itself when it is given, so that a client can trust it
 */
export async function testCertificate(key: TestKey, host?: string): Promise<Buffer> {
  const certificate = new pkijs.Certificate({ version: 2, serialNumber: new asn1js.Integer({ value: Date.now() }) })
  certificate.issuer.typesAndValues.push(
    new pkijs.AttributeTypeAndValue({ type: "2.5.4.3", value: new asn1js.Utf8String({ value: "test" }) }),
  )
  if (host !== undefined) certificate.subject = certificate.issuer
  certificate.notBefore.value = new Date(Date.now() - 43_200_000)
  certificate.notAfter.value = new Date(Date.now() + 43_200_000)
  const spki = createPublicKey({ key: key.publicKeyDer, type: "spki", format: "der" }).export({ format: "jwk" })
  const algorithm = { name: "ECDSA", namedCurve: "P-256" }
  const publicKey = await webcrypto.subtle.importKey("jwk", spki, algorithm, true, ["verify"])
  await certificate.subjectPublicKeyInfo.importKey(publicKey, engine)
  const name = host === undefined ? { type: 1, value: "dev@example.com" } : { type: 2, value: host }
  const names = new pkijs.GeneralNames({
    names: [new pkijs.GeneralName(name as ConstructorParameters<typeof pkijs.GeneralName>[0])],
  })
  certificate.extensions = [
    new pkijs.Extension({ extnID: "2.5.29.17", critical: false, extnValue: names.toSchema().toBER() }),
  ]
  const pkcs8 = key.privateKey.export({ type: "pkcs8", format: "der" })
  const signer = await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"])
  await certificate.sign(signer, "SHA-256", engine)
  return Buffer.from(certificate.toSchema(true).toBER())
}

/** Key and certificate of a TLS server, in PEM. */
export async function tlsIdentity(host: string): Promise<{ key: string; cert: string }> {
  const key = testKey()
  const cert = encodePem("CERTIFICATE", await testCertificate(key, host))
  return { key: key.privateKey.export({ type: "pkcs8", format: "pem" }).toString(), cert }
}
