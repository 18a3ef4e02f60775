// Stands in for a person with another device: opens the address, enters the code, approves or refuses.
// Usage: node device-browser.mjs continue|deny|never EMAIL URL [CODE]. The code may be in the URL instead.
// GITSIGN_TEST_LOGINS names a file that gets a line for each login. An URL of - is the last one that stdin shows.
import { appendFileSync, readFileSync } from "node:fs"

const [answer, email, given, typed] = process.argv.slice(2)
const shown = given === "-" ? readFileSync(0, "utf8").replaceAll("\r\n", "\n") : ""
const address = given === "-" ? shown.match(/https?:\/\/\S+/g)?.at(-1) : given
if (process.env.GITSIGN_TEST_LOGINS) appendFileSync(process.env.GITSIGN_TEST_LOGINS, `${answer} ${email}\n`)

const unescapeHtml = (html) => html.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))

async function visit(url, init) {
  const response = await fetch(url, init)
  const html = await response.text()
  if (!response.ok)
    throw new Error(`${response.status}: ${/role="alert">([^<]*)/.exec(html)?.[1] ?? "no reason given"}`)
  return html
}

if (answer !== "never") {
  const html = await visit(address)
  const action = /<form[^>]*action="([^"]*)"/.exec(html)?.[1]
  const code = typed ?? unescapeHtml(/<input id="code"[^>]*value="([^"]*)"/.exec(html)?.[1] ?? "")
  if (action === undefined || code === "") throw new Error("the page has no form, or no code in it")
  await visit(new URL(unescapeHtml(action), address), {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ user_code: code, email, answer }).toString(),
  })
}
