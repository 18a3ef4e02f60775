/**
 * The pages of the login as text: nothing from outside becomes HTML, every page has its landmarks, and colours have their contrast.
 *
 * @module
 */

import { createHash } from "node:crypto"
import { describe, expect, test } from "vitest"
import {
  failurePage,
  finishedPage,
  type LoginPage,
  loggedInPage,
  questionPage,
  refusedPage,
  strayPage,
} from "../../../src/services/oidc/login-page.ts"

const EVIL = `</bdi><script>alert(1)</script><a href='x' title="y">&amp;`

const publication = { who: EVIL, log: EVIL, remarks: [EVIL, "another"], needsConsent: true }

const PAGES: readonly [string, LoginPage][] = [
  ["logged in", loggedInPage({ ...publication, remarks: [] }, 6)],
  ["logged in, with remarks", loggedInPage(publication, 6)],
  ["question", questionPage(publication, `/answer/"${EVIL}`)],
  ["refused", refusedPage()],
  ["failure", failurePage({ message: EVIL, hint: EVIL })],
  ["finished", finishedPage()],
  ["stray", strayPage(404, EVIL)],
]

const policyOf = (page: LoginPage): string => page.headers["content-security-policy"] ?? ""
const allowed = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

describe.each(PAGES)("the page %s", (_, page) => {
  test("has a language, a title, landmarks and one heading of the first rank", () => {
    expect(page.html).toMatch(/^<!doctype html>\n<html lang="en">/)
    expect(page.html).toMatch(/<title>[^<]+ – gitsign<\/title>/)
    for (const tag of ["header", "main", "h1"]) expect(page.html.split(`<${tag}>`)).toHaveLength(2)
    expect(page.html).toContain('name="viewport"')
  })

  test("makes no HTML of what comes from outside", () => {
    expect(page.html).not.toContain("<script>alert")
    expect(page.html).not.toContain("<a ")
    expect(page.html.match(/<bdi>/g)?.length).toBe(page.html.match(/<\/bdi>/g)?.length)
  })

  test("allows its own style and script, and loads, sends and frames nothing else", () => {
    const style = /<style>([^<]*)<\/style>/.exec(page.html)?.[1] ?? ""
    const script = /<script>([^<]*)<\/script>/.exec(page.html)?.[1]
    expect(policyOf(page).split("; ")).toEqual([
      "default-src 'none'",
      `style-src ${allowed(style)}`,
      `script-src ${script === undefined ? "'none'" : allowed(script)}`,
      `form-action ${page.html.includes("<form") ? "'self'" : "'none'"}`,
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ])
    expect(page.html.replace(/"[^"]*"/g, "")).not.toMatch(/<[^>]*\s(src|href|style|on\w+)=/)
    expect(page.headers["cache-control"]).toBe("no-store")
  })
})

test("a page closes itself only when it was asked to and nothing on it has to be read", () => {
  const short = { ...publication, remarks: [] }
  expect(loggedInPage(short, 6).html).toContain("setTimeout(close,6000)")
  expect(loggedInPage(short, -1).html).toContain("setTimeout(close,0)")
  expect(loggedInPage(short).html).not.toContain("<script")
  expect(loggedInPage(publication, 6).html).not.toContain("<script")
})

describe("colours have the contrast that WCAG 2.2 asks for (1.4.3, 1.4.11)", () => {
  const css = /<style>([^<]*)<\/style>/.exec(refusedPage().html)?.[1] ?? ""
  const themes = [...css.matchAll(/:root \{([^}]*)\}/g)].map(
    (match) =>
      new Map([...(match[1] ?? "").matchAll(/--([\w-]+): #([0-9a-f]+)/g)].map((one) => [one[1] ?? "", one[2] ?? ""])),
  )
  const luminance = (hex: string): number => {
    const full = hex.length === 3 ? hex.replace(/./g, "$&$&") : hex
    const [red = 0, green = 0, blue = 0] = [0, 2, 4].map((at) => {
      const value = Number.parseInt(full.slice(at, at + 2), 16) / 255
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const contrast = (theme: ReadonlyMap<string, string>, one: string, other: string): number => {
    const [low = 0, high = 0] = [luminance(theme.get(one) ?? ""), luminance(theme.get(other) ?? "")].sort(
      (a, b) => a - b,
    )
    return (high + 0.05) / (low + 0.05)
  }

  test("in light and in dark", () => {
    expect(themes).toHaveLength(2)
    for (const theme of themes) {
      for (const [text, ground] of [
        ["ink", "paper"],
        ["ink", "field"],
        ["soft", "paper"],
        ["soft", "field"],
        ["act", "paper"],
        ["on-act", "act"],
        ["good", "paper"],
        ["bad", "paper"],
        ["look", "paper"],
      ] as const) {
        expect(contrast(theme, text, ground), `${text} on ${ground}`).toBeGreaterThanOrEqual(4.5)
      }
    }
  })
})
