/**
 * The pages a person sees when the sandbox asks who they are (HTML, readable without styles, usable by keyboard).
 *
 * @module
 */

import { createHash } from "node:crypto"

/** A page and the headers it MUST be sent with. */
export interface Page {
  readonly html: string
  readonly headers: Readonly<Record<string, string>>
}

const STYLE = `
:root { color-scheme: light dark }
body { font: 1.0625rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto 0; padding: 0 1rem }
h1 { font-size: 1.375rem; margin: 0 0 .5rem }
label { display: block; font-weight: 600; margin: 1.5rem 0 .25rem }
input { font: inherit; width: 100%; box-sizing: border-box; padding: .5rem .625rem; border: 1px solid #767676; border-radius: .375rem }
button { font: inherit; padding: .5rem 1rem; margin: 1rem .5rem 0 0; border: 1px solid #767676; border-radius: .375rem; cursor: pointer }
button.primary { background: #1558d6; border-color: #1558d6; color: #fff }
:focus-visible { outline: 3px solid #f9a825; outline-offset: 2px }
.error { color: #b3261e; font-weight: 600 }
@media (prefers-color-scheme: dark) { .error { color: #f2b8b5 } }
code { font-size: 1rem; overflow-wrap: anywhere; user-select: all }
`

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64")

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

function page(title: string, main: string): Page {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${main}
</main>
</body>
</html>
`
  return {
    html,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      // The form's answer is a redirect to the program that waits on a loopback port of its own.
      "content-security-policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self' http://localhost:* http://127.0.0.1:*; base-uri 'none'; frame-ancestors 'none'`,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    },
  }
}

export interface LoginPageOptions {
  /** Where the form goes. */
  readonly action: string
  /** What the field holds already. */
  readonly email: string
  /** What was wrong with the last try. */
  readonly error?: string
}

const ABOUT = `<p id="about">This is a local Sigstore for trying and testing. It believes whatever address you enter, and nothing leaves this machine.</p>`

const BUTTONS = `<button class="primary" type="submit" name="answer" value="continue">Continue</button>
<button type="submit" name="answer" value="deny" formnovalidate>Cancel</button>`

/** The attributes of the first field, and the message before the form, for the last try that went wrong if one did. */
function complaint(error: string | undefined): { readonly message: string; readonly attributes: string } {
  if (error === undefined) return { message: "", attributes: 'aria-describedby="about"' }
  return {
    message: `<p class="error" id="error" role="alert">${escapeHtml(error)}</p>\n`,
    attributes: 'aria-describedby="error about" aria-invalid="true"',
  }
}

const emailField = (email: string, attributes: string): string =>
  `<label for="email">E-mail address</label>
<input id="email" name="email" type="email" value="${escapeHtml(email)}" required autocomplete="email" ${attributes}>`

/** The page that asks for an e-mail address, with a way to say no. */
export function loginPage({ action, email, error }: LoginPageOptions): Page {
  const { message, attributes } = complaint(error)
  return page(
    "Sign in to the gitsign sandbox",
    `${ABOUT}
${message}<form method="post" action="${escapeHtml(action)}">
${emailField(email, `autofocus ${attributes}`)}
${BUTTONS}
</form>`,
  )
}

/** The page that asks for the code another device shows, and for an e-mail address, with a way to say no. */
export function devicePage({ action, email, code, error }: LoginPageOptions & { readonly code: string }): Page {
  const { message, attributes } = complaint(error)
  return page(
    "Sign in on another device",
    `${ABOUT}
<p id="compare">Continue only if a program of yours shows this very code.</p>
${message}<form method="post" action="${escapeHtml(action)}">
<label for="code">Code</label>
<input id="code" name="user_code" value="${escapeHtml(code)}" required autofocus autocomplete="off" autocapitalize="characters" spellcheck="false" ${attributes.replace('about"', 'about compare"')}>
${emailField(email, "")}
${BUTTONS}
</form>`,
  )
}

/** The page after a login on another device. */
export const deviceSignedInPage = (email: string): Page =>
  page(
    "Signed in",
    `<p role="status">The other device goes on as ${escapeHtml(email)} in a moment. You can close this page.</p>`,
  )

/** The page after a login on another device that the person refused. */
export const deviceRefusedPage = (): Page =>
  page("Cancelled", '<p role="status">Nobody was signed in. You can close this page.</p>')

/** The page that shows a code to copy, for a program that no browser can reach. */
export const codePage = (code: string): Page =>
  page(
    "Signed in",
    `<p>Copy this code into the program that waits for it:</p>\n<p><code>${escapeHtml(code)}</code></p>`,
  )

/** The page that says why a login cannot go on. */
export const errorPage = (reason: string): Page =>
  page(
    "That did not work",
    `<p class="error" role="alert">${escapeHtml(reason)}</p>\n<p>Go back to the program that sent you here and begin again.</p>`,
  )
