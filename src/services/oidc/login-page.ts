/**
 * The page a browser shows when it comes back from the login (HTML, CSP Level 3).
 *
 * @module
 */

/** One page and the headers it needs. */
export interface LoginPage {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly html: string
}

const STYLE =
  "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}"

/**
 * Makes a page.
 *
 * @param status the HTTP status; 200 is a finished login
 * @param text what happened, plain text
 * @param nonce a fresh random string of letters and digits, for the content security policy
 * @param autocloseSeconds after how many seconds the page closes itself, where the browser allows it
 */
export function loginPage(status: number, text: string, nonce: string, autocloseSeconds?: number): LoginPage {
  const title = status === 200 ? "You are logged in" : "The login failed"
  const seconds = autocloseSeconds === undefined ? undefined : Math.max(0, Math.floor(autocloseSeconds))
  const script = seconds === undefined ? "" : `<script nonce="${nonce}">setTimeout(close,${seconds * 1000})</script>\n`
  return {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'`,
      // The address of this page holds the authorization code.
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      connection: "close",
    },
    html: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>gitsign: ${title.toLowerCase()}</title>
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p role="status">${escapeHtml(text)}</p>
</main>
${script}</body>
</html>
`,
  }
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
