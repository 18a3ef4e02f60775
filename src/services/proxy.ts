/**
 * Which proxy a request goes through: HTTPS_PROXY and NO_PROXY, read as curl and Go's net/http read them.
 *
 * @module
 */

import { BlockList, isIP } from "node:net"
import { GitsignError } from "../errors.ts"
import { isLoopbackHost } from "./loopback-host.ts"

/** The proxy settings of the environment, as text. Plain http reaches only this machine, so HTTP_PROXY has no use. */
export interface ProxySettings {
  /** HTTPS_PROXY or https_proxy: `http://[user:password@]host:port`, `https://…`, or `host:port`. */
  readonly httpsProxy?: string | undefined
  /** NO_PROXY or no_proxy: comma separated names (with their subdomains), addresses, networks, or `*`. */
  readonly noProxy?: string | undefined
}

/**
 * The proxy for `url`, or undefined when it is reached directly; this machine always is.
 *
 * @throws ERR_CONFIG when the proxy setting is not the address of an HTTP proxy; the message never shows the setting,
 * which may hold a password
 */
export function proxyFor(url: URL, settings: ProxySettings): URL | undefined {
  const text = settings.httpsProxy?.trim()
  if (!text || isLoopbackHost(url.hostname) || isExempt(url, settings.noProxy ?? "")) return undefined
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const proxy = URL.canParse(address) ? new URL(address) : undefined
  if (proxy === undefined || proxy.hostname === "") {
    throw new GitsignError("ERR_CONFIG", "HTTPS_PROXY is not the address of a proxy", {
      hint: "set it like this: HTTPS_PROXY=http://proxy.example.com:3128",
    })
  }
  if (proxy.protocol !== "http:" && proxy.protocol !== "https:") {
    throw new GitsignError(
      "ERR_CONFIG",
      `HTTPS_PROXY names a ${proxy.protocol.slice(0, -1)} proxy, which is not supported`,
      {
        hint: "set it like this: HTTPS_PROXY=http://proxy.example.com:3128",
      },
    )
  }
  return proxy
}

function isExempt(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase()
  const port = url.port || "443"
  return noProxy.split(",").some((item) => {
    const pattern = item.trim().toLowerCase()
    if (pattern === "") return false
    if (pattern === "*") return true
    if (pattern.includes("/")) return isInNetwork(host, pattern)
    const [, name = pattern, patternPort] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(pattern) ?? []
    if (patternPort !== undefined && patternPort !== port) return false
    const bare = name.replace(/^\[|\]$/g, "")
    if (isIP(bare)) return bare === host
    const suffix = bare.replace(/^\*?\./, "")
    return suffix !== "" && (host.endsWith(`.${suffix}`) || (suffix === bare && host === bare))
  })
}

function isInNetwork(host: string, network: string): boolean {
  const family = isIP(host)
  const [address = "", prefix = ""] = network.split("/")
  const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN
  if (family === 0 || isIP(address) !== family || !(bits <= (family === 4 ? 32 : 128))) return false
  const kind = family === 4 ? "ipv4" : "ipv6"
  const list = new BlockList()
  list.addSubnet(address, bits, kind)
  return list.check(host, kind)
}
