/**
 * Proxies: which request goes through one, and what happens when it does.
 *
 * @module
 */

import { beforeAll, describe, expect, test } from "vitest"
import { type ProxySettings, proxyFor } from "../../src/services/proxy.ts"
import { tlsIdentity } from "./certificates.ts"
import { httpsBehindProxy } from "./https-proxy.ts"
import { closedPort, rawServer, testClient } from "./loopback.ts"

const HOST = "fulcio.test"
let identity: { key: string; cert: string }

beforeAll(async () => {
  identity = await tlsIdentity(HOST)
})

describe("the proxy for an address", () => {
  const settings = (noProxy = ""): ProxySettings => ({ httpsProxy: "http://proxy.test:3128", noProxy })
  const goesThrough = (url: string, noProxy?: string): boolean =>
    proxyFor(new URL(url), settings(noProxy)) !== undefined

  test.each([
    ["https://example.com/", undefined, true],
    ["https://example.com/", "", true],
    ["https://example.com/", "*", false],
    ["https://example.com/", "example.com", false],
    ["https://a.example.com/", "example.com", false],
    ["https://a.example.com/", "EXAMPLE.com", false],
    ["https://a.example.com/", "other.org, .example.com", false],
    ["https://example.com/", ".example.com", true],
    ["https://a.example.com/", "*.example.com", false],
    ["https://badexample.com/", "example.com", true],
    ["https://example.com/", "example.com:443", false],
    ["https://example.com/", "example.com:8443", true],
    ["https://example.com:8443/", "example.com:8443", false],
    ["https://10.1.2.3/", "10.0.0.0/8", false],
    ["https://11.1.2.3/", "10.0.0.0/8", true],
    ["https://10.1.2.3/", "10.1.2.3", false],
    ["https://[fd00::1]/", "fd00::/8", false],
    ["https://[fd00::1]/", "fd00::1", false],
    ["https://[fd00::1]/", "10.0.0.0/8", true],
    ["https://10.1.2.3/", "10.0.0.0/99,/,:,::/0,x/y", true],
    ["https://localhost:8443/", undefined, false],
    ["https://127.0.0.1/", undefined, false],
    ["https://[::1]/", undefined, false],
  ])("%s with NO_PROXY=%s: %s", (url, noProxy, through) => {
    expect(goesThrough(url, noProxy)).toBe(through)
  })

  test("is none without the setting, and may lack its scheme", () => {
    const url = new URL("https://example.com/")
    expect(proxyFor(url, {})).toBeUndefined()
    expect(proxyFor(url, { httpsProxy: " " })).toBeUndefined()
    expect(proxyFor(url, { httpsProxy: "proxy.test:3128" })?.href).toBe("http://proxy.test:3128/")
  })

  test.each(["socks5://user:secret@proxy.test", "http://", "http://user:secret@:1", "ftp://x"])(
    "is refused: %s",
    (httpsProxy) => {
      const attempt = () => proxyFor(new URL("https://example.com/"), { httpsProxy })
      expect(attempt).toThrow(expect.objectContaining({ code: "ERR_CONFIG" }))
      expect(attempt).not.toThrow(/secret/)
    },
  )
})

/** An https server that says what it was asked for, behind a proxy. */
const serverBehindProxy = () =>
  httpsBehindProxy(identity, (request, response) => response.end(`you asked for ${request.url}`))

describe("through a proxy", () => {
  const url = `https://${HOST}/path`

  test("a request reaches the server, and the proxy gets its password", async () => {
    const { proxy, connects } = await serverBehindProxy()
    const http = testClient({ proxy: { httpsProxy: `http://user:p%40ss@${proxy}` }, extraCa: identity.cert })
    for (let i = 0; i < 2; i++) {
      const response = await http.request({ url })
      expect(response).toMatchObject({ status: 200, peer: HOST })
      expect(response.body.toString()).toBe("you asked for /path")
    }
    const authorization = `Basic ${Buffer.from("user:p@ss").toString("base64")}`
    expect(connects).toEqual([
      { target: `${HOST}:443`, authorization },
      { target: `${HOST}:443`, authorization },
    ])
  })

  test("a certificate from an unknown authority or for another name is refused", async () => {
    const { proxy } = await serverBehindProxy()
    const stranger = testClient({ proxy: { httpsProxy: proxy } })
    await expect(stranger.request({ url })).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: `${HOST} has a certificate from an authority that this machine does not trust`,
    })
    const http = testClient({ proxy: { httpsProxy: proxy }, extraCa: identity.cert })
    await expect(http.request({ url: "https://rekor.test/" })).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: "rekor.test has a certificate for another name",
    })
  })

  test("a proxy's own answer is never taken for the server's", async () => {
    for (const [status, why] of [
      [407, "it asks for a name and a password"],
      [403, "status 403"],
      [201, "status 201"],
    ] as const) {
      const forged = `HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`
      const proxy = await rawServer((socket) => socket.end(forged))
      const http = testClient({ proxy: { httpsProxy: `http://localhost:${proxy.port}` }, extraCa: identity.cert })
      await expect(http.request({ url, method: "POST" })).rejects.toMatchObject({
        code: "ERR_NETWORK",
        message: `the proxy localhost:${proxy.port} refused to connect to ${HOST}: ${why}`,
      })
    }
  })

  test("a proxy that hangs ends at the deadline, and its connection with it", async () => {
    let closed: () => void
    const closing = new Promise<void>((resolve) => {
      closed = resolve
    })
    const proxy = await rawServer((socket) => socket.on("close", () => closed()))
    const http = testClient({ proxy: { httpsProxy: `http://localhost:${proxy.port}` } })
    await expect(http.request({ url, timeoutMs: 200 })).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: `${HOST} did not answer within 0.2 s`,
    })
    await closing
  })

  test("a proxy that is not there, and one that speaks something else", async () => {
    const port = await closedPort()
    const http = testClient({ proxy: { httpsProxy: `http://localhost:${port}` } })
    await expect(http.request({ url })).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: `the proxy localhost:${port} refused the connection`,
    })
    const garbage = await rawServer((socket) => socket.end("220 mail.example ESMTP\r\n\r\n"))
    const other = testClient({ proxy: { httpsProxy: `http://localhost:${garbage.port}` }, timeoutMs: 1000 })
    await expect(other.request({ url })).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: `the proxy localhost:${garbage.port} does not answer as a proxy`,
    })
  })
})
