// Stands in for a person with a browser: opens the login address, fills in the form, follows every redirect.
// Usage: node browser.mjs continue|deny|never|paste EMAIL URL. GITSIGN_TEST_LOGINS names a file that gets a line for each login. `paste` is a
// browser on another machine: it prints the address that it could not open. An URL of - is the login page that stdin shows.
import { appendFileSync, readFileSync } from "node:fs"

const [answer, email, given] = process.argv.slice(2)
const first = given === "-" ? /https?:\/\/\S+\/auth\?\S+/.exec(readFileSync(0, "utf8"))?.[0] : given
if (process.env.GITSIGN_TEST_LOGINS) appendFileSync(process.env.GITSIGN_TEST_LOGINS, `${answer} ${email}\n`)
const cookies = new Map()

async function visit(address, init = {}) {
  let url = new URL(address)
  let options = init
  for (let i = 0; i < 20; i++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ")
    const response = await fetch(url, { ...options, redirect: "manual", headers: { ...options.headers, cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [name, ...value] = line.split(";")[0].split("=")
      cookies.set(name, value.join("="))
    }
    const location = response.headers.get("location")
    if (location === null) return { url, html: await response.text() }
    url = new URL(location, url)
    if (answer === "paste" && url.searchParams.has("code")) {
      process.stdout.write(`${url.href}\r`)
      process.exit()
    }
    options = {}
  }
  throw new Error("too many redirects")
}

if (answer !== "never") {
  const { url, html } = await visit(first)
  const action = /<form[^>]*action="([^"]*)"/.exec(html)?.[1]
  if (action !== undefined) {
    const target = new URL(
      action.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))),
      url,
    )
    const asked = await visit(target, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ email, answer: answer === "deny" ? "deny" : "continue" }).toString(),
    })
    // gitsign's own question: whether the identity may be published.
    const question = /<form[^>]*action="([^"]*)"/.exec(asked.html)?.[1]
    if (question !== undefined) {
      if (process.env.GITSIGN_TEST_LOGINS) appendFileSync(process.env.GITSIGN_TEST_LOGINS, `agreed ${email}\n`)
      await visit(new URL(question, asked.url), {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", origin: asked.url.origin },
        body: "answer=yes",
      })
    }
  }
}
