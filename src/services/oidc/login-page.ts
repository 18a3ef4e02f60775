/**
 * The pages a browser shows when it comes back from the login (HTML, CSP Level 3, WCAG 2.2 AA): who signed in, what becomes public,
 * the question whether that may be, and what went wrong. They work without scripts and without styles.
 *
 * @module
 */

import { createHash } from "node:crypto"
import type { Publication } from "./provider.ts"

/** One page and the headers it MUST be sent with. */
export interface LoginPage {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly html: string
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #fff; --line: #d0d7de; --field: #f6f8fa; --act: #0a58ca; --on-act: #fff; --good: #116329; --bad: #a40e26; --look: #7d4e00 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --paper: #0d1117; --line: #3d444d; --field: #161b22; --act: #7ab7ff; --on-act: #0d1117; --good: #56d364; --bad: #ff8182; --look: #e3b341 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere }
header, main { max-width: 40rem; margin: 0 auto; padding: 0 1.25rem }
header { padding-top: clamp(1.5rem, 8vh, 4.5rem); font-weight: 600; color: var(--soft) }
header p { margin: 0 }
main { padding-bottom: 3rem }
h1 { font-size: 1.75rem; line-height: 1.25; margin: .25rem 0 1rem }
.good h1 { color: var(--good) }
.bad h1 { color: var(--bad) }
h2 { font-size: 1.0625rem; margin: 0 0 .5rem }
dl { margin: 1.5rem 0; border: 1px solid var(--line); border-radius: .5rem; background: var(--field) }
dl div { padding: .625rem 1rem; display: grid; grid-template-columns: 7rem 1fr; gap: 0 1rem }
dl div + div { border-top: 1px solid var(--line) }
dt { color: var(--soft) }
dd { margin: 0 }
.note { margin: 1.5rem 0; padding: .125rem 0 .125rem 1rem; border-left: .25rem solid var(--look) }
.note h2 { color: var(--look) }
.note ul { margin: 0; padding-left: 1.25rem }
.what { font-weight: 600 }
.small { color: var(--soft) }
.answers { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0 1rem }
button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: .5rem 1.25rem; border: 1px solid var(--act); border-radius: .5rem; background: transparent; color: var(--act); cursor: pointer }
button.yes { background: var(--act); color: var(--on-act) }
:focus-visible { outline: 3px solid var(--look); outline-offset: 3px }
@media (max-width: 30rem) { dl div { grid-template-columns: 1fr } .answers { flex-direction: column } }
`

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

const STYLE_HASH = hashOf(STYLE)

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

interface Content {
  readonly status: number
  readonly title: string
  readonly kind: "good" | "bad" | "plain"
  /** HTML; whatever comes from outside MUST be escaped in it. */
  readonly main: string
  readonly asks?: boolean
  readonly script?: string
}

function page({ status, title, kind, main, asks = false, script = "" }: Content): LoginPage {
  const policy = [
    "default-src 'none'",
    `style-src ${STYLE_HASH}`,
    `script-src ${script === "" ? "'none'" : hashOf(script)}`,
    `form-action ${asks ? "'self'" : "'none'"}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ]
  return {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy.join("; "),
      // The address of this page holds the authorization code. A form's page has to say its own origin to this server, though:
      // with no-referrer, browsers send "Origin: null" (Fetch, "append a request Origin header").
      "referrer-policy": asks ? "same-origin" : "no-referrer",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      connection: "close",
    },
    html: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} – gitsign</title>
<style>${STYLE}</style>
</head>
<body class="${kind}">
<header><p>gitsign</p></header>
<main>
<h1>${escapeHtml(title)}</h1>
${main}
</main>
${script === "" ? "" : `<script>${script}</script>\n`}</body>
</html>
`,
  }
}

const remarksOf = ({ remarks }: Publication): string =>
  remarks.length === 0
    ? ""
    : `<section class="note" aria-labelledby="remarks">
<h2 id="remarks">Please look at this</h2>
<ul>
${remarks.map((remark) => `<li>${escapeHtml(remark)}</li>`).join("\n")}
</ul>
</section>
`

const published = ({ who, log }: Publication): string => `<dl>
<div><dt>Who signs</dt><dd><strong><bdi>${escapeHtml(who)}</bdi></strong></dd></div>
<div><dt>What</dt><dd>This identity and who vouches for it, the time of the signature, and the digest of the commit or tag: not its content</dd></div>
<div><dt>Where</dt><dd>In the log <bdi>${escapeHtml(log)}</bdi>, and in the signature itself</dd></div>
<div><dt>How long</dt><dd>For ever: nobody can remove it from the log</dd></div>
</dl>
`

/**
 * The page of a login that needs no question, or of one that was answered with yes.
 *
 * @param autocloseSeconds after how many seconds the page closes itself, where the browser allows it; a page with remarks stays
 */
export function loggedInPage(publication: Publication, autocloseSeconds?: number): LoginPage {
  const closes = autocloseSeconds !== undefined && publication.remarks.length === 0
  const seconds = closes ? Math.max(0, Math.floor(autocloseSeconds)) : 0
  const last = closes
    ? `You can go back to the terminal. This page closes itself after ${seconds} s if the browser lets it.`
    : "You can close this page and go back to the terminal."
  return page({
    status: 200,
    title: "You are logged in",
    kind: "good",
    main: `<p role="status">gitsign has your identity. A signature with it publishes this:</p>
${published(publication)}${remarksOf(publication)}<p>${last}</p>`,
    ...(closes ? { script: `setTimeout(close,${seconds * 1000})` } : {}),
  })
}

/**
 * The page that asks whether the publication may be made. Its form sends `answer=yes` or `answer=no`.
 *
 * @param action the path on this server to which the form goes; it MUST be one that nobody can guess
 */
export const questionPage = (publication: Publication, action: string): LoginPage =>
  page({
    status: 200,
    title: "May this become public?",
    kind: "plain",
    asks: true,
    main: `<p>You are logged in, and nothing is published yet. A signature with your identity publishes this:</p>
${published(publication)}${remarksOf(publication)}<form method="post" action="${escapeHtml(action)}">
<div class="answers">
<button class="yes" type="submit" name="answer" value="yes">Yes, publish and sign</button>
<button type="submit" name="answer" value="no">No, sign nothing</button>
</div>
</form>
<p class="small">If you say yes, gitsign does not ask again for this identity on this computer.</p>`,
  })

/** The page of a question that was answered with no. */
export const refusedPage = (): LoginPage =>
  page({
    status: 200,
    title: "Nothing was published",
    kind: "plain",
    main: `<p role="status">You did not agree, so nothing was signed and nothing was sent to the log.</p>
<p>You can close this page and go back to the terminal.</p>`,
  })

/** What went wrong, in the words of the terminal. */
export interface Failure {
  readonly message: string
  readonly hint?: string | undefined
}

/** The page of a login that failed: the same message and hint that the terminal shows. */
export const failurePage = ({ message, hint }: Failure): LoginPage =>
  page({
    status: 400,
    title: "The login failed",
    kind: "bad",
    main: `<p role="alert" class="what">${escapeHtml(message)}</p>
${hint === undefined ? "" : `<p>Hint: ${escapeHtml(hint)}</p>\n`}<p class="small">The terminal says the same. You can close this page.</p>`,
  })

/** The page for whoever reloads or goes back after the end. */
export const finishedPage = (): LoginPage =>
  page({
    status: 410,
    title: "This login is finished",
    kind: "plain",
    main: `<p role="status">It cannot be used again. The terminal says how it ended, and you can close this page.</p>`,
  })

/** The page for a request that has nothing to do with the login. */
export const strayPage = (status: number, text: string): LoginPage =>
  page({
    status,
    title: status === 404 ? "There is nothing here" : "This does not belong to the login",
    kind: "plain",
    main: `<p>${escapeHtml(text)}</p>`,
  })
